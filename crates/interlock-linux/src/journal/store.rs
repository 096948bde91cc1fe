//! The folder of a journal: open to its owner alone, in Interlock's own state, where no session comes (`guard/own-state`).

use super::object::Held;
use super::readable;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use rustix::fs::{self, SeekFrom};
use std::ffi::CStr;
use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// What one call copies at most.
const COPY_BYTES: usize = 1 << 30;

/// What came into the store from a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// What was to come.
    Object,
    /// Another, which has its name again.
    AnotherIsBack,
    /// Another, whose name a third has by now: it stays.
    Another,
}

/// The folder.
pub struct Store {
    path: PathBuf,
    folder: OwnedFd,
    device: u64,
    /// `/proc/self/fd`.
    own: OwnedFd,
    next: AtomicU64,
}

impl Store {
    /// Makes it; it must not be there.
    pub fn make(path: &Path) -> Sys<Self> {
        if let Some(parent) = path.parent() {
            DirBuilder::new().mode(FOLDER_MODE).recursive(true).create(parent)?;
        }
        DirBuilder::new().mode(FOLDER_MODE).create(path)?;
        let folder = OwnedFd::from(File::open(path)?);
        let device = files::stat(folder.as_fd())?.device;
        let own = OwnedFd::from(File::open("/proc/self/fd")?);
        Ok(Self { path: path.to_path_buf(), folder, device, own, next: AtomicU64::new(0) })
    }

    /// Free bytes of its file system, for who is not root.
    pub fn free(&self) -> Sys<u64> {
        let found = fs::fstatvfs(&self.folder).map_err(errno)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// A file to append to.
    pub fn create(&self, name: &CStr) -> Sys<File> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_APPEND | libc::O_NOFOLLOW;
        Ok(File::from(files::open_at(self.folder.as_fd(), name, flags, FILE_MODE)?))
    }

    /// A name that nothing has yet.
    pub fn name(&self) -> String {
        self.next.fetch_add(1, Ordering::AcqRel).to_string()
    }

    /// Whether an object lies on the store's file system.
    pub fn shares_device(&self, stat: &Stat) -> bool {
        stat.device == self.device
    }

    /// Takes the object away from its name into the store, and looks whether that is what came.
    ///
    /// # Errors
    /// The kernel's: nothing was done.
    pub fn take(&self, parent: BorrowedFd<'_>, entry: &CStr, object: &Stat, name: &str) -> Sys<Came> {
        let goal = files::text(name.as_bytes())?;
        files::rename(parent, entry, self.folder.as_fd(), &goal, libc::RENAME_NOREPLACE)?;
        let taken = files::stat_at(self.folder.as_fd(), &goal);
        if taken.is_ok_and(|taken| taken.same(object) && taken.kind() == object.kind()) {
            return Ok(Came::Object);
        }
        // What came to the name in that moment is somebody's: it goes back, and where another has come already, it is kept.
        let back = files::rename(self.folder.as_fd(), &goal, parent, entry, libc::RENAME_NOREPLACE);
        Ok(if back.is_ok() { Came::AnotherIsBack } else { Came::Another })
    }

    /// What lies in the store under this name.
    pub fn held(&self, name: &str) -> Sys<(OwnedFd, Stat)> {
        let file = files::open_at(self.folder.as_fd(), &files::text(name.as_bytes())?, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        let stat = files::stat(file.as_fd())?;
        Ok((file, stat))
    }

    /// Gives up what was taken.
    ///
    /// # Errors
    /// The kernel's.
    pub fn drop(&self, name: &str) -> Sys<()> {
        files::unlink(self.folder.as_fd(), &files::text(name.as_bytes())?, 0)
    }

    /// Copies the content of a file, or the text of a link. Nothing of what has neither.
    ///
    /// # Errors
    /// The kernel's; nothing is left of the copy.
    pub fn copy(&self, held: &Held<'_>) -> Sys<Option<String>> {
        let content = match held.stat.kind() {
            libc::S_IFREG => Content::File(readable(self.own.as_fd(), held.file)?),
            libc::S_IFLNK => Content::Link(files::read_link(held.file, c"")?),
            _ => return Ok(None),
        };
        let name = self.name();
        let goal = files::text(name.as_bytes())?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let copy = files::open_at(self.folder.as_fd(), &goal, flags, FILE_MODE)?;
        let done = match content {
            Content::File(file) => copied(file.as_fd(), copy.as_fd()),
            Content::Link(text) => std::io::Write::write_all(&mut File::from(files::duplicate(copy.as_fd())?), &text).map_err(Errno::from),
        };
        if let Err(error) = done {
            files::unlink(self.folder.as_fd(), &goal, 0)?;
            return Err(error);
        }
        Ok(Some(name))
    }

    /// Nothing is in it but the lines.
    pub fn remove(&self) {
        let _left = files::unlink(self.folder.as_fd(), c"lines", 0).and_then(|()| Ok(std::fs::remove_dir(&self.path)?));
    }
}

enum Content {
    File(OwnedFd),
    Link(Vec<u8>),
}

/// Shares the blocks where the file system can, else copies what there is, holes left out.
fn copied(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Sys<()> {
    if fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let size = fs::fstat(from).map_err(errno)?.st_size.max(0) as u64;
    fs::ftruncate(to, size).map_err(errno)?;
    let mut at = 0;
    while at < size {
        let begin = match fs::seek(from, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            Err(rustix::io::Errno::NXIO) => return Ok(()), // nothing but a hole behind it
            Err(_) => at,                                  // a file system without holes
        };
        let end = fs::seek(from, SeekFrom::Hole(begin)).unwrap_or(size).min(size);
        part(from, to, begin, end)?;
        at = end.max(begin + 1);
    }
    Ok(())
}

fn part(from: BorrowedFd<'_>, to: BorrowedFd<'_>, begin: u64, end: u64) -> Sys<()> {
    let (mut at, mut goal) = (begin, begin);
    while at < end {
        let wanted = usize::try_from(end - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        match fs::copy_file_range(from, Some(&mut at), to, Some(&mut goal), wanted) {
            Ok(0) => return Ok(()), // it is shorter by now: somebody outside cut it
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::XDEV | rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                return by_hand(from, to, at, end);
            }
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(())
}

fn by_hand(from: BorrowedFd<'_>, to: BorrowedFd<'_>, begin: u64, end: u64) -> Sys<()> {
    use std::os::unix::fs::FileExt as _;
    let (from, to) = (File::from(files::duplicate(from)?), File::from(files::duplicate(to)?));
    let (mut at, mut buffer) = (begin, vec![0_u8; 1 << 16]);
    while at < end {
        let room = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(part) = buffer.get_mut(..room) else { break };
        let count = from.read_at(part, at).map_err(Errno::from)?;
        if count == 0 {
            break;
        }
        to.write_all_at(buffer.get(..count).unwrap_or_default(), at).map_err(Errno::from)?;
        at += count as u64;
    }
    Ok(())
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno(error.raw_os_error())
}
