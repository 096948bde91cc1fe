//! Capabilities that are permitted and not effective, taken up by the calling thread for one act and laid down at once (capset(2)).
//!
//! What they are taken up for is the caller's to know (`door::net::sender`).
//!
//! INVARIANT: no thread goes on with what it took up: a thread that cannot lay it down ends the whole process, which ends the tree.

use super::credentials::{capabilities, set_effective};
use super::errno::{Errno, Sys};
use super::process;
use std::marker::PhantomData;

/// Times that laying down is tried: the kernel may lack memory for a moment.
const TRIES: usize = 100;
/// The exit code of a failure of Interlock's own.
const FAILED: i32 = 123;

/// Whether this thread may take all of these up.
pub fn may(wanted: u64) -> bool {
    capabilities().is_ok_and(|(_, permitted)| permitted & wanted == wanted)
}

/// Does `act` with these capabilities besides those that the thread has, and without them again whatever comes of it: an error, a panic.
///
/// # Errors
/// EPERM where they are not permitted, and then nothing is done; else `act`'s own.
pub fn with<T>(wanted: u64, act: impl FnOnce() -> Sys<T>) -> Sys<T> {
    let _raised = if wanted == 0 { None } else { Some(Raised::over(wanted)?) };
    act()
}

/// Gives up for good what is permitted and not effective.
///
/// # Errors
/// ENOMEM.
pub fn renounce() -> Sys<()> {
    let (effective, _) = capabilities()?;
    set_effective(effective, effective)
}

/// The thread's effective set before. It stays on the thread that it was made on.
struct Raised {
    effective: u64,
    permitted: u64,
    _of_this_thread: PhantomData<*const ()>,
}

impl Raised {
    fn over(wanted: u64) -> Sys<Self> {
        let (effective, permitted) = capabilities()?;
        if permitted & wanted != wanted {
            return Err(Errno(libc::EPERM));
        }
        set_effective(effective | wanted, permitted)?;
        Ok(Self { effective, permitted, _of_this_thread: PhantomData })
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if !(0..TRIES).any(|_| set_effective(self.effective, self.permitted).is_ok()) {
            process::leave(FAILED);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SYS_ADMIN: u64 = 1 << 21;

    /// In a thread of its own that may take CAP_SYS_ADMIN up and has it not.
    fn aside(test: impl FnOnce() + Send + 'static) {
        if !may(SYS_ADMIN) {
            return; // an ordinary user has nothing to take up
        }
        let thread = std::thread::spawn(|| {
            let (effective, permitted) = capabilities().unwrap();
            set_effective(effective & !SYS_ADMIN, permitted).unwrap();
            test();
        });
        thread.join().unwrap();
    }

    fn has() -> bool {
        capabilities().unwrap().0 & SYS_ADMIN != 0
    }

    #[test]
    fn it_is_there_for_the_act_and_gone_after_it_an_error_and_a_panic() {
        aside(|| {
            assert!(!has() && with(SYS_ADMIN, || Ok(has())).unwrap() && !has());
            assert!(with(SYS_ADMIN, || Err::<(), _>(Errno(libc::EINTR))).is_err() && !has());
            let panics = || with::<()>(SYS_ADMIN, || std::panic::resume_unwind(Box::new("no")));
            assert!(std::panic::catch_unwind(panics).is_err() && !has());
        });
    }

    #[test]
    fn other_threads_have_nothing_of_it() {
        aside(|| {
            let elsewhere = || std::fs::read_to_string(format!("/proc/{}/task/{}/status", std::process::id(), std::process::id()));
            let before = elsewhere().unwrap();
            let line = |text: &str| text.lines().find(|line| line.starts_with("CapEff")).map(str::to_owned);
            let during = with(SYS_ADMIN, || Ok(elsewhere().unwrap())).unwrap();
            assert_eq!(line(&before), line(&during));
        });
    }

    #[test]
    fn what_was_renounced_cannot_be_taken_up() {
        aside(|| {
            renounce().unwrap();
            assert_eq!(with(SYS_ADMIN, || Ok(())), Err(Errno(libc::EPERM)));
        });
    }
}
