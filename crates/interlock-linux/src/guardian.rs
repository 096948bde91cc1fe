//! The guardian: the tree's sub-reaper. It starts the command, reaps what is orphaned, tells the supervisor what ended, and ends the tree when
//! the supervisor is gone. One thread, outside the wall.
//!
//! Three processes hold the tree by the neck, each watching the others: supervisor, guardian and sentinel.

use crate::command::{self, Start};
use crate::members;
use crate::sys::descriptors::{self, wait_readable};
use crate::sys::process::{self, Forked};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Between two sweeps of a tree that is being ended, in milliseconds.
const SWEEP_MS: u64 = 2;

/// What the guardian says to the supervisor, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Word {
    Born { command: i32 },
    Exited { code: i32, signal: Option<i32> },
    Empty,
    SentinelLost,
}

/// Starts the command and watches until supervisor or tree is gone. `neck`: the end of a pipe only the guardian holds.
pub fn run(start: &Start, mut link: UnixStream, neck: OwnedFd) -> ! {
    let command = match (process::adopt_orphans(), process::fork_unseen()) {
        (Ok(()), Ok(Forked::Child)) => {
            drop((link, neck));
            command::run(start)
        }
        (Ok(()), Ok(Forked::Parent(command))) => command,
        _ => process::leave(1),
    };
    start.forget();
    process::keep_from_oom();
    descriptors::close_all_but(&[0, 1, 2, link.as_raw_fd(), neck.as_raw_fd()]);
    descriptors::detach_stdio();
    say(&mut link, &Word::Born { command });
    watch(command, &mut link);
    sweep();
    drop(neck);
    process::leave(0)
}

/// Returns when the tree is to be ended: the supervisor is gone, or says so by hanging up.
///
/// The sentinel is a child that wait(2) does not see (it was forked without an exit signal), so that "no child" means: the tree is empty.
fn watch(command: i32, link: &mut UnixStream) {
    let Ok(events) = process::child_events() else { return };
    let Ok(mut orders) = link.try_clone().map(BufReader::new) else { return };
    let mut sentinel: Option<OwnedFd> = None;
    let mut exited = false;
    loop {
        exited |= reap(command, exited, link);
        let watched = [Some(link.as_fd()), Some(events.as_fd()), sentinel.as_ref().map(AsFd::as_fd)];
        let ready = wait_readable(&watched.into_iter().flatten().collect::<Vec<_>>(), -1);
        if ready.contains(&0) {
            let mut line = String::new();
            match orders.read_line(&mut line) {
                Ok(1..) => sentinel = line.trim().parse().ok().and_then(|process| process::descriptor(process).ok()),
                _ => return,
            }
            if sentinel.is_none() {
                say(link, &Word::SentinelLost);
            }
        }
        if ready.contains(&1) {
            descriptors::drain(events.as_fd());
        }
        if ready.contains(&2) {
            sentinel = None;
            say(link, &Word::SentinelLost);
        }
    }
}

/// Reaps whatever has ended. Whether the command did; once it has, an empty tree is said.
fn reap(command: i32, mut exited: bool, link: &mut UnixStream) -> bool {
    loop {
        match process::reap(false) {
            Ok(Some(ended)) if ended.process == command => {
                exited = true;
                say(link, &Word::Exited { code: ended.code, signal: ended.signal });
            }
            Ok(Some(_)) => {}
            Ok(None) => return exited,
            Err(_) => {
                if exited {
                    say(link, &Word::Empty);
                }
                return exited;
            }
        }
    }
}

/// A supervisor that does not hear is gone; its hang-up is noticed next.
fn say(link: &mut UnixStream, word: &Word) {
    if let Ok(mut line) = serde_json::to_string(word) {
        line.push('\n');
        let _gone = link.write_all(line.as_bytes());
    }
}

/// Kills every descendant of this process, again and again until there is none. The sentinel, when it lives, has done it at one stroke already.
pub fn sweep() {
    loop {
        let found = members::descendants(process::id());
        for process in &found {
            let _gone = process::kill(*process, libc::SIGKILL);
        }
        while let Ok(Some(_)) = process::reap(false) {}
        if found.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(SWEEP_MS));
    }
}
