//! Which private copies a session has: of files whose keys policy guards, and of nothing, where a name is made at which only content of before may
//! stand. What is written to one is put in place when nobody can write to it any more.
//!
//! Left out: making a copy, and putting it in place (`file::copy`). Each has a thread that waits until it is whole.

use super::handover::Handovers;
use super::missing::Makers;
use super::seen::caller::{Reached, Stop};
use super::seen::place::Place;
use crate::line::Observed;
use crate::sys::copies;
use crate::sys::credentials::{self, Identity};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use crate::sys::notify::Call;
use interlock_core::action::{Inode, Verb};
use interlock_core::facts::Origin;
use interlock_core::keys::changes_content;
use std::collections::HashSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Copies at one time.
const COPIES_MAX: usize = 64;
/// Files of a session that get a name themselves.
const NAMED_MAX: usize = 65_536;
/// How long the thread of a copy waits between two looks, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
/// How long whoever opens the file waits for it to be put in place where a human is asked, and where nothing but a slow disk is in the way.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Starts the thread of a copy.
pub type Keeping = Box<dyn Fn(Arc<Copy>) -> std::io::Result<Thread> + Send + Sync>;

/// All copies of a session.
pub struct Copies {
    /// How many there are: asked by every call, of the field itself.
    pub count: AtomicUsize,
    all: Mutex<Vec<Arc<Copy>>>,
    ended: Condvar,
    /// Whether none is put in place any more.
    finished: AtomicBool,
    keeping: Keeping,
    /// What gets a name itself, or got one. A number that is used again is refused what it need not be.
    named: Mutex<HashSet<Inode>>,
}

/// One of them.
#[allow(missing_docs)]
pub struct Copy {
    pub name: Vec<u8>,
    pub place: Place,
    pub of: Of,
    /// The empty file that the first open made for it, held.
    pub begun: Option<Begun>,
    /// The object that answers carry which hand it over.
    carried: Inode,
    /// The copy, open for reading.
    pub file: OwnedFd,
    /// What it was before anybody had it.
    pub at_first: Stat,
    /// Who opened it first.
    pub call: Call,
    pub identity: Option<Identity>,
    /// Who is told if it is not put in place; nobody of a file that is there, which stays as it was.
    pub makers: Arc<Makers>,
    /// While it is decided, which may take a human's answer.
    pub asking: AtomicBool,
    closed: AtomicBool,
    keeper: OnceLock<Thread>,
}

/// The empty file that an open made for a copy, held, and what it was then.
#[allow(missing_docs)]
pub struct Begun {
    pub file: OwnedFd,
    pub stat: Stat,
}

/// What it is a copy of.
pub enum Of {
    /// A file that is there, and where that comes from.
    File(Stat, Origin),
    /// Nothing. The act that is recorded when it holds something else than what stood there before (`History`).
    Nothing(Box<Observed>, Given),
}

/// What gets a name that was not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The very file that was written. Nobody who comes to it without a name writes or links it, so it stays what was decided ([`Copies::untouched`]).
    Itself,
    /// A file of Interlock's own.
    Own,
}

/// What there is for whoever wants to write to a file.
pub enum Wanted<T> {
    /// What came of the copy that is there.
    Found(T),
    /// What was written before is not in place yet.
    Closed,
    /// More copies than there may be.
    TooMany,
}

impl Copies {
    /// None yet.
    #[must_use]
    pub fn new(keeping: Keeping) -> Self {
        Self {
            count: AtomicUsize::new(0),
            all: Mutex::default(),
            ended: Condvar::new(),
            finished: AtomicBool::new(false),
            keeping,
            named: Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Copy>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the copy of the file `of`, or of nothing, which is called `name`; makes it if there is none. None is closed meanwhile.
    ///
    /// # Errors
    /// Those of `found` and `made`; that no thread could be started.
    pub fn want<T, E: From<std::io::Error>>(
        &self,
        (name, of): (&[u8], Option<&Stat>),
        found: impl FnOnce(&Copy) -> Result<T, E>,
        made: impl FnOnce() -> Result<(Copy, T), E>,
    ) -> Result<Wanted<T>, E> {
        let mut all = self.all();
        match all.iter().find(|copy| copy.name == name && copy.of.is(of)) {
            Some(copy) if copy.closed.load(Ordering::Acquire) => return Ok(Wanted::Closed),
            Some(copy) => return found(copy).map(Wanted::Found),
            None if all.len() >= COPIES_MAX => return Ok(Wanted::TooMany),
            None => {}
        }
        let (copy, got) = made()?;
        let copy = Arc::new(copy);
        let keeper = (self.keeping)(Arc::clone(&copy))?;
        let _first = copy.keeper.set(keeper);
        all.push(copy);
        self.count.fetch_add(1, Ordering::AcqRel);
        Ok(Wanted::Found(got))
    }

    /// From now on nobody comes to this object by a descriptor to write or link it.
    ///
    /// # Errors
    /// EMFILE: there were too many.
    pub fn will_be_named(&self, object: Inode) -> Sys<()> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= NAMED_MAX {
            return Err(Errno(libc::EMFILE));
        }
        named.insert(object);
        Ok(())
    }

    /// What gets a name itself, or got one, is written and linked by nobody who comes to it without a name: its descriptors lead to it for as long
    /// as they are kept.
    ///
    /// # Errors
    /// A refusal.
    pub fn untouched(&self, object: Inode, verbs: &[Verb], name: &[u8]) -> Result<(), Stop> {
        let touching = verbs.iter().any(|verb| changes_content(*verb));
        if touching && self.named.lock().unwrap_or_else(PoisonError::into_inner).contains(&object) {
            let because = "it gets its name when it is complete, and no other one";
            return Err(Stop::Refused { reached: Reached::Path(name.to_vec()), because, errno: libc::EACCES });
        }
        Ok(())
    }

    /// Waits for what was written to these and is whole to be put in place. Whether anything may have been.
    pub fn settle(&self, which: impl Fn(&Copy) -> bool, handovers: &Handovers) -> bool {
        // For a moment the door holds what the caller has by then, and may have closed again.
        let carried: Vec<Inode> = self.all().iter().filter(|copy| which(copy)).map(|copy| copy.carried).collect();
        carried.into_iter().for_each(|object| handovers.settle(object));
        let all = self.all();
        let waits = |all: &[Arc<Copy>]| all.iter().any(|copy| which(copy) && copy.is_whole());
        if !waits(&all) {
            return false;
        }
        all.iter().filter(|copy| which(copy)).for_each(|copy| copy.wake());
        let (all, _) = self.ended.wait_timeout_while(all, PATIENCE.0, |all| waits(all)).unwrap_or_else(PoisonError::into_inner);
        let is_slow =
            |all: &mut Vec<Arc<Copy>>| all.iter().any(|copy| which(copy) && !copy.asking.load(Ordering::Acquire) && copy.is_whole());
        let _waited = self.ended.wait_timeout_while(all, PATIENCE.1, is_slow).unwrap_or_else(PoisonError::into_inner);
        true
    }

    /// Nobody of the session runs any more: what was written is put in place. What is on its way there gets the time that a slow disk takes. Those that
    /// are left stay as they are: somebody outside has them open for writing.
    #[must_use]
    pub fn finish(&self, at_most: Duration) -> Vec<Arc<Copy>> {
        let begun = Instant::now();
        loop {
            let mut all = self.all();
            let is_on_its_way = all.iter().any(|copy| copy.closed.load(Ordering::Acquire));
            if all.is_empty() || begun.elapsed() >= if is_on_its_way { PATIENCE.1 } else { at_most } {
                self.finished.store(true, Ordering::Release);
                all.retain(|copy| !copy.closed.load(Ordering::Acquire));
                return std::mem::take(&mut *all);
            }
            all.iter().for_each(|copy| copy.wake());
            drop(all);
            std::thread::sleep(LOOKS.0);
        }
    }

    /// Waits until nobody writes to a copy, and closes it: from then on nobody gets it. `stands`: whether the session does; else nothing is to be done.
    pub fn wait_until_whole(copy: &Copy, mut look: impl FnMut() -> Option<bool>) -> bool {
        let mut wait = LOOKS.0;
        loop {
            std::thread::park_timeout(wait);
            match look() {
                Some(false) => wait = (wait * 2).min(LOOKS.1),
                whole => return whole.is_some() && copy.closed.load(Ordering::Acquire),
            }
        }
    }

    /// Closes a copy, if nobody writes to it. Nobody opens one meanwhile.
    pub fn close(&self, copy: &Copy) -> bool {
        let _all = self.all();
        let whole = !self.finished.load(Ordering::Acquire) && copy.is_whole();
        copy.closed.store(whole, Ordering::Release);
        whole
    }

    /// Forgets a copy that is in place, or never will be.
    pub fn remove(&self, copy: &Arc<Copy>) {
        let mut all = self.all();
        if let Some(at) = all.iter().position(|other| Arc::ptr_eq(other, copy)) {
            all.swap_remove(at);
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        self.ended.notify_all();
    }
}

impl Of {
    fn is(&self, of: Option<&Stat>) -> bool {
        match (self, of) {
            (Self::File(stat, _), Some(of)) => stat.same(of),
            (Self::Nothing(..), None) => true,
            _ => false,
        }
    }
}

impl Copy {
    /// A copy that is open to whoever writes to its name. `file` is open for reading.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new((name, place): (&[u8], Place), of: Of, file: OwnedFd, who: (Call, Option<Identity>, Arc<Makers>)) -> Sys<Self> {
        let (call, identity, makers) = who;
        let at_first = files::stat(file.as_fd())?;
        let handed = if let Of::File(stat, _) = &of { stat } else { &at_first };
        let carried = Inode { device: handed.device, number: handed.inode };
        let (asking, closed, keeper) = (AtomicBool::new(false), AtomicBool::new(false), OnceLock::new());
        Ok(Self { name: name.to_vec(), place, of, begun: None, carried, file, at_first, call, identity, makers, asking, closed, keeper })
    }

    /// The same, where the file that it is a copy of was made by the open that made it.
    pub fn of_begun(self, begun: Begun) -> Self {
        Self { begun: Some(begun), ..self }
    }

    /// Whether it is to get a name that is not there.
    pub fn is_anew(&self) -> bool {
        matches!(self.of, Of::Nothing(..))
    }

    /// Whether a program that has closed it expects it at its name: `stat` tells of the old content until then, and git reads as many bytes of a file as
    /// that told. While a human is asked nobody waits.
    pub fn is_awaited(&self) -> bool {
        !self.asking.load(Ordering::Acquire)
    }

    fn wake(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.unpark();
        }
    }

    /// Whether nobody writes to it. It takes the owner of a file to ask.
    fn is_whole(&self) -> bool {
        let ask = || copies::nobody_writes(self.file.as_fd()).unwrap_or(false);
        match &self.identity {
            None => ask(),
            Some(identity) => credentials::assume(identity).is_ok_and(|_assumed| ask()),
        }
    }
}
