//! Who makes names, and who moves them: many make some at one time, and while one moves a name nobody makes or moves another. So what was looked at
//! before a move is what is moved.
//!
//! It holds within a session, and among all sessions of one person: what one of them makes while another moves the folder would come to a name that
//! neither was asked about. Those agree by a lock on a folder that no session comes to (flock(2)).
//! Left out: sessions of other users, and of the same one with another state folder; a state folder on a network's file system, where each lock would
//! be a question to its server (`docs/limits.md`).

use crate::sys::descriptors::{self, Lock};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// How long other sessions are waited for. Each holds the lock for one act.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(2));
/// File systems of a network.
const REMOTE: [i64; 5] = [libc::NFS_SUPER_MAGIC, libc::SMB_SUPER_MAGIC, libc::AFS_SUPER_MAGIC, 0xff53_4d42, 0xfe53_4d42];

/// Who makes and moves names in a session.
#[derive(Default)]
pub struct Naming {
    own: RwLock<()>,
    others: Option<Others>,
}

/// The other sessions.
struct Others {
    folder: File,
    /// How many of this session make a name just now: the lock is theirs together.
    making: Mutex<usize>,
}

impl Naming {
    /// Among all sessions that agree by this folder.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn among(folder: &Path) -> std::io::Result<Self> {
        let folder = File::open(folder)?;
        let is_remote = files::file_system(folder.as_fd()).is_ok_and(|system| REMOTE.contains(&system));
        Ok(Self { own: RwLock::default(), others: (!is_remote).then(|| Others { folder, making: Mutex::default() }) })
    }

    /// Held by whoever makes a name.
    ///
    /// # Errors
    /// EAGAIN: another session does not let it go.
    pub fn making(&self) -> Sys<Making<'_>> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(others) = &self.others {
            let mut making = others.making();
            if *making == 0 {
                others.wait(Lock::Shared)?;
            }
            *making += 1;
        }
        Ok(Making { others: self.others.as_ref(), _own: own })
    }

    /// Held by whoever moves one: nobody makes or moves any meanwhile.
    ///
    /// # Errors
    /// EAGAIN: another session does not let it go.
    pub fn moving(&self) -> Sys<Moving<'_>> {
        let own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        self.others.as_ref().map(|others| others.wait(Lock::Alone)).transpose()?;
        Ok(Moving { others: self.others.as_ref(), _own: own })
    }
}

impl Others {
    fn making(&self) -> MutexGuard<'_, usize> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, how: Lock) -> Sys<()> {
        let (begun, mut look) = (Instant::now(), LOOKS.0);
        while !descriptors::try_lock(self.folder.as_fd(), how)? {
            if begun.elapsed() >= PATIENCE {
                return Err(Errno(libc::EAGAIN));
            }
            std::thread::sleep(look);
            look = (look * 2).min(LOOKS.1);
        }
        Ok(())
    }

    fn let_go(&self) {
        descriptors::unlock(self.folder.as_fd());
    }
}

/// That names may be made.
#[must_use]
pub struct Making<'a> {
    others: Option<&'a Others>,
    _own: RwLockReadGuard<'a, ()>,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if let Some(others) = self.others {
            let mut making = others.making();
            *making -= 1;
            if *making == 0 {
                others.let_go();
            }
        }
    }
}

/// That a name may be moved.
#[must_use]
pub struct Moving<'a> {
    others: Option<&'a Others>,
    _own: RwLockWriteGuard<'a, ()>,
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        if let Some(others) = self.others {
            others.let_go();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn while_one_session_moves_a_name_no_other_makes_any() {
        let folder = std::env::temp_dir().join(format!("interlock-naming-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let sessions: Vec<Naming> = (0..3).map(|_| Naming::among(&folder).unwrap()).collect();
        let (makers, movers) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for (session, number) in sessions.iter().flat_map(|session| (0..3).map(move |number| (session, number))) {
                let (makers, movers) = (&makers, &movers);
                scope.spawn(move || {
                    for _ in 0..100 {
                        if number == 0 {
                            let _moving = session.moving().unwrap();
                            assert_eq!((movers.fetch_add(1, Ordering::SeqCst), makers.load(Ordering::SeqCst)), (0, 0));
                            movers.fetch_sub(1, Ordering::SeqCst);
                        } else {
                            let _making = session.making().unwrap();
                            makers.fetch_add(1, Ordering::SeqCst);
                            assert_eq!(movers.load(Ordering::SeqCst), 0);
                            makers.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        std::fs::remove_dir(&folder).unwrap();
    }
}
