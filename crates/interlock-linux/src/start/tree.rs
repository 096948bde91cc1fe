//! The tree of a session, held by the neck: the guardian, and below it the command's process and the sentinels.
//!
//! INVARIANT: while this lives, so may they; [`Tree::end`] ends them in order, and dropped it ends them at once. Afterwards this process has no child.

use crate::sys::descriptors::wait_readable;
use crate::sys::process;
use crate::tree::failed::{Failed, step_max};
use crate::tree::guardian::Word;
use crate::tree::sweep::sweep;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// How long the guardian is left to see the tree gone, in milliseconds; then this process takes its place.
const GUARDIAN_MS: i32 = 200;

/// The processes of a session that stands.
pub(super) struct Tree {
    guardian: i32,
    words: BufReader<UnixStream>,
    /// Hung up, the guardian ends the tree.
    orders: UnixStream,
    /// Hung up, the sentinels end the tree. Gone once it is ended.
    neck: Option<OwnedFd>,
}

impl Tree {
    /// The tree of a guardian just forked, which talks over `link`.
    pub(super) fn new(guardian: i32, words: UnixStream, orders: UnixStream, neck: OwnedFd) -> Self {
        Self { guardian, words: BufReader::new(words), orders, neck: Some(neck) }
    }

    pub(super) fn guardian(&self) -> i32 {
        self.guardian
    }

    /// Waits for the command's process, this session's first.
    pub(super) fn born(&mut self) -> Result<i32, Failed> {
        let own = |error: std::io::Error| Failed::own("the tree could not be prepared", error);
        self.orders.set_read_timeout(Some(step_max())).map_err(own)?;
        let Some(Word::Born { command }) = self.word() else {
            return Err(Failed::late("the guardian did not start the command's process"));
        };
        self.orders.set_read_timeout(None).map_err(own)?;
        Ok(command)
    }

    /// Names the sentinels to the guardian.
    pub(super) fn name_sentinels(&mut self, [first, second]: [i32; 2]) -> Result<(), Failed> {
        self.orders.write_all(format!("{first} {second}\n").as_bytes()).map_err(|error| Failed::own("the guardian", error))
    }

    /// The next word of the guardian; nothing when it is gone.
    pub(super) fn word(&mut self) -> Option<Word> {
        let mut line = String::new();
        self.words.read_line(&mut line).ok().filter(|read| *read > 0)?;
        serde_json::from_str(&line).ok()
    }

    /// Waits for a word of the guardian, or until `other` is readable. Whether it is.
    pub(super) fn wait_besides(&self, other: BorrowedFd<'_>) -> bool {
        self.words.buffer().is_empty() && wait_readable(&[self.words.get_ref().as_fd(), other], -1).contains(&1)
    }

    /// Ends the tree. The sentinels do so when their pipe hangs up, the guardian sweeps what they leave (they may be gone) and ends. Should it not
    /// (it may be stopped), it is ended: its orphans are this process's then. `others` ends what this process started besides the tree: what has not ended
    /// by itself is swept with the rest, after a stroke that every session would wait for.
    pub(super) fn end(mut self, sentinels: &[i32], others: impl FnOnce()) {
        drop(self.neck.take());
        let _gone = self.orders.shutdown(Shutdown::Both);
        if let Ok(held) = process::descriptor(self.guardian) {
            wait_readable(&[held.as_fd()], GUARDIAN_MS);
        }
        let _gone = process::kill(self.guardian, libc::SIGKILL);
        others();
        sweep(sentinels);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // The guardian's id is its own until it is reaped, which only a sweep does.
        if let Some(neck) = self.neck.take() {
            drop(neck);
            let _gone = process::kill(self.guardian, libc::SIGKILL);
            sweep(&[]);
        }
    }
}
