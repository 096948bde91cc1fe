//! What the door stands on: the descriptors and device numbers it opens once, before the command runs.
//!
//! Left out: anything of a caller (`caller`), and what a rule says.

use crate::sys::errno::Sys;
use crate::sys::files::{self, PROC_MAGIC, Stat};
use interlock_abi::status::Status;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors opened once for a session.
#[derive(Debug)]
pub struct Ground {
    /// The root directory, O_PATH: the root of every caller too (the table refuses chroot and mount namespaces).
    pub root: OwnedFd,
    /// What the root directory is, to stop `..` at it.
    pub root_stat: Stat,
    /// `/proc`, O_PATH.
    pub proc: OwnedFd,
    /// The device of `/proc`: other mounts of procfs may number processes differently.
    pub proc_device: u64,
    /// `/proc/self/fd` of the supervisor.
    pub own: OwnedFd,
    /// The device all anonymous memory files share.
    pub memory_device: u64,
    /// The supervisor's process id.
    pub process: i32,
    /// The supervisor's process group.
    pub group: i32,
    /// Devices on which a name is what was looked up, byte for byte.
    pub spelled_exactly: Vec<u64>,
    /// Whether the supervisor has authority that a caller may have given up.
    pub privileged: bool,
    /// The umask that the session began with.
    pub umask: u32,
    /// User and group that the session began with.
    pub ids: (u32, u32),
    /// Whether real, effective, saved and file-system ids were the same at the beginning.
    pub uniform: bool,
}

impl Ground {
    /// Opens what is needed; before any call is received.
    ///
    /// # Errors
    /// When `/proc` is not procfs or cannot be read: nothing can be decided on this machine then.
    pub fn open() -> std::io::Result<Self> {
        let path = |name: &str| -> std::io::Result<OwnedFd> {
            let mut options = std::fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_PATH | libc::O_DIRECTORY);
            Ok(options.read(true).open(name)?.into())
        };
        let (root, proc) = (path("/")?, path("/proc")?);
        if files::file_system(proc.as_fd()).map_err(into_io)? != PROC_MAGIC {
            return Err(std::io::Error::other("`/proc` is not a proc file system"));
        }
        let own = crate::sys::credentials::own().map_err(into_io)?;
        Ok(Self {
            root_stat: files::stat(root.as_fd()).map_err(into_io)?,
            proc_device: files::stat(proc.as_fd()).map_err(into_io)?.device,
            own: File::open("/proc/self/fd")?.into(),
            memory_device: files::memory_file().and_then(|file| files::stat(file.as_fd())).map_err(into_io)?.device,
            process: std::process::id() as i32,
            group: crate::sys::process::group(),
            spelled_exactly: super::mounts::spelled_exactly()?,
            privileged: own.capabilities != 0,
            umask: own_umask()?,
            ids: (own.user, own.group),
            uniform: crate::sys::credentials::are_all((own.user, own.group)).map_err(into_io)?,
            root,
            proc,
        })
    }

    /// The name the kernel gives to what a descriptor of ours refers to (d_path).
    pub fn name_of(&self, file: BorrowedFd<'_>) -> Sys<Vec<u8>> {
        files::read_link(self.own.as_fd(), files::magic(file).as_c_str())
    }
}

/// As `/proc` tells it, since umask(2) would have to change it first.
fn own_umask() -> std::io::Result<u32> {
    let status = Status::of(&std::fs::read("/proc/thread-self/status")?);
    Ok(status.ok_or_else(|| std::io::Error::other("`/proc/thread-self/status` cannot be understood"))?.umask)
}

fn into_io(error: crate::sys::errno::Errno) -> std::io::Error {
    std::io::Error::from_raw_os_error(error.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_the_kernels_name() {
        let ground = Ground::open().unwrap();
        assert_eq!(ground.name_of(ground.root.as_fd()).unwrap(), b"/");
        assert_eq!(ground.name_of(ground.proc.as_fd()).unwrap(), b"/proc");
    }
}
