//! What one session is made of, as the door sees it: the line, the listener, who belongs to the tree, and what the door must remember.
//!
//! Built once by `start`; shared by every receiver.

use super::answer::{Calls, Pending};
use super::copies::{Copies, Copy, Keeping};
use super::handover::Handovers;
use super::keys::{Bound, Converse, KeyAgent};
use super::missing::Missing;
use super::naming::Naming;
use super::pool::{BLOCKED_MAX, BRIEF_MAX, Blocked, Exhausted, Pool};
use super::process::objects::Objects;
use super::process::own::Standing;
use super::process::replaced::Starting;
use super::seen::history::{Histories, Known};
use super::seen::made::Made;
use super::seen::mounts::Mounts;
use super::seen::places::Places;
use super::seen::terminals::Terminals;
use crate::door::resolver::Resolver;
use crate::journal::Journal;
use crate::line::ports::{Gather, Waits};
use crate::line::questions::{Question, Reply};
use crate::line::{Line, Unforeseen, now_us};
use crate::sys::notify::{Call, Listener};
use crate::sys::scope::Scope;
use crate::tree::keepers::Keepers;
use crate::tree::members::Members;
use interlock_core::action::Action;
use interlock_core::facts::{Facts, Needs};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Where attestations of connections to the gateway go (`spec/gateway.md`).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Gateway {
    /// Where it listens, if that is known: a connection that leads there must be attested.
    pub place: Option<(std::net::IpAddr, u16)>,
    pub socket: PathBuf,
}

/// What a session is told of itself at its start.
#[allow(missing_docs)]
pub struct Told {
    pub name: String,
    pub gateway: Option<Gateway>,
    /// The inside socket.
    pub inside: PathBuf,
    /// What of the workspace was there before.
    pub histories: Histories,
    /// The places that are the session's own.
    pub places: Places,
    /// What answers names, where policy names hosts.
    pub resolver: Option<Resolver>,
    pub naming: Naming,
    /// Where what was there before is kept.
    pub journal: Option<Journal>,
    /// The key agent's socket, where policy speaks of keys.
    pub keys: Option<Bound>,
}

/// What the threads of a session do: each for as long as it is to run.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Threads {
    pub receive: fn(&Session),
    pub help: fn(&Session),
    pub keep: fn(&Session, &Copy),
    pub converse: fn(&Session, &Call, UnixStream, &Path),
}

/// One session.
pub struct Session {
    /// Its name, `s-…`.
    pub name: String,
    /// Where observed acts are decided and recorded.
    pub line: Line,
    /// Who belongs to the tree.
    pub members: Members,
    /// Interlock's own processes, which no policy opens.
    pub keepers: Keepers,
    /// Which terminals are this session's.
    pub terminals: Terminals,
    /// What the door stands on.
    pub ground: super::seen::ground::Ground,
    /// Which sockets are this session's.
    pub sockets: super::net::inside::Sockets,
    /// What answers names, where policy names hosts.
    pub resolver: Option<Resolver>,
    /// Where abstract names mean the session's own.
    pub scope: Scope,
    /// Which paths are other names of one another, from mountinfo at start.
    pub mounts: Mounts,
    /// What callers began with, and whether they may have something else by now.
    pub standing: Standing,
    /// What this session's own door has made (`origin`).
    pub made: Made,
    /// What of the workspace was there before (`history`).
    pub histories: Histories,
    /// Which of the places that belong to everybody are this session's own.
    pub places: Places,
    /// The System V objects that this session's door has made.
    pub objects: Objects,
    /// Who is about to start another command in the place of one.
    pub starting: Starting,
    /// Files that answers carry just now.
    pub handovers: Handovers,
    /// What is written to files without a name, until it is whole.
    pub copies: Copies,
    /// What processes meant to have made and is not there.
    pub missing: Missing,
    /// Who makes and moves names.
    pub naming: Naming,
    /// Where what was there before is kept, where it is.
    pub journal: Option<Journal>,
    /// The key agent, where policy speaks of keys.
    pub keys: Option<KeyAgent>,
    /// The gateway, if this session has one.
    pub gateway: Option<Gateway>,
    /// The inside socket, the one thing of the runtime directory the tree may connect to.
    pub inside: PathBuf,
    pub(crate) pool: Pool<Pending>,
    /// Where calls arrive.
    pub(crate) calls: Arc<Calls>,
}

impl Session {
    /// Builds the session and starts its receivers.
    ///
    /// # Errors
    /// The mount table or `/proc` cannot be read, or no thread can be started.
    pub fn start(
        told: Told,
        line: Line,
        members: Members,
        (listener, scope): (Listener, Scope),
        threads: Threads,
    ) -> std::io::Result<Arc<Self>> {
        let Told { name, gateway, inside, histories, places, resolver, naming, journal, keys } = told;
        let (ground, mounts) = (super::seen::ground::Ground::open()?, Mounts::read()?);
        // INVARIANT: from here on whatever this process makes, it makes with the very mode it says: a caller's umask is worked out for each call
        // (`file::masked`), since threads share theirs and a umask apart takes unshare(2), which containers refuse.
        crate::sys::credentials::set_umask(0);
        let standing = Standing::of(&ground);
        let session = Arc::new_cyclic(|own: &Weak<Self>| Self {
            name,
            line,
            members,
            keepers: Keepers::of(members),
            terminals: Terminals::default(),
            ground,
            sockets: super::net::inside::Sockets::default(),
            resolver,
            scope,
            mounts,
            standing,
            made: Made::default(),
            histories,
            places,
            objects: Objects::default(),
            starting: Starting::default(),
            handovers: Handovers::default(),
            copies: Copies::new(keeping(own.clone(), threads.keep)),
            missing: Missing::default(),
            naming,
            journal,
            keys: keys.map(|bound| KeyAgent::new(bound, conversing(own.clone(), threads.converse))),
            gateway,
            inside,
            pool: Pool::new(receivers(own.clone(), threads.receive)),
            calls: Calls::new(listener, unanswered(own.clone())),
        });
        if session.pool.start() && helper(&session, threads.help) {
            Ok(session)
        } else {
            Err(std::io::Error::other("no thread could be started"))
        }
    }

    /// Whether a name lies in a folder that came with this session, where nothing was before.
    #[must_use]
    pub fn is_new(&self, name: &[u8]) -> bool {
        self.histories.is_new(name, self.known())
    }

    /// Whether what is made at a name is decided as something that a person knows, and will be. `own`: asked of a link in a folder of the session's own outside.
    #[must_use]
    pub fn is_surely_known(&self, name: &[u8], own: bool) -> bool {
        self.histories.is_surely_known(name, own, self.known())
    }

    /// Whether a name outside of the workspace is in a folder of the session's own.
    #[must_use]
    pub fn is_own_outside(&self, name: &[u8]) -> bool {
        self.histories.is_own_outside(name, self.known())
    }

    /// What a path leads to now, if it leads to anything.
    #[must_use]
    pub fn led_to(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.histories.led_to(path, self.known()).ok()
    }

    fn known(&self) -> Known<'_> {
        Known { plan: &self.line.judge.plan, made: &self.made, mounts: &self.mounts, root: self.ground.root.as_fd() }
    }

    /// Whether a process (or thread) id belongs to this session's tree.
    #[must_use]
    pub fn is_inside(&self, process: i32) -> bool {
        self.members.is_inside(process)
    }

    /// Whether the caller still waits for its answer. What was read of a caller counts only if this holds afterwards.
    #[must_use]
    pub fn still_waits(&self, call: &Call) -> bool {
        self.calls.watch().waits(call.id)
    }

    /// Room to block (a FIFO, a connect) while other receivers go on, until the value is dropped. The thread is interrupted (EINTR) when the
    /// caller dies.
    ///
    /// # Errors
    /// [`Exhausted`]: as many calls as the limit allows block already; answer EAGAIN.
    pub fn room_to_block(&self, call: &Call) -> Result<Blocked<'_>, Exhausted> {
        self.pool.block(call.id, BLOCKED_MAX)
    }

    /// As [`Session::room_to_block`], for what ends by itself soon: there is room besides the calls that block for as long as they like.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn room_for_a_moment(&self, call: &Call) -> Result<Blocked<'_>, Exhausted> {
        self.pool.block(call.id, BLOCKED_MAX + BRIEF_MAX)
    }

    /// Waits until no call is being answered, so that what was done is recorded before the log closes.
    pub(crate) fn settle_down(&self, at_most: std::time::Duration) {
        let begun = std::time::Instant::now();
        while !self.pool.is_quiet() && begun.elapsed() < at_most {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

impl Gather for Session {
    fn facts(&self, action: &Action, needs: &Needs) -> Facts {
        let (history, history_to) = if needs.history { self.histories.of(action, self.known()) } else { (None, None) };
        Facts { now_ms: if needs.grants { now_us() / 1000 } else { 0 }, history, history_to, ..Facts::default() }
    }
}

impl Waits for Session {
    fn wait(&self, call: &Call, question: &Question) -> Reply {
        let Ok(_room) = self.room_to_block(call) else { return Reply::Nobody("too many calls wait") };
        question.wait()
    }
}

/// Starts the thread that helps with what waits.
fn helper(session: &Arc<Session>, help: fn(&Session)) -> bool {
    let session = Arc::clone(session);
    std::thread::Builder::new().name("helper".into()).spawn(move || help(&session)).is_ok()
}

/// Starts one receiver a call; each holds the session for as long as it runs.
fn receivers(session: Weak<Session>, receive: fn(&Session)) -> Box<dyn Fn() -> bool + Send + Sync> {
    Box::new(move || {
        let Some(session) = session.upgrade() else { return false };
        std::thread::Builder::new().name("receiver".into()).spawn(move || receive(&session)).is_ok()
    })
}

/// Starts the thread of a private copy, which hands it on when it is whole.
fn keeping(session: Weak<Session>, keep: fn(&Session, &Copy)) -> Keeping {
    Box::new(move |copy| {
        let session = session.clone();
        let wait = move || {
            let look = || session.upgrade().map(|session| session.copies.close(&copy));
            if let (true, Some(session)) = (Copies::wait_until_whole(&copy, look), session.upgrade()) {
                keep(&session, &copy);
                session.copies.remove(&copy);
            }
        };
        Ok(std::thread::Builder::new().name("copy".into()).spawn(wait)?.thread().clone())
    })
}

/// Serves programs that ask for keys; each holds the session for as long as it is connected.
fn conversing(session: Weak<Session>, converse: fn(&Session, &Call, UnixStream, &Path)) -> Converse {
    Box::new(move |call, stream, run| {
        if let Some(session) = session.upgrade() {
            converse(&session, call, stream, run);
        }
    })
}

/// Records that a call was given up unanswered.
fn unanswered(session: Weak<Session>) -> Box<dyn Fn(&Call) + Send + Sync> {
    Box::new(move |call| {
        if let Some(session) = session.upgrade() {
            session.line.unforeseen(call, Unforeseen::Unanswered);
        }
    })
}
