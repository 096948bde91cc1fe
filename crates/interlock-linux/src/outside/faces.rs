//! The session's two sockets: `control.sock` for its user outside, `inside.sock` for its own tree (`spec/supervisor.md`).
//!
//! One thread a socket, one request a connection. Who asks is the kernel's word (SO_PEERCRED), never the asker's.

use crate::door::session::Session;
use crate::line::{Context, now_us};
use crate::sys::{descriptors, process};
use crate::tree::ending::Ending;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A request's longest line, and how long it may take to arrive.
const REQUEST_MAX: u64 = 64 * 1024;
const REQUEST_TIME: Duration = Duration::from_secs(2);
/// Denials told when the asker does not say how many.
const LAST: usize = 5;

/// For the user outside, for the tree inside.
const SOCKETS: [&str; 2] = ["control.sock", "inside.sock"];

/// The key agent's, where there is one (`door::keys`).
const AGENT: &str = "agent.sock";

/// What `show` says besides what changes.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Shown {
    pub command: Value,
    pub started: String,
    /// The files of what the human allowed (`interlock allow`), by name, for `why`.
    pub own_layers: Value,
}

/// Binds both sockets and serves them. `runtime` may be longer than a socket's name: it is reached through its descriptor, and held by it (a
/// shared lock) for as long as this process lives: nobody takes it for a dead session's.
///
/// # Errors
/// A socket cannot be bound.
pub fn serve(runtime: &Path, session: &Arc<Session>, ending: &Arc<Ending>, shown: Shown) -> std::io::Result<()> {
    let directory = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(runtime)?;
    // Where the file system has no such locks, nothing is ever taken for a dead session's.
    let _without = descriptors::lock_shared(directory.as_fd());
    let (control, inside) = (bind(&directory, SOCKETS[0])?, bind(&directory, SOCKETS[1])?);
    let (theirs, end, own_layers) = (Arc::clone(session), Arc::clone(ending), shown.own_layers.clone());
    let answer = move |stream: &UnixStream| {
        let _held = &directory;
        control_request(stream, &theirs, &end, &shown)
    };
    thread("control", control, answer)?;
    let theirs = Arc::clone(session);
    thread("inside", inside, move |stream| inside_request(stream, &theirs, &own_layers))
}

/// Takes the sockets away, and their directory when nothing else is in it.
pub fn take_away(runtime: &Path) {
    for name in SOCKETS.into_iter().chain([AGENT]) {
        let _none = std::fs::remove_file(runtime.join(name));
    }
    let _others = std::fs::remove_dir(runtime);
}

fn bind(directory: &File, name: &str) -> std::io::Result<UnixListener> {
    let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // No umask is left to do it (`door::session`). The directory is closed to others as well.
    std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
    Ok(listener)
}

fn thread(name: &str, listener: UnixListener, answer: impl Fn(&UnixStream) -> Option<Value> + Send + 'static) -> std::io::Result<()> {
    let run = move || {
        for stream in listener.incoming().flatten() {
            let reply = answer(&stream).unwrap_or_else(|| json!({"error": "refused"}));
            let _gone = (&stream).write_all(format!("{reply}\n").as_bytes());
        }
    };
    std::thread::Builder::new().name(name.into()).spawn(run).map(|_| ())
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Outside {
    Show {},
    End {},
    Context { parent: Option<String>, trace: Option<Value> },
    Revoke { grant: String },
}

fn control_request(stream: &UnixStream, session: &Session, ending: &Ending, shown: &Shown) -> Option<Value> {
    let (asker, user) = descriptors::peer(stream.as_fd()).ok()?;
    if user != process::user() || session.is_inside(asker) {
        return None;
    }
    Some(match request(stream)? {
        Outside::Show {} => json!({
            "session": session.name, "state": "running", "command": shown.command, "started": shown.started,
            "counts": session.line.totals.json(), "processes": session.members.all(),
            "grants": session.line.grants.all(now_us() / 1000),
        }),
        Outside::End {} => {
            ending.told("ended by its user");
            json!({"ending": true})
        }
        Outside::Context { parent, trace } => {
            session.line.set_context(Context { parent: parent.clone(), trace });
            json!({"parent": parent})
        }
        Outside::Revoke { grant } => json!({"revoked": session.line.take_back(&grant)}),
    })
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Inside {
    Why { last: Option<usize> },
}

fn inside_request(stream: &UnixStream, session: &Session, own_layers: &Value) -> Option<Value> {
    let (asker, _) = descriptors::peer(stream.as_fd()).ok()?;
    // The door connects on the tree's behalf: such a peer is this process itself.
    if asker != process::id() && !session.is_inside(asker) {
        return None;
    }
    let Inside::Why { last } = request(stream)?;
    let denials = session.line.denials.last(last.unwrap_or(LAST));
    Some(json!({"session": session.name, "own_layers": own_layers, "denials": denials}))
}

fn request<T: for<'de> Deserialize<'de>>(stream: &UnixStream) -> Option<T> {
    stream.set_read_timeout(Some(REQUEST_TIME)).ok()?;
    stream.set_write_timeout(Some(REQUEST_TIME)).ok()?;
    let mut line = Vec::new();
    BufReader::new(stream.take(REQUEST_MAX)).read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}
