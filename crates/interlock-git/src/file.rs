//! A repository's files, read as what they are: plain, of a bounded size, and without waiting for anybody.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// O_NOFOLLOW and O_NONBLOCK: no link in the last place, no wait for a FIFO's other end.
const FLAGS: i32 = 0o400_000 | 0o4_000;

/// Opens a plain file.
pub fn open(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).custom_flags(FLAGS).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// All of a plain file that is not longer than `max` bytes.
pub fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(max + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 <= max).then_some(content)
}
