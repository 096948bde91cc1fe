//! Drafts: files without a name, watched until nobody can write them any more.
//!
//! Left out: what becomes of them (`door/file/draft.rs`).

use super::caller::{Reached, Stop};
use super::place::Place;
use crate::line::Observed;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use crate::sys::notify::Call;
use interlock_core::action::{Inode, Verb};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Drafts at a time; further ones are denied.
const DRAFTS_MAX: usize = 256;
/// Files that were drafts in one session; further ones are denied.
const WERE_MAX: usize = 1 << 17;
/// Room for events of the watch, which has no names in it.
const EVENTS_BYTES: usize = 4096;

/// The drafts of one session.
#[derive(Default)]
pub struct Drafts {
    /// How many there are: asked by every call, of the field itself.
    pub count: AtomicUsize,
    open: Mutex<Open>,
    /// One thread settles at a time, so that whoever comes after it finds everything settled.
    pub settling: Mutex<()>,
}

#[derive(Default)]
struct Open {
    watch: Option<OwnedFd>,
    drafts: HashMap<i32, Arc<Draft>>,
    /// What was a draft. A number that is used again is refused what it need not be.
    were: HashSet<Inode>,
}

/// A file without a name, written by whoever made it.
#[allow(missing_docs)]
pub struct Draft {
    /// Open for reading.
    pub file: OwnedFd,
    pub inode: Inode,
    /// The name that it is to get.
    pub place: Place,
    /// The act that is recorded when its content is something else.
    pub act: Observed,
    pub call: Call,
}

impl Drafts {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// What is a draft, or was one and has its name by now, is written and linked by nobody who comes to it without a name: its descriptors
    /// lead to it for as long as they are kept.
    ///
    /// # Errors
    /// A refusal.
    pub fn untouched(&self, object: Inode, verbs: &[Verb], name: &[u8]) -> Result<(), Stop> {
        let touching = verbs.iter().any(|verb| !matches!(verb, Verb::FileRead | Verb::FileUtime));
        if touching && self.open().were.contains(&object) {
            let because = "it gets its name when it is complete, and no other one";
            return Err(Stop::Refused { reached: Reached::Path(name.to_vec()), because, errno: libc::EACCES });
        }
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is closed; it stays a draft until it is finished.
    pub fn closed(&self) -> Vec<(i32, Arc<Draft>)> {
        let open = self.open();
        let Some(watch) = &open.watch else { return Vec::new() };
        let (mut buffer, mut closed) = ([MaybeUninit::uninit(); EVENTS_BYTES], Vec::new());
        let mut events = Reader::new(watch.as_fd(), &mut buffer);
        while let Ok(event) = events.next() {
            closed.push(event.wd());
        }
        closed.into_iter().filter_map(|number| Some((number, Arc::clone(open.drafts.get(&number)?)))).collect()
    }

    /// A draft has got its name, or none.
    pub fn finished(&self, number: i32) {
        let mut open = self.open();
        open.drafts.remove(&number);
        if let Some(watch) = &open.watch {
            // Whatever becomes of the watch, its number is used for nothing else.
            let _gone = inotify::remove_watch(watch, number);
        }
        self.count.store(open.drafts.len(), Ordering::Release);
    }

    /// From now on it is watched.
    ///
    /// # Errors
    /// There are too many, or it cannot be watched.
    pub fn watch(&self, draft: Draft) -> Sys<()> {
        let mut open = self.open();
        if open.drafts.len() >= DRAFTS_MAX || open.were.len() >= WERE_MAX {
            return Err(Errno(libc::EMFILE));
        }
        if open.watch.is_none() {
            open.watch = Some(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| Errno(error.raw_os_error()))?);
        }
        let Some(watch) = &open.watch else { return Err(Errno(libc::EBADF)) };
        let path = files::magic(draft.file.as_fd()).absolute();
        let number = inotify::add_watch(watch, path.as_c_str(), WatchFlags::CLOSE_WRITE).map_err(|error| Errno(error.raw_os_error()))?;
        open.were.insert(draft.inode);
        open.drafts.insert(number, Arc::new(draft));
        self.count.store(open.drafts.len(), Ordering::Release);
        Ok(())
    }
}
