//! One session from launch to end: the supervisor's own thread.

use crate::control;
use crate::ending::{Ending, Reason};
use crate::faces::{self, Shown};
use crate::guardian::Word;
use crate::judge::Judge;
use crate::launch::{self, Failed, Tree};
use crate::members::Members;
use crate::messages::{self, Down, End, Launch};
use crate::session::Session;
use crate::sweep::sweep;
use crate::sys::descriptors::{self, wait_readable};
use crate::sys::process;
use crate::uplink::Uplink;
use interlock_core::decision::Record;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Descriptors of the supervisor, as far as its hard limit goes.
const FILES: u64 = 1 << 20;
/// Bytes that a log's file must be allowed to grow to. A session that comes to a limit above it ends there, with that reason.
const LOG_BYTES_MIN: u64 = 1 << 20;
/// How long a reader of our last words is waited for.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long calls that are being answered when the tree is gone may take to be recorded.
const ANSWERS: Duration = Duration::from_secs(1);
/// How long the guardian is left to see the tree gone, in milliseconds; then this process takes its place.
const GUARDIAN_MS: i32 = 200;

/// Runs the session that the control socket asks for; the process's exit code.
#[must_use]
pub fn run(control: UnixStream) -> u8 {
    let mut stream = BufReader::new(control);
    let begun = begin(&mut stream).and_then(|begun| match stream.get_ref().try_clone() {
        Ok(up) => Ok((begun, up)),
        Err(error) => Err(Failed::new(123, error.to_string(), "")),
    });
    match begun {
        Ok((begun, up)) => begun.finish(stream, up),
        Err(failed) => {
            let message = json!({"type": "failed", "code": failed.code, "message": failed.message, "hint": failed.hint});
            let _gone = stream.get_ref().write_all(format!("{message}\n").as_bytes());
            u8::try_from(failed.code).unwrap_or(123)
        }
    }
}

struct Begun {
    launch: Launch,
    judge: Judge,
    tree: Tree,
}

/// All that needs a process with one thread.
fn begin(stream: &mut BufReader<UnixStream>) -> Result<Begun, Failed> {
    let mut launch = match messages::read(stream) {
        Ok(Some(Down::Launch(launch))) => *launch,
        Ok(Some(_)) => return Err(Failed::new(120, "the first message is not `launch`", "")),
        Ok(None) => return Err(Failed::new(120, "no launch came", "")),
        Err(error) => return Err(Failed::new(120, format!("the launch was not understood: {error}"), "")),
    };
    let control = stream.get_ref().as_raw_fd();
    if launch.stdio.contains(&Some(control)) {
        return Err(Failed::new(120, "the command would have the control socket", ""));
    }
    let kept: Vec<i32> = [0, 1, 2, control].into_iter().chain(launch.stdio.into_iter().flatten()).collect();
    descriptors::close_all_but(&kept);
    let judge = Judge::new(std::mem::take(&mut launch.policy)).map_err(|error| Failed::new(121, error.to_string(), ""))?;
    let tree = launch::tree(&launch, &judge)?;
    Ok(Begun { launch, judge, tree })
}

impl Begun {
    fn finish(self, stream: BufReader<UnixStream>, up: UnixStream) -> u8 {
        let guardian = self.tree.guardian;
        let runtime = launch::path(&self.launch.runtime);
        let uplink = Arc::new(Uplink::start(up));
        let code = match self.go(stream, &uplink) {
            Ok(code) => code,
            Err(failed) => {
                let _gone = process::kill(guardian, libc::SIGKILL);
                sweep(&[]);
                let _gone = uplink.send(json!({"type": "failed", "code": failed.code, "message": failed.message, "hint": failed.hint}));
                failed.code
            }
        };
        faces::take_away(&runtime);
        uplink.finish(FAREWELL);
        u8::try_from(code).unwrap_or(123)
    }

    fn go(self, stream: BufReader<UnixStream>, uplink: &Arc<Uplink>) -> Result<i32, Failed> {
        let Begun { launch, judge, mut tree } = self;
        let ending = Arc::new(Ending::new().map_err(|error| Failed::new(123, error.to_string(), ""))?);
        harden()?;
        // While the command's process puts on its wall and its filter.
        let log = launch::ledger(&launch)?;
        let (listener, sentinels) = tree.listener().inspect_err(|failed| launch::not_begun(&log, failed))?;
        let members = Members { guardian: tree.guardian, sentinels };
        let session = launch::session(&launch, judge, log, listener, members, Arc::clone(uplink), Arc::clone(&ending))?;
        let own = |error: std::io::Error| Failed::new(123, format!("the session's sockets: {error}"), "");
        control::keep_time(&session).map_err(own)?;
        session.terminals.given(session.ground.root.as_fd(), tree.command);
        tree.rehearse()?;
        launch::open(&launch, &session, &tree).map_err(|failed| because(failed, &ending))?;
        let started = crate::clock::rfc3339(crate::line::now_us());
        faces::serve(
            &launch::path(&launch.runtime),
            &session,
            &ending,
            Shown { command: json!(launch.command), started, own_layers: launch.own_layers.clone() },
        )
        .map_err(own)?;
        session.line.begin();
        let (theirs, end, command) = (Arc::clone(&session), Arc::clone(&ending), tree.command);
        let listen = move || control::listen(stream, &theirs, &end, command);
        std::thread::Builder::new().name("control".into()).spawn(listen).map_err(own)?;
        if let Some(errno) = tree.exec()? {
            let _log = session.line.close(json!({"type": "session.closed", "status": null, "reason": "the command could not be run"}));
            return Err(not_run(&session, &launch, &ending, errno));
        }
        let _gone = uplink.send(json!({"type": "started", "process": tree.command, "enforced": tree.enforced()}));
        Ok(Running { launch, tree, session, ending, status: None }.watch())
    }
}

/// After the fork, so that the command keeps the limits and dispositions it was given.
fn harden() -> Result<(), Failed> {
    process::limit(libc::RLIMIT_NOFILE, FILES);
    process::limit(libc::RLIMIT_CORE, 0);
    process::ignore_signal(libc::SIGXFSZ);
    process::keep_from_oom();
    let file_bytes = process::lift(libc::RLIMIT_FSIZE);
    if file_bytes < LOG_BYTES_MIN {
        let message = format!("a file may have {file_bytes} bytes here (`ulimit -f`): too few for the session's log");
        return Err(Failed::new(123, message, "raise the limit; the command's own can be set inside: sh -c 'ulimit -f N; exec COMMAND'"));
    }
    Ok(())
}

/// The same with the reason for which the session came to its end, where there is one.
fn because(failed: Failed, ending: &Ending) -> Failed {
    match ending.reason() {
        Some(Reason::Failed(reason)) => Failed { message: format!("{}: {reason}", failed.message), ..failed },
        _ => failed,
    }
}

/// Why the program did not start, by what was said to its exec.
fn not_run(session: &Session, launch: &Launch, ending: &Ending, errno: i32) -> Failed {
    let program = launch.program.lossy();
    if let Some(Reason::Failed(_)) = ending.reason() {
        return because(Failed::new(123, format!("`{program}` was not run"), ""), ending);
    }
    if let Some(denial) = session.line.denials.last(1).first() {
        let because = denial.get("because").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Failed::new(124, format!("policy refuses to run `{program}`: {because}"), "`interlock policy explain` shows which rule");
    }
    let error = std::io::Error::from_raw_os_error(errno);
    Failed::new(if errno == libc::ENOENT { 127 } else { 126 }, format!("`{program}` cannot be run: {error}"), "")
}

struct Running {
    launch: Launch,
    tree: Tree,
    session: Arc<Session>,
    ending: Arc<Ending>,
    status: Option<Value>,
}

impl Running {
    /// Watches until the tree is empty or is to be ended; the supervisor's exit code.
    fn watch(mut self) -> i32 {
        loop {
            let buffered = !self.tree.words.buffer().is_empty();
            let ready = if buffered { vec![0] } else { wait_readable(&[self.tree.words.get_ref().as_fd(), self.ending.announced()], -1) };
            if ready.contains(&1) {
                return self.end();
            }
            match launch::word(&mut self.tree.words) {
                Some(Word::Exited { code, signal }) => self.exited(code, signal),
                Some(Word::Empty) => return self.end(),
                // At once: the command's end, which follows, is the other sentinel's doing.
                Some(Word::SentinelLost) => {
                    self.ending.failed("a sentinel ended");
                    return self.end();
                }
                Some(Word::Born { .. }) => {}
                None => {
                    self.ending.failed("the guardian ended");
                    return self.end();
                }
            }
        }
    }

    fn exited(&mut self, code: i32, signal: Option<i32>) {
        self.status = Some(json!({"code": code, "signal": signal}));
        let running = self.session.members.all();
        self.session.line.uplink.tell_suppressed();
        let _gone = self.session.line.uplink.send(json!({"type": "exited", "code": code, "signal": signal, "running": running}));
        if self.launch.end == End::Kill && !running.is_empty() {
            self.ending.told("the command ended");
        }
    }

    /// Ends what still runs, closes the log, says the last word.
    fn end(self) -> i32 {
        let Running { tree, session, ending, status, .. } = self;
        session.line.questions.close("the session ended");
        let Tree { guardian, neck, orders, words, .. } = tree;
        drop(neck);
        end_tree(guardian, &session.members.sentinels, &orders);
        drop((orders, words));
        session.settle_down(ANSWERS);
        session.objects.close();
        let (reason, code) = match ending.reason() {
            Some(Reason::Failed(reason)) => (reason, 123),
            Some(Reason::Told(reason)) => (reason, 0),
            None => ("the last process ended".to_owned(), 0),
        };
        let counts = session.line.totals.json();
        let later = session.line.later.left();
        let (listed, rest) = later.in_records();
        for more in rest {
            // Should it not be taken, the counts of the closing record still say how many there were.
            let _poisoned = session.line.record(Record::Ordered, json!({"type": "session.changed", "runs_later": more}));
        }
        let mut closing = json!({"type": "session.closed", "status": status, "counts": counts, "reason": reason});
        later.tell(&mut closing, &listed);
        let checkpoint = session.line.close(closing);
        let code = if checkpoint.is_err() { 123 } else { code };
        let reason = match (&checkpoint, code) {
            (Err(error), _) => format!("{reason}; the ledger could not be closed: {error}"),
            (Ok(_), 123) => format!("interlock failed: {reason}"),
            _ => reason,
        };
        let mut message = json!({"type": "ended", "code": code, "counts": counts, "checkpoint": checkpoint.ok(), "reason": reason});
        later.tell(&mut message, &listed);
        session.line.uplink.tell_suppressed();
        let _gone = session.line.uplink.send(message);
        code
    }
}

/// The sentinels end the tree when their pipe hangs up, the guardian sweeps what they leave (they may be gone) and ends. Should it not (it may be
/// stopped), it is ended: its orphans are this process's then.
fn end_tree(guardian: i32, sentinels: &[i32], orders: &UnixStream) {
    let _gone = orders.shutdown(Shutdown::Both);
    if let Ok(held) = process::descriptor(guardian) {
        wait_readable(&[held.as_fd()], GUARDIAN_MS);
    }
    let _gone = process::kill(guardian, libc::SIGKILL);
    sweep(sentinels);
}
