//! Git's index put in place: the last moment at which git can fail over what it checked out.
//!
//! Git writes the files of a checkout, closes them without a look at the answer, renames `index.lock` to `index`, and moves its head only then. So
//! if something that it wrote is not there, that rename is refused: git ends with an error, its head where it was, and `git reset --hard` undoes the
//! rest. Which command it is, and what its words mean, matters to nobody here; an index is known by what it begins with.
//! What its words tell before, `checkout` refuses at the lock already. Left out: programs that write no index (`git checkout-index`, `git restore`, tar): they are told of each file that is refused (`file::copy`), and end
//! as they like.

use crate::door::aloud::{self, printable};
use crate::door::errand::Errand;
use crate::door::missing::Makers;
use crate::door::seen::caller::Stop;
use crate::sys::errno::Errno;
use crate::sys::files::{self, Stat};
use interlock_core::action::Verb;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What git adds to the name of a file while it writes it anew.
const LOCK: &[u8] = b".lock";
/// The name of the lock under which git begins (gitrepository-layout(5)).
pub(super) const INDEX_LOCK: &[u8] = b"/index.lock";
/// How an index begins (gitformat-index(5)).
const SIGNATURE: &[u8] = b"DIRC";
/// Names told.
const TOLD_MAX: usize = 8;

/// Notes what the caller could not make at a name, or could not take away: git speaks of it, and may go on all the same.
pub fn noted<T>(errand: &Errand<'_>, name: &[u8], result: Result<T, Stop>) -> Result<T, Stop> {
    let of_git = || name.split(|byte| *byte == b'/').any(|part| part == b".git");
    if matches!(result, Err(Stop::Denied)) && !of_git() {
        if let Ok(makers) = Makers::process_of(&errand.caller) {
            errand.session.missing.note(Arc::new(makers), name);
        }
    }
    result
}

/// A file was made: under the lock of an index git begins, and what its process lacked before has nothing to do with that.
pub fn begun(errand: &Errand<'_>, name: &[u8]) {
    if errand.session.missing.count.load(Ordering::Acquire) > 0 && name.ends_with(INDEX_LOCK) {
        if let Ok(status) = errand.status() {
            let _forgotten = errand.session.missing.take(status.process);
        }
    }
}

/// Before `old` is renamed to `new`: refused where that is an index, and something that its process checked out is missing.
///
/// # Errors
/// That refusal; what ends a wait for an answer.
pub fn complete(errand: &Errand<'_>, old: &[u8], object: Option<(BorrowedFd<'_>, &Stat)>, new: &[u8]) -> Result<(), Stop> {
    let (missing, copies) = (&errand.session.missing, &errand.session.copies);
    let anything = missing.count.load(Ordering::Acquire) > 0 || copies.count.load(Ordering::Acquire) > 0;
    if !anything || old.strip_suffix(LOCK) != Some(new) {
        return Ok(());
    }
    let process = errand.status()?.process;
    answered(errand, process)?;
    let is_index = || object.is_some_and(|(file, stat)| begins_an_index(errand, file, stat));
    if !missing.lacks(process) || !is_index() {
        return Ok(());
    }
    let names = missing.take(process);
    tell(errand, &words(&names));
    errand.session.line.refuse(errand.call, errand.act(Verb::FileRename, new, None), &because(&names));
    Err(Stop::Denied)
}

/// Waits for the answer to what the process wrote, where somebody is asked.
fn answered(errand: &Errand<'_>, process: i32) -> Result<(), Stop> {
    let session = errand.session;
    let wait = || session.copies.settle(|copy| copy.makers.has(process), &session.handovers);
    if !wait() {
        return Ok(());
    }
    // At each turn it is seen whether the caller still waits, and for what signal.
    errand.blocking(|| if wait() { Err(Errno(libc::EINTR)) } else { Ok(()) })
}

fn begins_an_index(errand: &Errand<'_>, file: BorrowedFd<'_>, stat: &Stat) -> bool {
    let begins = || {
        let file = files::reopen(errand.session.ground.own.as_fd(), file, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
        Ok(files::read_small(file)?.starts_with(SIGNATURE))
    };
    // One that cannot be read may be one.
    stat.kind() == libc::S_IFREG && errand.as_caller(begins).unwrap_or(true)
}

/// Says these lines to the caller's standard error.
pub(super) fn tell(errand: &Errand<'_>, lines: &str) {
    if let Some(file) = Makers::process_of(&errand.caller).ok().and_then(|maker| maker.standard_error()) {
        let said = || {
            aloud::say(&errand.session.ground, &file, lines);
            Ok(())
        };
        let _unheard: Result<(), Stop> = errand.as_caller(said);
    }
}

fn because(names: &[Vec<u8>]) -> String {
    format!("git was refused {}, so it must not record that this is checked out", listed(names))
}

fn words(names: &[Vec<u8>]) -> String {
    format!(
        "interlock: git was refused {}, and ends here\n\
        interlock: `git reset --hard` undoes what it began; a person can run the same command outside this session; interlock why\n",
        listed(names)
    )
}

pub(super) fn listed(names: &[Vec<u8>]) -> String {
    if names.is_empty() {
        return "a file that is not known by name any more".to_owned();
    }
    let more = names.len().saturating_sub(TOLD_MAX);
    let named: Vec<String> = names.iter().take(TOLD_MAX).map(|name| printable(name)).collect();
    named.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_whole_lines_without_control_characters() {
        let names: Vec<Vec<u8>> = (0..10).map(|number| format!("/w/\u{1b}[2J{number}\n").into_bytes()).collect();
        let text = words(&names);
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.starts_with("interlock: ") && !line.contains('\u{1b}')), "{text}");
        assert!(text.contains("and 2 more"));
    }
}
