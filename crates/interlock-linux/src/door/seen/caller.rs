//! The thread that made a call: its memory, its directory and descriptors, its umask and ids, as they are now.
//!
//! Everything here is keyed by a thread id, which the kernel gives to somebody else once the thread is dead. Hence
//! INVARIANT: nothing read of a caller is acted on before [`Caller::confirm`] has said that it still waits.
//! Left out: what paths mean (`resolve`).

use super::ground::Ground;
use crate::line::Observed;
use crate::sys::errno::{Errno, Sys};
use crate::sys::notify::{Call, Watch};
use crate::sys::{files, memory};
use crate::tree::members::Members;
use interlock_abi::status::{Status, terminal};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// A call's maker, seen from outside.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    call: &'a Call,
    watch: Watch<'a>,
    /// What the door stands on.
    pub ground: &'a Ground,
    /// Who belongs to the session's tree.
    pub members: Members,
}

/// Why a call goes no further.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The kernel's own answer: what natively happens.
    Errno(Errno),
    /// The door refuses without asking policy: recorded as a denial of what was reached for.
    Refused {
        /// What that was.
        reached: Reached,
        /// Why, for the record and for the agent.
        because: &'static str,
        /// What the call returns.
        errno: i32,
    },
    /// Policy, or a human, said no: recorded by the line already.
    Denied,
    /// A signal ends the wait (`restart`).
    Interrupted,
    /// The caller is gone: nothing is done.
    Gone,
}

impl Stop {
    /// What a wait (`Errand::blocking`) is told of it: the kernel's own answer, else EACCES.
    pub fn into_errno(self) -> Errno {
        if let Self::Errno(errno) = self { errno } else { Errno(libc::EACCES) }
    }
}

/// What a refusal of the door's own is recorded as.
#[derive(Clone, Debug, PartialEq)]
pub enum Reached {
    /// A name of the file system; what was to be done with it is the family's to say.
    Path(Vec<u8>),
    /// The whole act.
    Act(Box<Observed>),
}

impl From<Observed> for Reached {
    fn from(act: Observed) -> Self {
        Self::Act(Box::new(act))
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Errno(error.into())
    }
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Errno(error)
    }
}

impl<'a> Caller<'a> {
    /// The maker of `call`, which `watch` sees wait.
    pub fn new(call: &'a Call, watch: Watch<'a>, ground: &'a Ground, members: Members) -> Self {
        Self { call, watch, ground, members }
    }

    /// The call.
    pub fn call(&self) -> &'a Call {
        self.call
    }

    /// Its thread id.
    pub fn thread(&self) -> i32 {
        self.call.thread
    }

    /// The number of the system call.
    pub fn number(&self) -> i32 {
        self.call.number
    }

    /// A register argument, from 0; the kernel has no seventh.
    pub fn argument(&self, index: usize) -> u64 {
        self.call.arguments.get(index).copied().unwrap_or(0)
    }

    /// A register argument that the kernel reads as an int.
    pub fn int(&self, index: usize) -> i32 {
        self.argument(index) as i32
    }

    /// Whether it still waits for the answer, so that all read of it until now was its own.
    pub fn confirm(&self) -> Result<(), Stop> {
        if self.waits() { Ok(()) } else { Err(Stop::Gone) }
    }

    /// Whether it still waits for the answer.
    pub fn waits(&self) -> bool {
        self.watch.waits(self.call.id)
    }

    /// The path that argument `index` points to, NUL excluded: EFAULT, ENAMETOOLONG as the kernel's getname.
    pub fn path(&self, index: usize) -> Sys<Vec<u8>> {
        memory::read_text(self.thread(), self.argument(index), memory::PATH_BYTES_MAX, libc::ENAMETOOLONG)
    }

    /// A text at `address` of at most `limit` bytes with its NUL, else `too_long`.
    pub fn text(&self, address: u64, limit: usize, too_long: i32) -> Sys<Vec<u8>> {
        memory::read_text(self.thread(), address, limit, too_long)
    }

    /// Fills `into` from its memory at `address`.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Sys<()> {
        memory::read(self.thread(), address, into)
    }

    /// Writes `bytes` into its memory at `address`, if it still waits: the memory is held before that is asked, so that it is nobody's who got its
    /// thread id meanwhile.
    ///
    /// # Errors
    /// EFAULT as the kernel; [`Stop::Gone`], and nothing is written.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Stop> {
        let memory = memory::Held::of(self.thread())?;
        self.confirm()?;
        Ok(memory.write(address, bytes)?)
    }

    /// `N` machine words at `address`.
    pub fn words<const N: usize>(&self, address: u64) -> Sys<[u64; N]> {
        let mut words = [0_u64; N];
        for (index, word) in words.iter_mut().enumerate() {
            let mut bytes = [0_u8; 8];
            self.read(address.checked_add(index as u64 * 8).ok_or(Errno(libc::EFAULT))?, &mut bytes)?;
            *word = u64::from_ne_bytes(bytes);
        }
        Ok(words)
    }

    /// The directory that `descriptor` (or AT_FDCWD) stands for in the caller, O_PATH.
    pub fn directory(&self, descriptor: i32) -> Sys<OwnedFd> {
        if descriptor == libc::AT_FDCWD { self.entry("cwd") } else { self.descriptor(descriptor) }
    }

    /// What the caller's `descriptor` refers to, O_PATH: the object, not the open file. EBADF when there is none.
    pub fn descriptor(&self, descriptor: i32) -> Sys<OwnedFd> {
        if descriptor < 0 {
            return Err(Errno(libc::EBADF));
        }
        self.entry(&format!("fd/{descriptor}")).map_err(|error| match error {
            Errno(libc::ENOENT) => Errno(libc::EBADF),
            other => other,
        })
    }

    /// The caller's open file itself: flags, offset and all.
    pub fn open_file(&self, descriptor: i32) -> Sys<OwnedFd> {
        if descriptor < 0 {
            return Err(Errno(libc::EBADF));
        }
        files::copy_descriptor(self.thread(), || self.process(), descriptor)
    }

    /// The program it runs, O_PATH.
    pub fn program(&self) -> Sys<OwnedFd> {
        self.entry("exe")
    }

    /// Its process id.
    pub fn process(&self) -> Sys<i32> {
        self.status().map(|status| status.process)
    }

    /// Umask and ids (proc_pid_status(5)).
    pub fn status(&self) -> Sys<Status> {
        Status::of(&self.proc_text("status")?).ok_or(Errno(libc::ESRCH))
    }

    /// The device number of its controlling terminal; 0 when it has none (proc_pid_stat(5), field 7).
    pub fn terminal(&self) -> Sys<u64> {
        let stat = self.proc_text("stat")?;
        terminal(&stat).ok_or(Errno(libc::ESRCH))
    }

    fn entry(&self, name: &str) -> Sys<OwnedFd> {
        let path = files::text(format!("{}/{name}", self.thread()).as_bytes())?;
        files::open_at(self.ground.proc.as_fd(), &path, libc::O_PATH, 0).map_err(|error| match error {
            Errno(libc::ESRCH) => Errno(libc::ENOENT),
            other => other,
        })
    }

    /// One small file of `/proc/TID`.
    pub fn proc_text(&self, name: &str) -> Sys<Vec<u8>> {
        let path: CString = files::text(format!("{}/{name}", self.thread()).as_bytes())?;
        let file = files::open_at(self.ground.proc.as_fd(), &path, libc::O_RDONLY, 0)?;
        files::read_small(file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::notify::Listener;

    fn with_self(test: impl FnOnce(&Caller<'_>)) {
        let ground = Ground::open().unwrap();
        let call = Call { id: 0, thread: std::process::id() as i32, number: 2, arguments: [c"/x/y".as_ptr() as u64, 1, 2, 3, 4, 5] };
        let nobody = Listener::from(files::duplicate(ground.root.as_fd()).unwrap());
        test(&Caller::new(&call, nobody.watch(), &ground, Members { guardian: 1, sentinels: [0; 2] }));
    }

    #[test]
    fn a_caller_is_seen_whole() {
        with_self(|caller| {
            assert_eq!(caller.path(0).unwrap(), b"/x/y");
            assert_eq!(caller.process().unwrap(), std::process::id() as i32);
            let directory = caller.directory(libc::AT_FDCWD).unwrap();
            assert_eq!(caller.ground.name_of(directory.as_fd()).unwrap(), std::env::current_dir().unwrap().as_os_str().as_encoded_bytes());
            assert_eq!(caller.descriptor(9999).unwrap_err(), Errno(libc::EBADF));
            assert_eq!(caller.open_file(9999).unwrap_err(), Errno(libc::EBADF));
            caller.terminal().unwrap();
        });
    }

    #[test]
    fn nothing_is_written_for_a_caller_that_waits_no_more() {
        let mut place = [7_u8; 4];
        with_self(|caller| assert_eq!(caller.write(place.as_mut_ptr() as u64, &[1, 2, 3, 4]), Err(Stop::Gone)));
        assert_eq!(place, [7; 4]);
    }

    #[test]
    fn a_caller_that_waits_for_nothing_is_gone() {
        with_self(|caller| assert_eq!(caller.confirm(), Err(Stop::Gone)));
    }
}
