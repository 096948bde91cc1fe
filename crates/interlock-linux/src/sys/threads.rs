//! Threads: being woken from a blocking call, and being bound to a processor.

use super::check;
use std::io;

/// The calling thread's id.
#[must_use]
pub fn id() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() }
}

/// The signal that takes a thread of the supervisor out of a blocking call with EINTR.
pub const INTERRUPT: i32 = libc::SIGUSR2;

/// Makes [`INTERRUPT`] interrupt without ending the process or restarting the call.
///
/// # Errors
/// None that the kernel documents for valid arguments.
pub fn prepare_interrupts() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a zeroed sigaction is a valid one; the handler does nothing, so it is safe at any moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        check(i64::from(libc::sigaction(INTERRUPT, &raw const action, std::ptr::null_mut()))).map(|_| ())
    }
}

/// Interrupts a thread of this process.
pub fn interrupt(thread: i32) {
    // SAFETY: a signal whose handler does nothing, to a thread of our own.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, INTERRUPT) };
}

/// The calling thread bound to the processor it runs on, for as long as this lives.
pub struct Bound {
    before: libc::cpu_set_t,
    here: libc::cpu_set_t,
}

impl Bound {
    /// Binds the calling thread where it is. Nothing where the machine refuses.
    #[must_use]
    pub fn here() -> Option<Self> {
        // SAFETY: both sets are live and plain bits; CPU_SET stays within them for the number of an existing processor below their size.
        unsafe {
            let mut before: libc::cpu_set_t = std::mem::zeroed();
            let mut here: libc::cpu_set_t = std::mem::zeroed();
            let processor = usize::try_from(libc::sched_getcpu()).ok().filter(|number| *number < libc::CPU_SETSIZE as usize)?;
            libc::CPU_SET(processor, &mut here);
            let size = std::mem::size_of::<libc::cpu_set_t>();
            let known = libc::sched_getaffinity(0, size, &raw mut before) == 0;
            (known && libc::sched_setaffinity(0, size, &raw const here) == 0).then_some(Self { before, here })
        }
    }

    /// Binds a child of this process to the same processor, and what it forks from now on. A refusal (it is gone, or another user's) is no matter.
    pub fn bind(&self, child: i32) {
        // SAFETY: a live set of that size.
        unsafe { libc::sched_setaffinity(child, std::mem::size_of::<libc::cpu_set_t>(), &raw const self.here) };
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // SAFETY: a live set of that size; the calling thread is the one that was bound, as this never leaves it.
        unsafe { libc::sched_setaffinity(0, std::mem::size_of::<libc::cpu_set_t>(), &raw const self.before) };
    }
}
