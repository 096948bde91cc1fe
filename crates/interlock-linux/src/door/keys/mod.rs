//! The session's key agent, towards its programs: a socket at which they ask for signatures as of any key agent (`spec/keys.md`).
//!
//! No key is here, and none ever comes here: a request is carried to `interlock run`, which knows what it means and who has the keys, and asks here before
//! anything is signed (`talk`). Whoever connected is the subject of that act. Left out: what the policy says (the line).

mod peers;
pub mod talk;

use crate::sys::errno::Errno;
use crate::sys::notify::{Call, NOBODYS};
use crate::sys::{descriptors, process};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at once; more are closed.
const OPEN_MAX: usize = 32;

/// The agent's two ends, bound: the socket that programs find, and where `interlock run` listens for what they ask.
pub struct Bound {
    path: PathBuf,
    run: PathBuf,
    listener: UnixListener,
}

impl Bound {
    /// Binds the socket for programs.
    ///
    /// # Errors
    /// The folder is gone, or not ours.
    pub fn at(path: PathBuf, run: PathBuf) -> std::io::Result<Self> {
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        // A connection that is taken is there already.
        listener.set_nonblocking(true)?;
        Ok(Self { path, run, listener })
    }
}

/// Serves one connection of a program to its end, with the way to `interlock run`.
pub type Converse = Box<dyn Fn(&Call, UnixStream, &Path) + Send + Sync>;

/// The agent of a session.
pub struct KeyAgent {
    path: PathBuf,
    run: PathBuf,
    /// Locked from a connect to its acceptance, so that each connection is known by who made it.
    arriving: Mutex<UnixListener>,
    converse: Arc<Converse>,
    open: Arc<AtomicUsize>,
}

impl KeyAgent {
    /// The agent, with what serves each of its connections.
    #[must_use]
    pub fn new(bound: Bound, converse: Converse) -> Self {
        let Bound { path, run, listener } = bound;
        Self { path, run, arriving: Mutex::new(listener), converse: Arc::new(converse), open: Arc::default() }
    }

    /// Whether a socket of this name is the agent's.
    #[must_use]
    pub fn is_at(&self, name: &[u8]) -> bool {
        self.path.as_path() == Path::new(OsStr::from_bytes(name))
    }

    /// Takes in this process, which connects now, by `connect`. Whether there was room: where not, its connection is closed.
    ///
    /// # Errors
    /// As the kernel says it of the connect; ECONNREFUSED where the connection did not arrive.
    pub fn receive<E: From<Errno>>(&self, process: i32, connect: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        let stream = {
            let listener = self.arriving.lock().unwrap_or_else(PoisonError::into_inner);
            connect()?;
            ours(&listener)?
        };
        Ok(self.serve(stream, process))
    }

    fn serve(&self, stream: UnixStream, process: i32) -> bool {
        if self.open.fetch_add(1, Ordering::AcqRel) >= OPEN_MAX {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        let (run, open, converse) = (self.run.clone(), Arc::clone(&self.open), Arc::clone(&self.converse));
        let call = Call { id: NOBODYS, thread: process, number: 0, arguments: [0; 6] };
        let serve = move || {
            converse(&call, stream, &run);
            open.fetch_sub(1, Ordering::AcqRel);
        };
        let started = std::thread::Builder::new().name("keys".into()).spawn(serve).is_ok();
        if !started {
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
        started
    }
}

/// The connection that this process has just made for a program. Others of the same user, outside, may have come first: they have agents of their own.
fn ours(listener: &UnixListener) -> Result<UnixStream, Errno> {
    while let Ok((stream, _)) = listener.accept() {
        if descriptors::peer(stream.as_fd()).is_ok_and(|(peer, _)| peer == process::id()) {
            return Ok(stream);
        }
    }
    Err(Errno(libc::ECONNREFUSED))
}
