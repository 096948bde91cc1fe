//! What happens to the names of one directory while something is made there, as the kernel tells it (inotify(7)).
//!
//! A name says nothing of who made what is there now: between the making and a look somebody else may have put another object in its place. The kernel
//! tells each change of a directory's names under that directory's lock, in order, to whoever watches it by then.
//!
//! INVARIANT: in doubt (no watch could be placed, events were lost) something else has happened.

use super::errno::{Errno, Sys, check};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `struct inotify_event` without its name: watch, mask, cookie and the name's length.
const HEAD_BYTES: usize = 16;
/// Events read at a time, names and all.
const EVENTS_BYTES: usize = 16 * 1024;
/// Reads of one look: what else is made in the directory meanwhile is told as well.
const READS_MAX: usize = 64;
const NAMES: u32 = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
/// Watches without a directory that are kept for the next: closing one takes the kernel long.
const IDLE_MAX: usize = 8;

static IDLE: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<OwnedFd>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A watch on one directory.
#[derive(Debug)]
pub struct Witness {
    queue: Option<OwnedFd>,
    /// The kernel counts these upwards; those of a queue's earlier directories are others.
    watch: i32,
}

impl Witness {
    /// Watches the names of a directory from now on. Nothing where that may not be read, or the user watches all it may.
    #[must_use]
    pub fn of(directory: BorrowedFd<'_>) -> Option<Self> {
        Self::of_events(directory, NAMES)
    }

    /// The same of the directory's own attributes, its access lists among them.
    #[must_use]
    pub fn of_attributes(directory: BorrowedFd<'_>) -> Option<Self> {
        Self::of_events(directory, libc::IN_ATTRIB)
    }

    fn of_events(directory: BorrowedFd<'_>, events: u32) -> Option<Self> {
        let kept = idle().pop();
        let queue = match kept {
            Some(queue) => queue,
            None => queue().ok()?,
        };
        let path = super::files::magic(directory).absolute();
        let mask = events | libc::IN_ONLYDIR;
        // SAFETY: the text is NUL-terminated.
        let watch = check(i64::from(unsafe { libc::inotify_add_watch(queue.as_raw_fd(), path.as_ptr(), mask) })).ok();
        let watch = watch.and_then(|watch| i32::try_from(watch).ok());
        // Dropped without a watch, the queue is kept all the same.
        let witness = Self { queue: Some(queue), watch: watch.unwrap_or(-1) };
        watch.is_some().then_some(witness)
    }

    /// Whether all that has happened to `name` is that it was made, once.
    #[must_use]
    pub fn saw_only_made(&self, name: &CStr) -> bool {
        self.seen(name.to_bytes()).is_some_and(|events| matches!(events.as_slice(), [one] if one & libc::IN_CREATE != 0))
    }

    /// Whether nothing has happened to the directory itself.
    #[must_use]
    pub fn saw_nothing(&self) -> bool {
        self.seen(b"").is_some_and(|events| events.is_empty())
    }

    /// What has happened to one name, the directory's own being empty. Nothing in doubt.
    fn seen(&self, name: &[u8]) -> Option<Vec<u32>> {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; EVENTS_BYTES]);
        for _ in 0..READS_MAX {
            let Some(told) = read(self.queue.as_ref()?, &mut buffer).ok()? else { return Some(seen) };
            for event in InotifyEvent::all(told) {
                let event = event.filter(|event| event.mask & libc::IN_Q_OVERFLOW == 0)?;
                if event.watch == self.watch && event.name == name {
                    seen.push(event.mask);
                }
            }
        }
        None
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        if self.watch >= 0 {
            // SAFETY: integers only.
            unsafe { libc::inotify_rm_watch(queue.as_raw_fd(), self.watch) };
        }
        let mut buffer = vec![0; EVENTS_BYTES];
        let drained = (0..READS_MAX).any(|_| matches!(read(&queue, &mut buffer), Ok(None)));
        let mut idle = idle();
        if drained && idle.len() < IDLE_MAX {
            idle.push(queue);
        }
    }
}

fn queue() -> Sys<OwnedFd> {
    // SAFETY: flags only.
    let number = check(i64::from(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) }))?;
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(number).unwrap_or(-1)) })
}

/// What is told; nothing when all was. Any other failure is an error, since then something may be left untold.
fn read<'b>(queue: &OwnedFd, buffer: &'b mut [u8]) -> Sys<Option<&'b [u8]>> {
    // SAFETY: a live slice and its length.
    let count = check(unsafe { libc::read(queue.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } as i64);
    match count {
        Ok(count) if count > 0 => Ok(usize::try_from(count).ok().and_then(|count| buffer.get(..count))),
        Err(Errno(libc::EAGAIN)) => Ok(None),
        Ok(_) => Err(Errno(libc::EIO)),
        Err(errno) => Err(errno),
    }
}

struct InotifyEvent<'b> {
    watch: i32,
    mask: u32,
    name: &'b [u8],
}

impl<'b> InotifyEvent<'b> {
    /// Each event; nothing for one that cannot be read, which is the last then.
    fn all(mut told: &'b [u8]) -> impl Iterator<Item = Option<Self>> {
        std::iter::from_fn(move || {
            if told.is_empty() {
                return None;
            }
            let event = Self::first(told);
            told = event.as_ref().map_or(&[][..], |(_, rest)| rest);
            Some(event.map(|(event, _)| event))
        })
    }

    fn first(told: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let word = |at: usize| told.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
        let length = usize::try_from(word(12)?).ok()?;
        let name = told.get(HEAD_BYTES..HEAD_BYTES + length)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Some((Self { watch: word(0)? as i32, mask: word(4)?, name }, told.get(HEAD_BYTES + length..)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("interlock-witness-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_was_made_once_is_told_from_what_was_put_there() {
        let (place, other) = (folder("one"), folder("other"));
        let watch = || Witness::of(File::open(&place).unwrap().as_fd()).unwrap();
        for round in 0..3 {
            let witness = watch();
            fs::write(place.join("else"), "").unwrap();
            fs::create_dir(place.join("new")).unwrap();
            assert!(witness.saw_only_made(c"new"), "{round}");
            fs::remove_dir(place.join("new")).unwrap();
            assert!(!witness.saw_only_made(c"new"));
            fs::remove_file(place.join("else")).unwrap();
        }
        let witness = watch();
        fs::create_dir(place.join("new")).unwrap();
        fs::create_dir(other.join("theirs")).unwrap();
        fs::rename(other.join("theirs"), place.join("new")).unwrap();
        assert!(!witness.saw_only_made(c"new"));
        let witness = watch();
        assert!(!witness.saw_only_made(c"new"), "nobody made it");
        fs::remove_dir_all(&place).unwrap();
        fs::remove_dir_all(&other).unwrap();
    }

    #[test]
    fn a_change_of_the_folder_is_told_and_none_of_what_lies_in_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = folder("attributes");
        let witness = Witness::of_attributes(File::open(&place).unwrap().as_fd()).unwrap();
        fs::write(place.join("new"), "").unwrap();
        fs::set_permissions(place.join("new"), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(witness.saw_nothing());
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!witness.saw_nothing());
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_in_doubt() {
        let unread = File::open("/").unwrap();
        let witness = Witness { queue: Some(unread.into()), watch: -1 };
        assert!(!witness.saw_nothing());
    }

    #[test]
    fn what_cannot_be_watched_has_no_witness() {
        assert!(Witness::of(File::open("/proc/self/status").unwrap().as_fd()).is_none());
    }
}
