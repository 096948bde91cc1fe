//! One act in a child that shares this process's memory and descriptors, but has a umask, a working directory, ids and a wall of its own.
//!
//! That is what unshare(2) with CLONE_FS gives a thread; containers refuse it, and leave clone(2) without CLONE_FS. The calling thread stands still
//! meanwhile (CLONE_VFORK), so the child may use what is that thread's (its errno, its thread-locals) as if it were it.

use super::errno::{Errno, Sys, check, last};
use super::raised;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of the child's stack: a few calls deep.
const STACK: usize = 256 * 1024;
/// A page below it that nobody may touch, so that an overflow is a death and no other memory's loss.
const GUARD: usize = 4096;

/// Does `act` in such a child and gives its result. EACCES when the child did not come to its end.
pub fn run<T>(act: impl FnOnce() -> Sys<T>) -> Sys<T> {
    with(libc::CLONE_FILES, act)
}

/// The same in a child that has a copy of the descriptors: what it opens, closes and puts elsewhere is its own, and ends with it. `act` must not
/// drop what owns a descriptor of this process.
pub fn with_descriptors(act: impl FnOnce() -> Sys<()>) -> Sys<()> {
    with(0, act)
}

fn with<T>(shared: libc::c_int, act: impl FnOnce() -> Sys<T>) -> Sys<T> {
    let stack = Stack::new()?;
    let mut job = Job { act: Some(act), result: None };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | shared;
    let argument = (&raw mut job).cast::<c_void>();
    let begin = begin_of(&job);
    // SAFETY: the stack is live and the child's alone; the job outlives it, for this thread goes on only when the child has ended.
    let child = check(i64::from(unsafe { libc::clone(begin, stack.top(), flags, argument) }))?;
    // SAFETY: no status is asked for. Such a child has no exit signal and is waited for by name (__WALL).
    while unsafe { libc::waitpid(child as i32, std::ptr::null_mut(), libc::__WALL) } == -1 && last() == Errno(libc::EINTR) {}
    job.result.unwrap_or(Err(Errno(libc::EACCES)))
}

struct Job<A, T> {
    act: Option<A>,
    result: Option<Sys<T>>,
}

fn begin_of<T, A: FnOnce() -> Sys<T>>(_: &Job<A, T>) -> extern "C" fn(*mut c_void) -> c_int {
    begin::<T, A>
}

extern "C" fn begin<T, A: FnOnce() -> Sys<T>>(argument: *mut c_void) -> c_int {
    // SAFETY: `run` passes a live job of this very type, and waits.
    let job = unsafe { &mut *argument.cast::<Job<A, T>>() };
    // Not for it: what its maker may take up for something else. A panic must not leave Rust; nothing is the result then.
    if raised::renounce().is_ok() {
        job.result = job.act.take().and_then(|act| catch_unwind(AssertUnwindSafe(act)).ok());
    }
    0
}

struct Stack(*mut c_void);

impl Stack {
    fn new() -> Sys<Self> {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: new memory, of no file.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), STACK + GUARD, libc::PROT_READ | libc::PROT_WRITE, kind, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(last());
        }
        let stack = Self(base);
        // SAFETY: the first page of what was just mapped.
        check(i64::from(unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) }))?;
        Ok(stack)
    }

    /// Where it begins: it grows downwards. Page-aligned, as the mapping and its length are.
    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(STACK + GUARD)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nobody uses any more.
        unsafe { libc::munmap(self.0, STACK + GUARD) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    fn umask() -> String {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix("Umask:\t").map(str::to_owned)).unwrap()
    }

    #[test]
    fn what_the_child_puts_on_is_its_own_and_what_it_opens_is_ours() {
        let (before, here) = (umask(), std::env::current_dir().unwrap());
        let opened = run(|| {
            crate::sys::credentials::set_umask(0o031);
            std::env::set_current_dir("/")?;
            assert_eq!(umask(), "0031");
            Ok(std::fs::File::open("/proc/self/comm")?)
        })
        .unwrap();
        assert_eq!((umask(), std::env::current_dir().unwrap()), (before, here));
        assert!(std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).is_ok());
    }

    #[test]
    fn an_error_and_a_panic_are_errors_and_no_child_is_left() {
        assert_eq!(run(|| Err::<(), _>(Errno(libc::ESTALE))), Err(Errno(libc::ESTALE)));
        assert_eq!(run(|| -> Sys<()> { std::panic::resume_unwind(Box::new("no")) }), Err(Errno(libc::EACCES)));
    }
}
