//! A thread in a Landlock domain from which a session's tree descends, and what is done there: the kernel then says of each abstract unix socket
//! whether it was made in that domain or in one below it, and keeps every other away (landlock(7), `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`).
//!
//! A domain is inherited and cannot be joined. So the tree is forked by this thread, and who acts within it is started by it.
//! Left out: the rest of the wall, which the command puts on itself.

use super::errno::{Errno, Sys};
use super::{children, landlock, process};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// As much as a process's first thread has: the guardian goes on with it.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// Between two looks whether a child was handed on.
const HANDED_ON_LOOK: Duration = Duration::from_micros(50);

type Job = Box<dyn FnOnce() + Send>;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Scope(Mutex<Sender<Job>>);

impl Scope {
    /// Starts the thread and puts the domain on it, and `no_new_privs`, which that takes.
    ///
    /// # Errors
    /// No thread could be started, or Landlock refuses.
    pub fn enter(ruleset: OwnedFd) -> io::Result<Self> {
        let (jobs, taken) = channel::<Job>();
        let scope = Self(Mutex::new(jobs));
        Builder::new().name("scope".into()).spawn(move || taken.into_iter().for_each(|job| job()))?;
        scope.within(move || {
            process::control(libc::PR_SET_NO_NEW_PRIVS, 1)?;
            landlock::restrict(ruleset.as_fd())
        })?;
        Ok(scope)
    }

    /// Does `act` in that very thread, while the calling one stands still.
    ///
    /// # Errors
    /// `act`'s own, and EAGAIN when the thread is gone.
    pub fn within<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.lend(act, |job| job()).unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EAGAIN)))
    }

    /// Does `act` in a new thread that has the domain as well, and which may block. The calling one stands still meanwhile.
    ///
    /// # Errors
    /// EAGAIN when there is no thread.
    pub fn beside<T>(&self, act: impl FnOnce() -> T + Send) -> Sys<T> {
        self.lend(act, apart).ok_or(Errno(libc::EAGAIN))
    }

    /// Has `act` fork a child with the domain, which becomes this process's first thread's: that is who waits for it. To be called by that thread.
    ///
    /// # Errors
    /// `act`'s own, and EAGAIN when there is no thread.
    pub fn fork<T>(&self, act: impl FnOnce() -> io::Result<(T, i32)>) -> io::Result<(T, i32)> {
        let forked = self.lend(act, apart).unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EAGAIN)))?;
        // A thread's children are the first thread's as soon as it has ended, which it is about to.
        while !children::is_own(forked.1) {
            std::thread::sleep(HANDED_ON_LOOK);
        }
        Ok(forked)
    }

    /// Nothing when `act` was not done, or did not come to its end.
    fn lend<T>(&self, act: impl FnOnce() -> T, run: impl FnOnce(Job) + Send + 'static) -> Option<T> {
        let (said, answer) = channel();
        let lent = Lent { act, said };
        let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || lent.run());
        // SAFETY: what the job borrows lives until this function returns, and it returns only when `said` is gone: a job drops that last, whether it
        // was run or not.
        let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(Box::new(move || run(job)));
        // A job that was not taken comes back with the error, and is dropped here.
        drop(sent);
        let result = answer.recv().ok();
        // Until the other side is gone as well.
        let _gone = answer.recv();
        result.map(|Moved(result)| result)
    }
}

fn apart(job: Job) {
    // Without a thread the job is dropped, which its owner hears.
    drop(Builder::new().name("scoped".into()).stack_size(STACK_BYTES).spawn(job));
}

/// An act that another thread does while its own stands still. Fields are dropped in this order.
struct Lent<A, T> {
    act: A,
    said: Sender<Moved<T>>,
}

impl<T, A: FnOnce() -> T> Lent<A, T> {
    fn run(self) {
        let Self { act, said } = self;
        let _gone = said.send(Moved(act()));
    }
}

/// What goes between two threads of which one stands still.
struct Moved<T>(T);

// SAFETY: its thread waits in `lend`, so that only one of the two touches what the act holds at any time.
unsafe impl<A, T> Send for Lent<A, T> {}
// SAFETY: as above; the thread that made the result has no use for it any more.
unsafe impl<T> Send for Moved<T> {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    fn name(of: &str) -> SocketAddr {
        SocketAddr::from_abstract_name(format!("interlock-scope-{of}-{}\n@\0", std::process::id())).unwrap()
    }

    #[test]
    fn what_was_made_within_answers_and_nothing_else_does() {
        let scope = Scope::enter(landlock::abstract_only().unwrap()).unwrap();
        let outside = UnixListener::bind_addr(&name("outside")).unwrap();
        let inside = scope.beside(|| UnixListener::bind_addr(&name("inside")).unwrap()).unwrap();
        let reach = |to: &str| UnixStream::connect_addr(&name(to)).map(drop).map_err(|error| error.raw_os_error().unwrap());
        assert_eq!((reach("outside"), reach("inside")), (Ok(()), Ok(())));
        assert_eq!(scope.beside(|| (reach("outside"), reach("inside"))), Ok((Err(libc::EPERM), Ok(()))));
        assert_eq!(scope.beside(|| reach("nobody")), Ok(Err(libc::ECONNREFUSED)));
        drop((outside, inside));
    }

    #[test]
    fn a_panic_is_an_error_and_others_go_on() {
        let scope = Scope::enter(landlock::abstract_only().unwrap()).unwrap();
        assert_eq!(scope.beside(|| std::panic::resume_unwind(Box::new("no"))), Err::<(), _>(Errno(libc::EAGAIN)));
        let mut here = 1;
        scope
            .within(|| {
                here += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(scope.beside(|| here), Ok(2));
    }
}
