//! ptrace and wait as raw calls: seize a thread for one exec, see its first stop, let it go.
//!
//! Leaves out what a stop means and what to do then (`door::process::traced`). ptrace(2), wait(2).
//! INVARIANT: the kernel binds a tracee to the *thread* that seized it; every call here for one tracee comes from one thread.

use std::io;

/// What a wait of the calling thread for its tracees returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// PTRACE_EVENT_EXEC: the new image is committed, its first instruction has not run. The id is the process id from now on.
    Exec(i32),
    /// PTRACE_EVENT_STOP: back from the system call without a new image.
    Trap(i32),
    /// About to receive this signal.
    Signal(i32, i32),
    /// The thread has ended (and is reaped).
    Ended(i32),
    /// Nothing is traced by this thread any more: another thread's exec swallowed it.
    Nobody,
}

/// Attaches to `thread` without stopping it; an exec of it will stop, and it dies with the tracer.
///
/// # Errors
/// ESRCH: it is gone. EPERM: somebody else traces it, or it may not be traced.
pub fn seize(thread: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, thread, (libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL) as usize)
}

/// Asks for a stop at the thread's next return to user mode: how an exec that failed is seen.
///
/// # Errors
/// ESRCH: it is gone.
pub fn interrupt(thread: i32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, thread, 0)
}

/// Lets a stopped tracee go on untraced, with `signal` delivered first (0: none).
///
/// # Errors
/// ESRCH: it is gone or not stopped.
pub fn detach(thread: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, thread, usize::try_from(signal).unwrap_or(0))
}

fn request(what: libc::c_uint, thread: i32, data: usize) -> io::Result<()> {
    // SAFETY: these requests take two integers and touch no memory of ours.
    let result = unsafe { libc::ptrace(what as _, thread, 0_usize, data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What the stopped tracee's last system call returns to it: a value, or minus an errno.
///
/// # Errors
/// ESRCH: it is gone or not stopped.
pub fn returned(thread: i32) -> io::Result<i64> {
    let offset = std::mem::offset_of!(libc::user, regs) + std::mem::offset_of!(libc::user_regs_struct, rax);
    let mut value: i64 = 0;
    // SAFETY: the raw call stores one word at `value` (the C wrapper would return it instead, mixed up with errors).
    let result = unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_PEEKUSER, thread, offset, &raw mut value) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Lets a stopped tracee go on, traced, with `signal` delivered first (0: none).
///
/// # Errors
/// ESRCH: it is gone or not stopped.
pub fn go_on(thread: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, thread, usize::try_from(signal).unwrap_or(0))
}

/// The registers of a stopped tracee.
///
/// # Errors
/// ESRCH: it is gone or not stopped.
pub fn registers(thread: i32) -> io::Result<libc::user_regs_struct> {
    let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::uninit();
    // SAFETY: the kernel fills `registers`, which outlives the call, or says that it did not.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0_usize, registers.as_mut_ptr()) };
    // SAFETY: filled, as the call succeeded.
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(unsafe { registers.assume_init() }) }
}

/// Gives a stopped tracee these registers.
///
/// # Errors
/// ESRCH: it is gone or not stopped. EIO: they cannot be a process's.
pub fn set_registers(thread: i32, registers: &libc::user_regs_struct) -> io::Result<()> {
    // SAFETY: the kernel only reads `registers`, which outlives the call.
    let result = unsafe { libc::ptrace(libc::PTRACE_SETREGS, thread, 0_usize, std::ptr::from_ref(registers)) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes eight bytes into the memory of a stopped tracee, its program text too: into its own copy of it.
///
/// # Errors
/// ESRCH: it is gone or not stopped. EIO: nothing is mapped there.
pub fn poke(thread: i32, address: u64, bytes: [u8; 8]) -> io::Result<()> {
    // SAFETY: two words by value; no memory of ours is touched.
    let result = unsafe { libc::ptrace(libc::PTRACE_POKETEXT, thread, address as usize, usize::from_ne_bytes(bytes)) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until one of the calling thread's tracees stops or ends.
///
/// # Errors
/// What waitpid(2) gives but EINTR (waited again) and ECHILD (`Stop::Nobody`).
pub fn wait() -> io::Result<Stop> {
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let id = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if id > 0 {
            return Ok(read(id, status));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(Stop::Nobody),
            _ => return Err(error),
        }
    }
}

fn read(id: i32, status: i32) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Ended(id);
    }
    match status >> 16 {
        libc::PTRACE_EVENT_EXEC => Stop::Exec(id),
        0 => Stop::Signal(id, libc::WSTOPSIG(status)),
        _ => Stop::Trap(id),
    }
}

/// Sends `signal` to one thread (`process` guards against a reused id, as far as tgkill(2) can).
///
/// # Errors
/// What tgkill(2) gives.
pub fn signal_thread(process: i32, thread: i32, signal: i32) -> io::Result<()> {
    // SAFETY: three integers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends `signal` to a whole process.
///
/// # Errors
/// What kill(2) gives.
pub fn signal_process(process: i32, signal: i32) -> io::Result<()> {
    // SAFETY: two integers.
    let result = unsafe { libc::kill(process, signal) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    fn child() -> std::process::Child {
        let shell =
            Command::new("/bin/sh").args(["-c", "echo; read x; exec /bin/true"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut shell = shell.unwrap();
        // `spawn` may return while the shell's own exec has yet to finish.
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        shell
    }

    #[test]
    fn an_exec_stops_before_its_first_instruction() {
        let mut shell = child();
        let id = i32::try_from(shell.id()).unwrap();
        seize(id).unwrap();
        drop(shell.stdin.take());
        assert_eq!(wait().unwrap(), Stop::Exec(id));
        let image = std::fs::read_link(format!("/proc/{id}/exe")).unwrap();
        assert_eq!(image.file_name().unwrap(), "true");
        detach(id, 0).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn an_interrupted_thread_traps() {
        let mut shell = child();
        let id = i32::try_from(shell.id()).unwrap();
        seize(id).unwrap();
        interrupt(id).unwrap();
        assert_eq!(wait().unwrap(), Stop::Trap(id));
        detach(id, 0).unwrap();
        drop(shell.stdin.take());
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn an_end_is_seen() {
        let mut shell = child();
        let id = i32::try_from(shell.id()).unwrap();
        seize(id).unwrap();
        signal_process(id, libc::SIGKILL).unwrap();
        assert_eq!(wait().unwrap(), Stop::Ended(id));
        assert!(shell.wait().is_err());
    }
}
