//! From the launch message to the command's first instruction, on the supervisor's side.
//!
//! Order matters: what needs one thread (wall, capabilities, fork) comes before the ledger and the receivers start theirs. Nothing runs unless the
//! self-test in the jail passed and the opening records are on disk.

use crate::command::{Ends, Start};
use crate::door::sender;
use crate::ending::Ending;
use crate::enforcement::{self, Enforcement, Mechanisms};
use crate::guardian::{self, Word};
use crate::judge::Judge;
use crate::later::Later;
use crate::line::Line;
use crate::members::Members;
use crate::messages::Launch;
use crate::need::Need;
use crate::session::{Gateway, Session, Threads};
use crate::sys::descriptors::{self, pipe, take_from, write_all};
use crate::sys::notify::Listener;
use crate::sys::process::{self, Forked};
use crate::uplink::Uplink;
use crate::{capability, filter, foreign, receive, table, wall, yama};
use interlock_core::action::Bytes;
use interlock_core::decision::Record;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Seconds that the guardian and the command may take for each step to the listener and through the self-test, and the most that may be asked for.
const STEP_SECONDS: u64 = 20;
const STEP_SECONDS_MAX: u64 = 3600;
/// Names another number of seconds, for machines that are slower than any seen.
const STEP_VARIABLE: &str = "INTERLOCK_START_SECONDS";

/// The command's own descriptors wait here until they are put at 0, 1 and 2.
const ABOVE_STDIO: i32 = 10;

/// Why nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Failed {
    pub code: i32,
    pub message: String,
    pub hint: String,
}

impl Failed {
    /// Usage, policy, machine, own failure: the exit codes of `spec/home.md`.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>, hint: &str) -> Self {
        Self { code, message: message.into(), hint: hint.to_owned() }
    }

    fn own(what: &str, error: impl std::fmt::Display) -> Self {
        Self::new(123, format!("{what}: {error}"), "")
    }
}

/// A tree that stands behind the wall, its command not yet run.
pub struct Tree {
    /// The guardian's process.
    pub guardian: i32,
    /// Words from the guardian.
    pub words: BufReader<UnixStream>,
    /// Orders to the guardian; hung up, it ends the tree.
    pub orders: UnixStream,
    /// Hung up, the sentinels end the tree.
    pub neck: OwnedFd,
    /// The command's process, this session's first.
    pub command: i32,
    lines: BufReader<std::fs::File>,
    go: OwnedFd,
    wall: wall::Wall,
    need: Need,
    /// Parts of the self-test of which every test ended as it must.
    passed: BTreeSet<String>,
}

/// Bytes as an operating-system path.
#[must_use]
pub fn path(bytes: &Bytes) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.0.clone()))
}

/// Forks guardian and command up to the self-test's wall part. The process must have one thread.
///
/// # Errors
/// [`Failed`]: what this machine lacks, or what went wrong.
pub fn tree(launch: &Launch, judge: &Judge) -> Result<Tree, Failed> {
    let lacking = |what: String, hint: &str| Failed::new(lacking_code(), what, hint);
    capability::lacking().map_or(Ok(()), |missing| Err(lacking(missing.what, &missing.hint)))?;
    let wall =
        wall::build(&judge.exec_roots()).map_err(|missing| lacking(missing.0, "`interlock doctor` says what is missing and what to do"))?;
    let own = |error: std::io::Error| Failed::own("the tree could not be prepared", error);
    // Not even tried without the capability: a filter may kill for it.
    let own_ipc = !capability::simulated("ipc-namespace") && capability::may_make_namespaces() && process::own_ipc().is_ok();
    crate::sys::capabilities::keep(capability::supervisor(), capability::aside()).map_err(own)?;
    process::adopt_orphans().map_err(own)?;
    let (up_read, up) = pipe().map_err(own)?;
    let (down, go) = pipe().map_err(own)?;
    let (supervisor_neck, neck) = pipe().map_err(own)?;
    let (guardian_neck, guardian_holds) = pipe().map_err(own)?;
    let (mine, theirs) = UnixStream::pair().map_err(own)?;
    let null = std::fs::File::open("/dev/null").map_err(own)?;
    let source = |number: Option<i32>| descriptors::borrow(number.unwrap_or(null.as_raw_fd()));
    let [stdin, stdout, stderr] = launch.stdio.map(|number| descriptors::duplicate_above(source(number), ABOVE_STDIO));
    let given: std::collections::BTreeSet<i32> = launch.stdio.into_iter().flatten().filter(|number| *number > 2).collect();
    given.into_iter().for_each(descriptors::close);
    let ends = Ends {
        stdio: [stdin.map_err(own)?, stdout.map_err(own)?, stderr.map_err(own)?],
        outer: wall.outer.try_clone().map_err(own)?,
        inner: wall.inner.try_clone().map_err(own)?,
        up: std::rc::Rc::new(up),
        down,
        supervisor_neck,
        guardian_neck,
    };
    let held = crate::sys::capabilities::permitted().map_err(own)?;
    let need = Need::of(judge.policy(), held, own_ipc);
    let start = start(launch, ends, need, held)?;
    match process::fork().map_err(own)? {
        Forked::Child => {
            drop((mine, up_read, go, neck));
            guardian::run(&start, theirs, guardian_holds)
        }
        Forked::Parent(guardian) => {
            start.forget();
            drop((theirs, guardian_holds));
            mine.set_read_timeout(Some(step_max())).map_err(own)?;
            let mut words = BufReader::new(mine.try_clone().map_err(own)?);
            let Some(Word::Born { command }) = word(&mut words) else {
                return Err(late("the guardian did not start the command's process"));
            };
            mine.set_read_timeout(None).map_err(own)?;
            if sender::names(guardian).is_err() {
                crate::sys::capabilities::keep(capability::supervisor(), 0).map_err(own)?;
            }
            let lines = BufReader::new(std::fs::File::from(up_read));
            let passed = BTreeSet::new();
            Ok(Tree { guardian, words, orders: mine, neck, command, lines, go, wall, need, passed })
        }
    }
}

fn step_max() -> Duration {
    let asked = std::env::var(STEP_VARIABLE).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(STEP_SECONDS).clamp(1, STEP_SECONDS_MAX))
}

/// A step of the start that did not come in time.
fn late(what: &str) -> Failed {
    let seconds = step_max().as_secs();
    Failed::new(123, format!("{what} within {seconds} s"), "where the machine is slow or busy, `INTERLOCK_START_SECONDS=120` waits longer")
}

/// Inside another session the mechanisms are taken: that is a nested run which cannot be honoured, not a lacking machine.
fn lacking_code() -> i32 {
    if foreign::is_a_sessions() { 124 } else { 122 }
}

fn start(launch: &Launch, ends: Ends, need: Need, held: u64) -> Result<Start, Failed> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Failed::new(120, "a zero byte in the command or its environment", ""));
    let environment = launch.environment.iter().map(|(name, value)| text(&[name.as_bytes(), b"=", &value.0].concat()));
    Ok(Start {
        ends: std::cell::RefCell::new(Some(ends)),
        program: text(&launch.program.0)?,
        arguments: launch.command.iter().map(|argument| text(&argument.0)).collect::<Result<_, _>>()?,
        environment: environment.collect::<Result<_, _>>()?,
        directory: path(&launch.directory),
        terminal: launch.terminal,
        closed: (0..).zip(launch.stdio).filter(|(_, given)| given.is_none()).map(|(number, _)| number).collect(),
        apart: launch.terminal || !process::leads_its_session(),
        filter: filter::program(need),
        filtered: foreign::stands(),
        capabilities: capability::jail(held),
        supervisor: process::id(),
        runtime: path(&launch.runtime),
    })
}

/// The next word of the guardian; nothing when it is gone.
pub fn word(words: &mut impl BufRead) -> Option<Word> {
    let mut line = String::new();
    words.read_line(&mut line).ok().filter(|read| *read > 0)?;
    serde_json::from_str(&line).ok()
}

impl Tree {
    /// Follows the command to its listener: the wall's tests, the sentinels, the filter. Gives the listener and the sentinels' processes.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn listener(&mut self) -> Result<(OwnedFd, [i32; 2]), Failed> {
        let mut sentinels = None;
        loop {
            match self.line("the command's process did not put on its wall and filter")?.as_slice() {
                [word, first, second] if word == "sentinels" => sentinels = Some(pair(first, second)?),
                [word, number] if word == "listener" => {
                    let taken = process::descriptor(self.command)
                        .and_then(|process| take_from(process.as_fd(), number.parse().unwrap_or(-1)))
                        .map_err(|error| not_taken(&error))?;
                    let sentinels = sentinels.map_or_else(|| self.sentinels(), Ok)?;
                    let told = self.orders.write_all(format!("{} {}\n", sentinels[0], sentinels[1]).as_bytes());
                    told.map_err(|error| Failed::own("the guardian", error))?;
                    return Ok((taken, sentinels));
                }
                [part, name, result] => self.note(part, name, result)?,
                _ => return Err(Failed::own("the start", "spoke nonsense")),
            }
        }
    }

    /// The sentinels speak on their own time; they are waited for.
    fn sentinels(&mut self) -> Result<[i32; 2], Failed> {
        match self.line("the sentinels did not come up")?.as_slice() {
            [word, first, second] if word == "sentinels" => pair(first, second),
            _ => Err(Failed::own("the sentinels", "did not come up")),
        }
    }

    /// Lets the self-test's door part run, and waits for its end.
    ///
    /// # Errors
    /// [`Failed`] with the test that did not end as it must.
    pub fn rehearse(&mut self) -> Result<(), Failed> {
        self.step()?;
        loop {
            match self.line("the self-test in the jail did not end")?.as_slice() {
                [word, code] if word == "rehearsed" => {
                    return if code == "0" { Ok(()) } else { Err(Failed::own("the self-test in the jail ended with", code)) };
                }
                [part, name, result] => self.note(part, name, result)?,
                _ => return Err(Failed::own("the start", "spoke nonsense")),
            }
        }
    }

    /// Lets the command exec. What the kernel or the door said if it could not.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn exec(&mut self) -> Result<Option<i32>, Failed> {
        self.step()?;
        let mut line = String::new();
        // No deadline here: policy may ask a human about the very first exec.
        let read = self.lines.read_line(&mut line).map_err(|error| Failed::own("the command", error))?;
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] if read == 0 => Ok(None),
            ["failed", "exec", errno] => Ok(errno.parse().ok()),
            _ => Err(Failed::own("the command", line.trim())),
        }
    }

    fn step(&self) -> Result<(), Failed> {
        write_all(self.go.as_fd(), b"!").map_err(|error| Failed::own("the command", error))
    }

    /// The next line from the command's process; `awaited` says what did not happen if it does not come.
    fn line(&mut self, awaited: &str) -> Result<Vec<String>, Failed> {
        let mut line = String::new();
        let milliseconds = i32::try_from(step_max().as_millis()).unwrap_or(i32::MAX);
        if self.lines.buffer().is_empty() && descriptors::wait_readable(&[self.lines.get_ref().as_fd()], milliseconds).is_empty() {
            return Err(late(awaited));
        }
        let read = self.lines.read_line(&mut line).map_err(|error| Failed::own("the start", error))?;
        if read == 0 {
            return Err(Failed::own("the start", "the command's process ended before its program ran"));
        }
        match line.split_whitespace().map(str::to_owned).collect::<Vec<_>>() {
            words if words.first().is_some_and(|word| word == "failed") => Err(refusal(&words)),
            words => Ok(words),
        }
    }

    fn note(&mut self, part: &str, name: &str, result: &str) -> Result<(), Failed> {
        if result == "ok" {
            self.passed.insert(part.to_owned());
            return Ok(());
        }
        let found = match result {
            "0" => "it was let through".to_owned(),
            errno => std::io::Error::from_raw_os_error(errno.parse().unwrap_or(0)).to_string(),
        };
        Err(Failed::new(122, format!("self-test `{part} {name}` in the jail did not end as it must: {found}"), "nothing was run"))
    }

    /// What stands, for `started` and the record that opens the session.
    #[must_use]
    pub fn enforced(&self) -> Mechanisms {
        let senders = if self.need.sends { sender::standing() } else { Enforcement::Fully { how: None } };
        enforcement::of_session(&self.passed, self.need.shared_ipc, senders)
    }

    /// The record of the sealed wall.
    #[must_use]
    pub fn sealed(&self) -> Value {
        let trapped: Vec<&str> = table::ROWS.iter().filter(|row| row.is_trapped(self.need)).map(|row| row.name).collect();
        let admitted: Vec<String> = self.wall.admitted.iter().map(|path| path.display().to_string()).collect();
        json!({
            "type": "wall.sealed", "landlock": {"abi": self.wall.abi, "execute": admitted},
            "filter": filter::digest(&filter::program(self.need)), "trapped": trapped,
        })
    }
}

/// Not permitted is the machine's; anything else (the command was killed meanwhile) is not.
fn not_taken(error: &std::io::Error) -> Failed {
    match error.raw_os_error() {
        Some(libc::EPERM) => Failed::new(122, format!("the listener could not be taken over (pidfd_getfd): {error}"), &yama::advice()),
        _ => Failed::own("the listener could not be taken over", error),
    }
}

fn pair(first: &str, second: &str) -> Result<[i32; 2], Failed> {
    let process = |text: &str| text.parse().map_err(|error| Failed::own("the sentinels", error));
    Ok([process(first)?, process(second)?])
}

fn refusal(words: &[String]) -> Failed {
    let step = words.get(1).map_or("", String::as_str);
    let errno = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(0);
    let error = std::io::Error::from_raw_os_error(errno);
    match (step, errno) {
        ("filter", libc::EBUSY) => Failed::new(
            lacking_code(),
            "a seccomp listener stands already, and the kernel has one for each process: this runs inside another Interlock, or its container or virtual \
             machine holds one",
            "run it outside; WSL2 holds one while its networking is `mirrored`: set networkingMode=nat in .wslconfig",
        ),
        ("filter", libc::EINVAL) => Failed::new(122, "seccomp lacks WAIT_KILLABLE_RECV", "Linux 5.19 has it"),
        (_, libc::EPERM | libc::ENOSYS) if foreign::stands() => {
            Failed::new(122, format!("the seccomp filter that this runs in refuses what `{step}` needs: {error}"), "docs/containers.md")
        }
        ("directory", _) => Failed::new(120, format!("the working directory cannot be entered: {error}"), ""),
        _ => Failed::new(123, format!("starting the command failed at `{step}`: {error}"), ""),
    }
}

/// Builds the session around its log and a listener.
///
/// # Errors
/// [`Failed`]: the machine refused.
pub fn session(
    launch: &Launch,
    judge: Judge,
    log: interlock_ledger::Log,
    listener: OwnedFd,
    members: Members,
    uplink: Arc<Uplink>,
    ending: Arc<Ending>,
) -> Result<Arc<Session>, Failed> {
    let own = |error: std::io::Error| Failed::own("the session could not be built", error);
    // Faster hand-over from 6.6 on; without it only slower.
    let listener = Listener::from(listener);
    let _older = listener.wake_synchronously();
    let later = Later::new(&launch.runs_later, &launch.workspace, &launch.home)
        .map_err(|error| Failed::new(120, format!("`runs_later`: {error}"), ""))?;
    let line = Line::new(launch.session.clone(), launch.agent.clone(), judge, later, Box::new(log), uplink, ending);
    let gateway = launch.gateway.as_ref().map(|place| Gateway { address: place.address, port: place.port, socket: path(&place.socket) });
    let threads = Threads { receive: receive::run, help: receive::help };
    let inside = path(&launch.runtime).join("inside.sock");
    Session::start(launch.session.clone(), line, members, gateway, inside, listener, threads).map_err(own)
}

/// Opens the session's log.
///
/// # Errors
/// [`Failed`]: the ledger refused.
pub fn ledger(launch: &Launch) -> Result<interlock_ledger::Log, Failed> {
    let (directory, index, keys) = (path(&launch.ledger.directory), path(&launch.ledger.index), path(&launch.ledger.keys));
    let refused = |error: interlock_ledger::Error| {
        Failed::new(123, format!("the ledger cannot be opened: {error}"), "`interlock ledger verify` says what is damaged")
    };
    let keys = interlock_ledger::Keys::ensure(&keys, Some(&index)).map_err(refused)?;
    interlock_ledger::open_session(&directory, &format!("sessions/{}", launch.session), &index, &keys).map_err(refused)
}

/// Closes the log of a session that did not come to stand behind wall and filter.
pub fn not_begun(log: &interlock_ledger::Log, failed: &Failed) {
    let reason = format!("nothing was run: {}", failed.message);
    // Should this fail as well, the next start completes the log.
    let _left = log.close(Some(json!({"type": "session.closed", "status": null, "reason": reason})));
}

/// The record that opens the session.
///
/// # Errors
/// [`Failed`]: the ledger took it not.
pub fn open(launch: &Launch, session: &Session, tree: &Tree) -> Result<(), Failed> {
    let judge = &session.line.judge;
    let opened = json!({
        "type": "session.opened", "agent": launch.agent, "human": launch.human, "command": launch.command, "directory": launch.directory,
        "workspace": launch.workspace, "policy": judge.digest(), "layers": judge.layers(), "sources": launch.sources, "parent": launch.parent, "prompt": launch.prompt,
        "host": {"kernel": kernel(), "enforced": tree.enforced(), "rules": launch.short},
    });
    let refused = |_| Failed::new(123, "the ledger refused the session's first records", "");
    // The second one's sync is the first one's too.
    session.line.record(Record::Ordered, opened).map_err(refused)?;
    session.line.record(Record::Durable, tree.sealed()).map_err(refused).map(drop)
}

/// The kernel's release.
#[must_use]
pub fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
