//! Creation bookkeeping: which objects came into being through this session's door. Missing means `before`.
//!
//! Found by inode, and known by file handle: the file system gives a number again as soon as its object is gone, to an object of anybody's. An
//! object without a handle (`sys/handles`) is never noted, so it counts as `before`.

use crate::sys::handles::{self, Handle};
use interlock_core::facts::Origin;
use interlock_core::target::Inode;
use std::collections::{HashMap, VecDeque};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Objects with a name that are remembered; past it nothing more is noted, so later ones count as `before`.
const OBJECTS_MAX: usize = 1 << 20;
/// Objects without a name: somebody may hold them, and nobody says when they are gone. Past it the oldest are forgotten.
const NAMELESS_MAX: usize = 1 << 16;

/// The objects this session made.
#[derive(Default)]
pub struct Made(Mutex<Objects>);

#[derive(Default)]
struct Objects {
    known: HashMap<Inode, Entry>,
    nameless: VecDeque<Inode>,
}

struct Entry {
    handle: Handle,
    named: bool,
}

impl Made {
    /// Remembers what was just made at a name and is held as `file`.
    pub fn note(&self, object: Inode, file: BorrowedFd<'_>) {
        self.objects().note(object, handles::of(file), true);
    }

    /// Remembers what was just made without a name.
    pub fn note_nameless(&self, object: Inode, file: BorrowedFd<'_>) {
        self.objects().note(object, handles::of(file), false);
    }

    /// An object has got its first name.
    pub fn named(&self, object: Inode) {
        if let Some(entry) = self.objects().known.get_mut(&object) {
            entry.named = true;
        }
    }

    /// An object has lost its last name.
    pub fn unnamed(&self, object: Inode) {
        self.objects().unname(object);
    }

    /// Where the object that is held as `file` comes from.
    #[must_use]
    pub fn origin(&self, object: Inode, file: BorrowedFd<'_>) -> Origin {
        self.compared(object, || handles::of(file))
    }

    /// The same of one name in a directory.
    #[must_use]
    pub fn origin_at(&self, object: Inode, directory: BorrowedFd<'_>, name: &CStr) -> Origin {
        self.compared(object, || handles::at(directory, name))
    }

    /// The kernel is asked only about numbers that are known.
    fn compared(&self, object: Inode, handle: impl FnOnce() -> Option<Handle>) -> Origin {
        let known = self.objects().known.get(&object).map(|entry| entry.handle.clone());
        match known {
            Some(known) if handle() == Some(known.clone()) => Origin::Session,
            _ => Origin::Before,
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects {
    fn note(&mut self, object: Inode, handle: Option<Handle>, named: bool) {
        // What had the number is gone, whatever is known of its successor.
        self.known.remove(&object);
        let Some(handle) = handle.filter(|_| self.known.len() < OBJECTS_MAX) else { return };
        self.known.insert(object, Entry { handle, named });
        if !named {
            self.queue(object);
        }
    }

    fn unname(&mut self, object: Inode) {
        if let Some(entry) = self.known.get_mut(&object) {
            entry.named = false;
            self.queue(object);
        }
    }

    fn queue(&mut self, object: Inode) {
        self.nameless.push_back(object);
        while self.nameless.len() > NAMELESS_MAX {
            let oldest = self.nameless.pop_front();
            if let Some(oldest) = oldest.filter(|oldest| self.known.get(oldest).is_some_and(|entry| !entry.named)) {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::files;
    use std::fs::File;
    use std::os::fd::AsFd as _;

    fn unlinked(number: usize) -> File {
        let path = std::env::temp_dir().join(format!("interlock-made-{}-{number}", std::process::id()));
        let file = File::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }

    fn inode(file: &File) -> Inode {
        let stat = files::stat(file.as_fd()).unwrap();
        Inode { device: stat.device, number: stat.inode }
    }

    #[test]
    fn an_object_under_a_known_number_is_not_the_known_one() {
        let (made, ours, other) = (Made::default(), unlinked(0), unlinked(1));
        made.note(inode(&ours), ours.as_fd());
        assert_eq!(made.origin(inode(&ours), ours.as_fd()), Origin::Session);
        assert_eq!(made.origin(inode(&ours), other.as_fd()), Origin::Before);
        assert_eq!(made.origin(inode(&other), other.as_fd()), Origin::Before);
    }

    #[test]
    fn what_has_no_name_is_known_as_long_as_there_is_room() {
        let (made, kept, held) = (Made::default(), unlinked(2), unlinked(3));
        made.note(inode(&kept), kept.as_fd());
        made.note_nameless(inode(&held), held.as_fd());
        assert_eq!(made.origin(inode(&held), held.as_fd()), Origin::Session);
        for number in 0..NAMELESS_MAX as u64 {
            made.note_nameless(Inode { device: u64::MAX, number }, held.as_fd());
        }
        assert_eq!(made.origin(inode(&held), held.as_fd()), Origin::Before);
        assert_eq!(made.origin(inode(&kept), kept.as_fd()), Origin::Session);
        made.unnamed(inode(&kept));
        assert_eq!(made.origin(inode(&kept), kept.as_fd()), Origin::Session);
        assert!(made.objects().nameless.len() <= NAMELESS_MAX);
    }

    #[test]
    fn what_has_no_handle_is_not_ours() {
        let (made, status) = (Made::default(), File::open("/proc/self/status").unwrap());
        made.note(inode(&status), status.as_fd());
        assert_eq!(made.origin(inode(&status), status.as_fd()), Origin::Before);
    }
}
