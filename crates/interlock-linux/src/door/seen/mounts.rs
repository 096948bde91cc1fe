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
/// And those that only hold, byte for byte, what others are mounted in: below any other, the way to a mount has more spellings than one.
const HOLDING: [&str; 13] =
    ["overlay", "btrfs", "devtmpfs", "proc", "sysfs", "devpts", "cgroup", "cgroup2", "ramfs", "rootfs", "squashfs", "erofs", "zfs"];
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
    Ok(exact_devices(&std::fs::read("/proc/self/mountinfo")?))
}

fn exact_devices(text: &[u8]) -> Vec<u64> {
    let lines = || text.split(|byte| *byte == b'\n');
    let loose: Vec<Vec<u8>> = lines().filter(|line| is_loose(line)).filter_map(mount).map(|mount| mount.point).collect();
    let below = |point: &[u8]| loose.iter().any(|loose| loose.len() < point.len() && beneath(point, loose).is_some());
    let mut doubtful = Vec::new();
    let mut found = Vec::new();
    for line in lines() {
        let (Some(device), Some(mount)) = (exact(line), mount(line)) else { continue };
        if below(&mount.point) { doubtful.push(device) } else { found.push(device) }
    }
    found.retain(|device| !doubtful.contains(device));
    found.sort_unstable();
    found.dedup();
    found.truncate(EXACT_MAX);
    found
}

/// Whether a line is of a file system in which one name may be spelled in several ways, as far as is known here.
fn is_loose(line: &[u8]) -> bool {
    let Some(after) = line.windows(3).position(|three| three == b" - ").and_then(|at| line.get(at + 3..)) else { return false };
    let system = after.split(|byte| *byte == b' ').next().unwrap_or_default();
    !EXACT.iter().chain(&HOLDING).any(|known| known.as_bytes() == system)
}

fn exact(line: &[u8]) -> Option<u64> {
    let line = String::from_utf8_lossy(line);
    let (mount, system) = line.split_once(" - ")?;
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
    fn below_a_file_system_with_several_spellings_no_name_is_taken_at_its_word() {
        let root = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / /tmp rw - tmpfs t rw\n";
        let (disk, memory) = (libc::makedev(8, 1), libc::makedev(0, 9));
        assert_eq!(exact_devices(root.as_bytes()), [memory, disk]);
        let drive = "3 1 8:2 / /mnt rw - vfat /dev/b rw\n";
        assert_eq!(exact_devices(format!("{root}{drive}").as_bytes()), [memory, disk]);
        let bound = "4 3 8:1 /home /mnt/Data rw - ext4 /dev/a rw\n";
        assert_eq!(exact_devices(format!("{root}{drive}{bound}").as_bytes()), [memory]);
        let table = "2 1 0:9 / / rw - overlay o rw\n3 1 0:7 / /dev rw - tmpfs t rw\n";
        assert_eq!(exact_devices(table.as_bytes()), [libc::makedev(0, 7)]);
    }

    #[test]
    fn other_paths_have_no_alias() {
        let mounts = Mounts::parse(TABLE).unwrap();
        assert!(mounts.aliases(b"/home/u/secretive").is_empty());
        assert!(mounts.aliases(b"/proc/self").is_empty());
    }
}
