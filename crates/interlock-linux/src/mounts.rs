//! The mount table at start: which paths are other names of one object through bind mounts and second mounts.
//!
//! The tree cannot mount (the table refuses the family), so the table read at start stands for its whole life; mounts made outside meanwhile
//! are not seen, and are named a limit.

use std::path::Path;

/// Mounts read; a table longer than this is an error, never cut.
const MOUNTS_MAX: usize = 100_000;
/// Aliases given for one path.
const ALIASES_MAX: usize = 256;

/// File systems whose names are bytes.
const EXACT: [&str; 6] = ["ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs"];
/// Devices of theirs that are known; on others names are asked for.
const EXACT_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: Vec<u8>,
    root: Vec<u8>,
    point: Vec<u8>,
}

/// The mounts of this machine as the session began.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Only mounts whose device is mounted more than once, in mountinfo's order.
    shared: Vec<Mount>,
}

impl Mounts {
    /// Reads `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// The file cannot be read, or holds more mounts than the limit.
    pub fn read() -> std::io::Result<Self> {
        Self::parse(&std::fs::read(Path::new("/proc/self/mountinfo"))?)
    }

    fn parse(text: &[u8]) -> std::io::Result<Self> {
        let all: Vec<Mount> = text.split(|byte| *byte == b'\n').filter_map(mount).collect();
        if all.len() > MOUNTS_MAX {
            return Err(std::io::Error::other("too many mounts"));
        }
        let mut times: std::collections::HashMap<Vec<u8>, usize> = std::collections::HashMap::new();
        for mount in &all {
            *times.entry(mount.device.clone()).or_default() += 1;
        }
        Ok(Self { shared: all.into_iter().filter(|mount| times.get(&mount.device).is_some_and(|count| *count > 1)).collect() })
    }

    /// Other absolute names of `path` (as the kernel resolved it) through other mounts of the same file system.
    #[must_use]
    pub fn aliases(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let Some(home) =
            self.shared.iter().rev().filter(|mount| beneath(path, &mount.point).is_some()).max_by_key(|mount| mount.point.len())
        else {
            return Vec::new();
        };
        let Some(rest) = beneath(path, &home.point) else { return Vec::new() };
        let object = join(&home.root, rest);
        let names = self.shared.iter().filter(|mount| mount.device == home.device);
        let mut found: Vec<Vec<u8>> = names
            .filter_map(|mount| beneath(&object, &mount.root).map(|rest| join(&mount.point, rest)))
            .filter(|name| name != path)
            .collect();
        found.sort();
        found.dedup();
        found.truncate(ALIASES_MAX);
        found
    }
}

/// Devices of mounted file systems that call an object what it was looked up by. A directory in which `A` means `a` (ext4's and tmpfs's
/// casefold) does too: the kernel's own name for what is in it is the spelling that was first looked up.
///
/// # Errors
/// The mount table cannot be read.
pub fn spelled_exactly() -> std::io::Result<Vec<u64>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    let mut found: Vec<u64> = text.split(|byte| *byte == b'\n').filter_map(exact).collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(EXACT_MAX);
    Ok(found)
}

fn exact(line: &[u8]) -> Option<u64> {
    let (mount, system) = std::str::from_utf8(line).ok()?.split_once(" - ")?;
    if !EXACT.contains(&system.split(' ').next()?) {
        return None;
    }
    let (major, minor) = mount.split(' ').nth(2)?.split_once(':')?;
    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// What follows `root` in `path` (empty or beginning with `/`), if `path` lies at or beneath it.
fn beneath<'a>(path: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
    let root = if root == b"/" { b"" } else { root };
    path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn join(root: &[u8], rest: &[u8]) -> Vec<u8> {
    let rest = if rest == b"/" { b"" } else { rest };
    let joined = [if root == b"/" { b"" } else { root }, rest].concat();
    if joined.is_empty() { b"/".to_vec() } else { joined }
}

/// Fields of proc_pid_mountinfo(5): id, parent, device, root, mount point.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    Some(Mount { device: fields.next()?.to_vec(), root: unescape(fields.next()?), point: unescape(fields.next()?) })
}

/// Space, tab, newline and backslash stand as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = tail;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:1 /home/u/secret /srv/open\\040here rw - ext4 /dev/a rw\n3 1 0:5 / /proc rw - proc proc rw\n";

    #[test]
    fn a_bind_mount_is_another_name_both_ways() {
        let mounts = Mounts::parse(TABLE).unwrap();
        assert_eq!(mounts.aliases(b"/srv/open here/key"), vec![b"/home/u/secret/key".to_vec()]);
        assert_eq!(mounts.aliases(b"/home/u/secret/key"), vec![b"/srv/open here/key".to_vec()]);
        assert_eq!(mounts.aliases(b"/home/u/secret"), vec![b"/srv/open here".to_vec()]);
    }

    #[test]
    fn devices_are_told_by_their_file_system() {
        let lines: Vec<&[u8]> = TABLE.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.iter().filter_map(|line| exact(line)).collect::<Vec<_>>(), [libc::makedev(8, 1), libc::makedev(8, 1)]);
        assert_eq!(exact(b"4 1 8:2 / /boot/efi rw - vfat /dev/b rw"), None);
    }

    #[test]
    fn other_paths_have_no_alias() {
        let mounts = Mounts::parse(TABLE).unwrap();
        assert!(mounts.aliases(b"/home/u/secretive").is_empty());
        assert!(mounts.aliases(b"/proc/self").is_empty());
    }
}
