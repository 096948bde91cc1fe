//! Who belongs to the session's tree: every descendant of the guardian but the sentinels.
//!
//! The guardian is a sub-reaper, so an orphan of the tree becomes its child and stays a descendant.

use interlock_abi::status::state_and_parent;
use std::io::Read as _;
use std::path::Path;

/// Steps of one ancestry walk, and walks of one question: a parent may die in between and the child move up.
const STEPS_MAX: usize = 4096;
const WALKS_MAX: usize = 8;
/// As much of `/proc/PID/stat` as its first four fields can need: the name in it has at most 64 bytes.
const STAT_BYTES: usize = 256;
/// Processes found at a glance; ids used again meanwhile could lead round in a circle.
const GLANCED_MAX: usize = 1 << 16;

/// The tree's root and what is not of it.
#[derive(Clone, Copy, Debug)]
pub struct Members {
    /// The guardian's process id.
    pub guardian: i32,
    /// The sentinels' process ids: children of the guardian that are no part of the tree.
    pub sentinels: [i32; 2],
}

impl Members {
    /// Whether a process or thread descends from the guardian. A process that vanishes during the question does not.
    #[must_use]
    pub fn is_inside(&self, process: i32) -> bool {
        (0..WALKS_MAX).find_map(|_| self.walk(process)).unwrap_or(false)
    }

    /// One way up. Nothing when a process on it vanished: what was below it has another parent by now.
    fn walk(&self, process: i32) -> Option<bool> {
        let mut current = process;
        for _ in 0..STEPS_MAX {
            if current <= 1 || current == self.guardian || self.sentinels.contains(&current) {
                return Some(false);
            }
            let parent = parent_of(current)?;
            if parent == self.guardian {
                return Some(true);
            }
            current = parent;
        }
        Some(false)
    }

    /// Every process of the tree, as far as a look at it while it runs can tell.
    #[must_use]
    pub fn all(&self) -> Vec<i32> {
        descendants_at_a_glance(self.guardian).into_iter().filter(|process| !self.sentinels.contains(process)).collect()
    }
}

/// The children of the calling thread.
#[must_use]
pub fn own_children() -> Vec<i32> {
    let (process, thread) = (crate::sys::process::id(), crate::sys::threads::id());
    listed_by(Path::new(&format!("/proc/{process}/task/{thread}"))).unwrap_or_else(|| children(process))
}

/// The parent of a process.
#[must_use]
pub fn parent_of(process: i32) -> Option<i32> {
    stat(process).map(|(_, parent)| parent)
}

/// State and parent. One read of the beginning: whoever sweeps asks this of every process of the machine.
fn stat(process: i32) -> Option<(u8, i32)> {
    let mut text = [0; STAT_BYTES];
    let count = std::fs::File::open(format!("/proc/{process}/stat")).ok()?.read(&mut text).ok()?;
    state_and_parent(text.get(..count)?)
}

/// The same by the lists of children that the kernel keeps (CONFIG_PROC_CHILDREN), at a cost of the tree and not of the machine. A child may
/// be missed while its siblings end (proc_pid_task_children(5)): that the tree is empty is for [`descendants`] to say.
#[must_use]
pub fn descendants_at_a_glance(root: i32) -> Vec<i32> {
    let Some(mut front) = listed_children(root) else { return descendants(root) };
    let mut found = Vec::new();
    while let Some(process) = front.pop() {
        if found.len() >= GLANCED_MAX {
            return descendants(root);
        }
        if stat(process).is_some_and(|(state, _)| state != b'Z' && state != b'X') {
            found.push(process);
        }
        front.extend(listed_children(process).unwrap_or_default());
    }
    found
}

/// The children of every thread of a process; nothing when it has ended or the kernel keeps no such lists.
fn listed_children(process: i32) -> Option<Vec<i32>> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let mut found = Vec::new();
    for thread in threads.flatten() {
        found.extend(listed_by(&thread.path())?);
    }
    Some(found)
}

fn listed_by(thread: &Path) -> Option<Vec<i32>> {
    let text = std::fs::read_to_string(thread.join("children")).ok()?;
    Some(text.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect())
}

/// Every living descendant of `root` (zombies left out), nearest first.
#[must_use]
pub fn descendants(root: i32) -> Vec<i32> {
    let mut children: std::collections::HashMap<i32, Vec<(i32, u8)>> = std::collections::HashMap::new();
    for process in processes() {
        if let Some((state, parent)) = stat(process) {
            children.entry(parent).or_default().push((process, state));
        }
    }
    let mut found = Vec::new();
    let mut front = vec![root];
    while let Some(process) = front.pop() {
        for (child, state) in children.remove(&process).unwrap_or_default() {
            front.push(child);
            if state != b'Z' && state != b'X' {
                found.push(child);
            }
        }
    }
    found
}

/// The children of one process.
#[must_use]
pub fn children(parent: i32) -> Vec<i32> {
    processes().into_iter().filter(|process| parent_of(*process) == Some(parent)).collect()
}

fn processes() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_glance_finds_what_the_whole_look_finds() {
        let mut shell = Command::new("/bin/sh");
        let mut child = shell
            .args(["-c", "sleep 60 & a=$!; sleep 60 & echo; read x; kill $a $!"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let root = i32::try_from(child.id()).unwrap();
        let sorted = |mut found: Vec<i32>| {
            found.sort_unstable();
            found
        };
        let glanced = sorted(descendants_at_a_glance(root));
        assert_eq!(glanced.len(), 2);
        assert_eq!(glanced, sorted(descendants(root)));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
