//! The steps of the command's process, as the supervisor follows them: a line for each that was taken, and a byte for each that may be.

use super::failed::{Failed, step_max};
use crate::sys::descriptors::{self, write_all};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};

/// Lines from the command's process, and its leave to go on. Hung up, that process ends.
pub(crate) struct Steps {
    lines: BufReader<File>,
    go: OwnedFd,
}

impl Steps {
    pub(crate) fn new(lines: OwnedFd, go: OwnedFd) -> Self {
        Self { lines: BufReader::new(File::from(lines)), go }
    }

    /// Lets it go on from where it waits.
    pub(crate) fn go_on(&self) -> Result<(), Failed> {
        write_all(self.go.as_fd(), b"!").map_err(|error| Failed::own("the command", error))
    }

    /// The words of the next line; `awaited` says what did not happen if it does not come.
    pub(crate) fn next(&mut self, awaited: &str) -> Result<Vec<String>, Failed> {
        let milliseconds = i32::try_from(step_max().as_millis()).unwrap_or(i32::MAX);
        if self.lines.buffer().is_empty() && descriptors::wait_readable(&[self.lines.get_ref().as_fd()], milliseconds).is_empty() {
            return Err(Failed::late(awaited));
        }
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).map_err(|error| Failed::own("the start", error))?;
        if read == 0 {
            return Err(Failed::own("the start", "the command's process ended before its program ran"));
        }
        match line.split_whitespace().map(str::to_owned).collect::<Vec<_>>() {
            words if words.first().is_some_and(|word| word == "failed") => Err(Failed::at_step(&words)),
            words => Ok(words),
        }
    }

    /// Waits until the process is another program. What the kernel or the door said if it could not be.
    pub(crate) fn executed(mut self) -> Result<Option<i32>, Failed> {
        let mut line = String::new();
        // No deadline here: policy may ask a human about the very first exec.
        let read = self.lines.read_line(&mut line).map_err(|error| Failed::own("the command", error))?;
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] if read == 0 => Ok(None),
            ["failed", "exec", errno] => Ok(errno.parse().ok()),
            _ => Err(Failed::own("the command", line.trim())),
        }
    }
}
