//! The sweep: how guardian and supervisor end what the sentinels left, should both of them be dead.
//!
//! Whoever looks and then kills is behind a chain that forks, leaves its session and ends, over and over. So what turns up after a first strike
//! is bound to the processor of the sweep, which its children inherit: it stands still while the sweep looks and kills. With each process goes
//! its group, in one step, and with it a child that has not left the group yet. Nobody sleeps while anything new turns up.
//!
//! Only ids that cannot be another's are signalled: children of this process stay theirs until it reaps them, and what lies deeper is held by a
//! descriptor while its parent is looked at. Groups are safe as well: nobody but supervisor and guardian, whose groups are left alone, shares a
//! session with the tree.
//!
//! INVARIANT: it returns when this process has no child left, which the kernel says and no look at `/proc`: a sub-reaper without children is a
//! sub-reaper without descendants.

use super::members;
use crate::sys::children::{self, Left};
use crate::sys::process;
use crate::sys::threads::Bound;
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the sentinels are left to end the tree alone, and between two looks meanwhile.
const STROKE: Duration = Duration::from_millis(30);
const STROKE_LOOK: Duration = Duration::from_micros(200);
/// Between two looks while all that is left was struck and has only to end.
const END_LOOK: Duration = Duration::from_millis(5);
/// After so many of these everything is struck again: an id may be another's by then.
const AGAIN_LOOKS: u32 = 50;

/// Ends every descendant of this process, the `sentinels` (which may be dead) last. To be called by the thread that forked.
pub fn sweep(sentinels: &[i32]) {
    let begun = Instant::now();
    while begun.elapsed() < STROKE {
        if children::reap_all(|_| ()) == Left::None {
            return;
        }
        std::thread::sleep(STROKE_LOOK);
    }
    let (mut struck, mut bound, mut looks) = (BTreeSet::new(), None, 0);
    while children::reap_all(|ended| _ = struck.remove(&ended)) == Left::Some {
        if strike_all(sentinels, bound.as_ref(), &mut struck) {
            bound = bound.or_else(Bound::here);
        } else {
            std::thread::sleep(END_LOOK);
            looks += 1;
            if looks % AGAIN_LOOKS == 0 {
                struck.clear();
            }
        }
    }
}

/// Strikes what was not struck yet; whether there was any. What turns up after a first strike is ahead of this process, and `bound`.
fn strike_all(sentinels: &[i32], bound: Option<&Bound>, struck: &mut BTreeSet<i32>) -> bool {
    let (guards, tree): (Vec<i32>, Vec<i32>) = members::own_children().into_iter().partition(|child| sentinels.contains(child));
    let mut fresh = false;
    for child in tree.iter().copied() {
        let below = members::descendants_at_a_glance(child);
        fresh |= strike(child, bound, struck);
        for process in below {
            fresh |= strike_below(process, struck);
        }
    }
    if tree.is_empty() {
        for guard in guards {
            fresh |= strike(guard, None, struck);
        }
    }
    fresh
}

/// A child of this process: its id is its own until it is reaped here.
fn strike(child: i32, bound: Option<&Bound>, struck: &mut BTreeSet<i32>) -> bool {
    if !struck.insert(child) {
        return false;
    }
    if let Some(bound) = bound {
        bound.bind(child);
    }
    // The tree may share the supervisor's session, and whoever shares a session may join any group in it.
    let keepers = [process::group_of(process::id()), process::group_of(process::parent())];
    if let Some(group) = process::group_of(child).filter(|group| !keepers.contains(&Some(*group))) {
        let _gone = process::kill(-group, libc::SIGKILL);
    }
    let _gone = process::kill(child, libc::SIGKILL);
    true
}

/// What lies deeper, found after its parent: held first, then known by a parent that was struck. Should that one have ended meanwhile, it is this
/// process's own child now and is found again.
fn strike_below(process: i32, struck: &mut BTreeSet<i32>) -> bool {
    let Ok(held) = process::descriptor(process) else { return false };
    if !members::parent_of(process).is_some_and(|parent| struck.contains(&parent)) {
        return false;
    }
    let _gone = process::signal_by(held.as_fd(), libc::SIGKILL);
    struck.insert(process)
}
