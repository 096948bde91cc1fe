//! The guardian: the tree's sub-reaper. It starts the command, reaps what is orphaned, tells the supervisor what ended, and ends the tree when
//! the supervisor is gone. One thread, outside the wall.
//!
//! Four processes hold the tree by the neck, each watching the others: supervisor, guardian and two sentinels.

use super::command::{self, Start};
use super::sweep::sweep;
use crate::machine::capability;
use crate::sys::capabilities;
use crate::sys::descriptors::{self, wait_readable};
use crate::sys::process::{self, Ended, Forked};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

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
    process::call_itself(c"jail-guardian");
    // What the supervisor keeps aside is the supervisor's alone, and what forks from here on would have it too.
    if capabilities::keep(capability::supervisor(), 0).is_err() {
        process::leave(1);
    }
    let command = match (process::adopt_orphans(), process::fork_unseen()) {
        (Ok(()), Ok(Forked::Child)) => {
            drop((link, neck));
            command::run(start)
        }
        (Ok(()), Ok(Forked::Parent(command))) => command,
        _ => process::leave(1),
    };
    // Neither in the supervisor's session nor group: one kill is not to take both. Only now, since the command stays there (`command`).
    process::new_session();
    start.forget();
    process::keep_from_oom();
    descriptors::close_all_but(&[0, 1, 2, link.as_raw_fd(), neck.as_raw_fd()]);
    descriptors::detach_stdio();
    say(&mut link, &Word::Born { command });
    let sentinels = watch(command, &mut link);
    drop(neck);
    sweep(&sentinels);
    process::leave(0)
}

/// Returns when the tree is to be ended: the supervisor is gone, or says so by hanging up. Gives the sentinels, as far as they were named.
///
/// A sentinel is a child that wait(2) does not see (it was forked without an exit signal), so that "no child" means: the tree is empty.
fn watch(command: i32, link: &mut UnixStream) -> Vec<i32> {
    let mut sentinels = Sentinels::default();
    let Ok(events) = process::child_events() else { return sentinels.processes };
    let Ok(mut orders) = link.try_clone().map(BufReader::new) else { return sentinels.processes };
    let mut exited = false;
    loop {
        let ended = reap(command);
        exited |= ended.command.is_some();
        // Before the command's end is said: a lost sentinel's twin strikes the command, and that is no status of its own.
        if sentinels.any_lost() {
            say(link, &Word::SentinelLost);
        }
        ended.say(exited, link);
        let fixed = [link.as_fd(), events.as_fd()].into_iter();
        let ready = wait_readable(&fixed.chain(sentinels.held.iter().map(AsFd::as_fd)).collect::<Vec<_>>(), -1);
        if ready.contains(&0) {
            let mut line = String::new();
            match orders.read_line(&mut line) {
                Ok(1..) => sentinels = Sentinels::named(&line),
                _ => return sentinels.processes,
            }
            if sentinels.held.len() < SENTINELS {
                say(link, &Word::SentinelLost);
            }
        }
        if ready.contains(&1) {
            descriptors::drain(events.as_fd());
        }
    }
}

/// How many there are.
const SENTINELS: usize = 2;

/// The sentinels' ids, and what is held of them while all of them live.
#[derive(Default)]
struct Sentinels {
    processes: Vec<i32>,
    held: Vec<OwnedFd>,
}

impl Sentinels {
    fn named(line: &str) -> Self {
        let processes: Vec<i32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let held = processes.iter().filter_map(|process| process::descriptor(*process).ok()).collect();
        Self { processes, held }
    }

    /// Whether one has ended since this was asked last.
    fn any_lost(&mut self) -> bool {
        let held: Vec<_> = self.held.iter().map(AsFd::as_fd).collect();
        let lost = !held.is_empty() && !wait_readable(&held, 0).is_empty();
        if lost {
            self.held.clear();
        }
        lost
    }
}

/// What a look at the ended children found.
struct Reaped {
    command: Option<Ended>,
    empty: bool,
}

/// Reaps whatever has ended.
fn reap(command: i32) -> Reaped {
    let mut found = Reaped { command: None, empty: false };
    loop {
        match process::reap(false) {
            Ok(Some(ended)) if ended.process == command => found.command = Some(ended),
            Ok(Some(_)) => {}
            Ok(None) => return found,
            Err(_) => return Reaped { empty: true, ..found },
        }
    }
}

impl Reaped {
    /// Once the command has ended, an empty tree is said.
    fn say(&self, exited: bool, link: &mut UnixStream) {
        if let Some(ended) = self.command {
            say(link, &Word::Exited { code: ended.code, signal: ended.signal });
        }
        if self.empty && exited {
            say(link, &Word::Empty);
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
