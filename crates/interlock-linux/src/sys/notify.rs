//! seccomp user notification: installing the filter, receiving calls, answering them (seccomp(2), seccomp_unotify(2)).
//!
//! The program itself is emitted by `filter`; which thread receives is `door::receive`'s matter.

use super::check;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const SET_MODE_FILTER: libc::c_ulong = 1;
const GET_NOTIF_SIZES: libc::c_ulong = 3;
const GET_ACTION_AVAIL: libc::c_ulong = 2;
const FLAG_NEW_LISTENER: libc::c_ulong = 1 << 3;
/// Bit 5. Bit 4 is TSYNC_ESRCH: the kernel takes it without a word and the wait stays interruptible.
const FLAG_WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

const RECV: libc::Ioctl = 0xc050_2100;
const SEND: libc::Ioctl = 0xc018_2101;
const ID_VALID: libc::Ioctl = 0x4008_2102;
const ADDFD: libc::Ioctl = 0x4018_2103;
const SET_FLAGS: libc::Ioctl = 0x4008_2104;

const SEND_CONTINUE: u32 = 1;
const ADDFD_SEND: u32 = 2;
const ADDFD_SETFD: u32 = 1;
const FD_SYNC_WAKE_UP: u64 = 1;

/// The id of what no caller waits for: the kernel counts from the bottom.
pub const NOBODYS: u64 = u64::MAX;

/// One trapped system call: registers only. What its pointers point to is a snapshot somebody else may change.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Call {
    /// Cookie of the notification: no other call of the listener has it.
    pub id: u64,
    /// Thread id of the caller in the supervisor's pid namespace.
    pub thread: i32,
    pub number: i32,
    pub arguments: [u64; 6],
}

/// One instruction of classic BPF.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub constant: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction_pointer: u64,
    arguments: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddDescriptor {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

/// Installs `program` on the calling thread and returns its listener. `no_new_privs` must be set.
///
/// # Errors
/// EBUSY: another listener stands already (an outer Interlock, some containers). EINVAL: the kernel lacks a flag (5.19).
pub fn install(program: &[Instruction]) -> io::Result<OwnedFd> {
    let program = Program { length: u16::try_from(program.len()).unwrap_or(u16::MAX), instructions: program.as_ptr() };
    let flags = FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: `program` points to a live slice for the whole call; the kernel copies it.
    let descriptor = check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(descriptor).unwrap_or(-1)) })
}

/// Whether the kernel knows `SECCOMP_RET_USER_NOTIF` with the structure sizes this program was built for.
#[must_use]
pub fn known() -> bool {
    let action: u32 = 0x7fc0_0000;
    let mut sizes = [0u16; 3];
    // SAFETY: both calls read or fill a live local of the size the kernel expects (u32; three u16).
    unsafe {
        libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) == 0
            && libc::syscall(libc::SYS_seccomp, GET_NOTIF_SIZES, 0, sizes.as_mut_ptr()) == 0
            && sizes == [80, 24, 64]
    }
}

/// Where trapped calls arrive and their answers go. A call can be answered by whoever holds this, and by nobody else.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl From<OwnedFd> for Listener {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl Listener {
    /// Waits for the next trapped call. `Ok(None)`: the caller vanished before it could be received, or no filtered task is left.
    ///
    /// # Errors
    /// Whatever the kernel says but ENOENT and EINTR.
    pub fn receive(&self) -> io::Result<Option<Call>> {
        let mut found = Notification::default();
        // SAFETY: `found` is a zeroed seccomp_notif, as the kernel demands.
        match done(unsafe { libc::ioctl(self.0.as_raw_fd(), RECV, &raw mut found) }) {
            Ok(()) => {
                let thread = i32::try_from(found.pid).unwrap_or(0);
                Ok(Some(Call { id: found.id, thread, number: found.number, arguments: found.arguments }))
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A look at who waits, for those who answer nothing.
    #[must_use]
    pub fn watch(&self) -> Watch<'_> {
        Watch(self.0.as_fd())
    }

    /// Whether a call waits to be received. Another receiver may be quicker.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.look() & libc::POLLIN != 0
    }

    /// Whether no filtered task is left, now and for ever.
    #[must_use]
    pub fn deserted(&self) -> bool {
        self.look() & libc::POLLHUP != 0
    }

    fn look(&self) -> libc::c_short {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd.
        if unsafe { libc::poll(&raw mut poll, 1, 0) } == 1 { poll.revents } else { 0 }
    }

    /// Answers with a return value.
    ///
    /// # Errors
    /// ENOENT: the caller is gone.
    pub fn value(&self, id: u64, value: i64) -> io::Result<()> {
        self.send(&Response { id, value, error: 0, flags: 0 })
    }

    /// Answers with a (positive) errno.
    ///
    /// # Errors
    /// ENOENT: the caller is gone.
    pub fn errno(&self, id: u64, errno: i32) -> io::Result<()> {
        self.send(&Response { id, value: 0, error: -errno, flags: 0 })
    }

    /// Lets the kernel go on with the caller's own arguments. Whoever calls this has a proof that it may (`door::answer`).
    ///
    /// # Errors
    /// ENOENT: the caller is gone.
    pub fn go_on(&self, id: u64) -> io::Result<()> {
        self.send(&Response { id, value: 0, error: 0, flags: SEND_CONTINUE })
    }

    /// Installs `file` in the caller at its lowest free descriptor and makes that number the call's result, in one step.
    ///
    /// # Errors
    /// ENOENT: the caller is gone. EMFILE: its table is full. EBADF: `file` is an `O_PATH` descriptor.
    pub fn inject(&self, id: u64, file: BorrowedFd<'_>, close_on_exec: bool) -> io::Result<()> {
        let request = AddDescriptor {
            id,
            flags: ADDFD_SEND,
            source: u32::try_from(file.as_raw_fd()).unwrap_or(u32::MAX),
            target: 0,
            target_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: a live seccomp_notif_addfd; both descriptors are borrowed for the call.
        done(unsafe { libc::ioctl(self.0.as_raw_fd(), ADDFD, &raw const request) })
    }

    /// Puts `file` in the caller's table under `number`, in the place of what is there. The call still waits.
    ///
    /// # Errors
    /// ENOENT: the caller is gone. EBADF: it cannot have that number.
    pub fn exchange(&self, id: u64, file: BorrowedFd<'_>, number: i32, close_on_exec: bool) -> io::Result<()> {
        let request = AddDescriptor {
            id,
            flags: ADDFD_SETFD,
            source: u32::try_from(file.as_raw_fd()).unwrap_or(u32::MAX),
            target: u32::try_from(number).unwrap_or(u32::MAX),
            target_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: a live seccomp_notif_addfd; both descriptors are borrowed for the call.
        done(unsafe { libc::ioctl(self.0.as_raw_fd(), ADDFD, &raw const request) })
    }

    /// Keeps the hand-over between caller and supervisor on one CPU (6.6).
    ///
    /// # Errors
    /// EINVAL or ENOTTY on an older kernel; nothing is lost then but time.
    pub fn wake_synchronously(&self) -> io::Result<()> {
        // SAFETY: the argument is the flag word itself, not a pointer.
        done(unsafe { libc::ioctl(self.0.as_raw_fd(), SET_FLAGS, FD_SYNC_WAKE_UP) })
    }

    fn send(&self, response: &Response) -> io::Result<()> {
        // SAFETY: a live seccomp_notif_resp.
        done(unsafe { libc::ioctl(self.0.as_raw_fd(), SEND, std::ptr::from_ref(response)) })
    }
}

/// Tells whether callers still wait for their answers, and does no more.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a>(BorrowedFd<'a>);

impl Watch<'_> {
    /// Whether the caller still waits for the answer to the call `id`.
    #[must_use]
    pub fn waits(self, id: u64) -> bool {
        // SAFETY: the kernel reads one u64.
        unsafe { libc::ioctl(self.0.as_raw_fd(), ID_VALID, &raw const id) == 0 }
    }
}

fn done(result: libc::c_int) -> io::Result<()> {
    check(i64::from(result)).map(|_| ())
}
