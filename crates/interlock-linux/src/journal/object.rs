//! An object of before, as it was: all but its content in words for a line.

use crate::sys::files::{self, Stat};
use rustix::fs;
use serde_json::{Value, json};
use std::os::fd::BorrowedFd;

/// All names of an object's attributes, and one value, in bytes (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const ATTRIBUTES_BYTES_MAX: usize = 65_536;
/// Bytes in a block of st_blocks.
const BLOCK_BYTES: u64 = 512;

/// What is held of before, by the name that the act names it by.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Held<'a> {
    pub path: &'a [u8],
    pub file: BorrowedFd<'a>,
    pub stat: &'a Stat,
}

/// What is at one end of a move.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct End<'a> {
    pub file: BorrowedFd<'a>,
    pub stat: &'a Stat,
    pub was_before: bool,
}

impl End<'_> {
    /// Which object it is, and when it was changed last.
    pub fn words(&self) -> Value {
        let altered = fs::fstat(self.file).map_or([0, 0], |stat| [stat.st_ctime, stat.st_ctime_nsec as i64]);
        json!({
            "device": self.stat.device, "inode": self.stat.inode, "before": self.was_before, "altered": altered,
            "folder": self.stat.kind() == libc::S_IFDIR,
        })
    }
}

impl Held<'_> {
    /// Bytes on disk. What cannot be asked counts by its length.
    pub fn allocated(&self) -> u64 {
        fs::fstat(self.file).map_or(self.stat.size.max(0) as u64, |stat| (stat.st_blocks.max(0) as u64).saturating_mul(BLOCK_BYTES))
    }

    /// Mode, owner, times, size and identity.
    pub fn words(&self) -> Value {
        let Ok(stat) = fs::fstat(self.file) else { return Value::Null };
        json!({
            "mode": stat.st_mode, "user": stat.st_uid, "group": stat.st_gid, "size": stat.st_size, "links": stat.st_nlink,
            "accessed": [stat.st_atime, stat.st_atime_nsec], "changed": [stat.st_mtime, stat.st_mtime_nsec],
            "altered": [stat.st_ctime, stat.st_ctime_nsec],
            "device": stat.st_dev, "inode": stat.st_ino, "special": stat.st_rdev,
        })
    }

    /// Attributes, each as name and value in hex; nothing of a link, which has none that a program could set.
    pub fn attributes(&self) -> Vec<(String, String)> {
        if self.stat.kind() == libc::S_IFLNK {
            return Vec::new();
        }
        let magic = files::magic(self.file).absolute();
        let mut names = vec![0_u8; ATTRIBUTES_BYTES_MAX];
        let Ok(length) = fs::listxattr(magic.as_c_str(), names.as_mut_slice()) else { return Vec::new() };
        let names = names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let read = |name: &[u8]| {
            let mut value = vec![0_u8; ATTRIBUTES_BYTES_MAX];
            let length = fs::getxattr(magic.as_c_str(), name, value.as_mut_slice()).ok()?;
            Some((hex(name), hex(value.get(..length)?)))
        };
        names.filter_map(read).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}
