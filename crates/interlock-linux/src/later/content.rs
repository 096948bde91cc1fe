//! The content of a file that is looked at, not trusted: it may be a pipe, a link, or leased by somebody.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The longest file that is read as a whole. A comment makes one as long as one likes.
const BYTES_MAX: u64 = 4 << 20;

/// The content of a regular file, if it can be had without waiting for anybody. No link is followed.
pub fn content(path: &[u8]) -> Option<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= BYTES_MAX).then_some(bytes)
}

/// How much is read of what is taken apart key by key: files as long as one likes, by the hundred, must not keep a session from ending.
#[derive(Debug)]
pub struct Room {
    bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: 16 << 20 }
    }
}

impl Room {
    /// Whether a regular file fits; then it counts, whether it is read or not.
    pub fn holds(&mut self, path: &[u8]) -> bool {
        let there = std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path)));
        let bytes = there.map_or(0, |there| if there.is_file() { there.len().min(BYTES_MAX) } else { 0 });
        let rest = self.bytes.checked_sub(bytes);
        self.bytes = rest.unwrap_or(self.bytes);
        rest.is_some()
    }
}

/// Whether a regular file is longer than what is read as a whole.
pub fn is_too_long(path: &[u8]) -> bool {
    std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path))).is_ok_and(|there| there.is_file() && there.len() > BYTES_MAX)
}

/// Whether a file is a program by its content: a script names its interpreter, compiled code is marked. A library needs no executable bit.
pub fn is_program(path: &[u8]) -> bool {
    let mut start = [0; 4];
    let Some(mut file) = open(path) else { return false };
    let read = file.read(&mut start).unwrap_or_default();
    start.get(..read).is_some_and(|start| start.starts_with(b"#!") || start == b"\x7fELF")
}

/// Whether a content is compiled code or packed, by its first bytes: no names are looked for in it. A zero byte alone is none: make and shells read on
/// behind it.
pub fn is_compiled(start: &[u8]) -> bool {
    const MARKS: [&[u8]; 5] = [b"PK\x03\x04", b"\x1f\x8b\x08", b"\0asm", b"\xca\xfe\xba\xbe", b"\xfd7zXZ\0"];
    let is_elf = matches!(start, [0x7f, b'E', b'L', b'F', 1 | 2, 1 | 2, 1, ..]);
    is_elf || MARKS.iter().any(|mark| start.starts_with(mark))
}

/// A regular file, opened without waiting for anybody. No link is followed.
pub fn open(path: &[u8]) -> Option<std::fs::File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(Path::new(std::ffi::OsStr::from_bytes(path))).ok()?;
    file.metadata().is_ok_and(|there| there.is_file()).then_some(file)
}
