//! Interlock's own processes: what a session may not touch, whatever its policy says.
//!
//! A policy may open signals to the outside. The processes that hold a session (supervisor, guardian, sentinels, the `interlock run` above them)
//! and those of other sessions and of the gateway are outside too, and one signal to them would end what holds the jail, or put it off.
//! Left out: tracing, limits and memory of other processes, which the table refuses for every process outside.

use super::members::{self, Members};
use crate::sys::process;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// What the executable is called, should another version of it hold another session.
const EXECUTABLE: &str = "interlock-supervisor";
/// What the Python programs are called: the console script, or the module given to an interpreter.
const PROGRAM: &[u8] = b"interlock";
/// Arguments looked at for that name: an interpreter's own options come first.
const ARGUMENTS_LOOKED_AT: usize = 8;

/// The processes that hold this session, and how those of others are known.
#[derive(Clone, Debug)]
pub struct Keepers {
    own: [i32; 5],
    image: Option<(u64, u64)>,
}

impl Keepers {
    /// To be made while `interlock run` is this process's parent.
    #[must_use]
    pub fn of(members: Members) -> Self {
        let image = fs::metadata("/proc/self/exe").ok().map(|found| (found.dev(), found.ino()));
        let [first, second] = members.sentinels;
        Self { own: [process::id(), process::parent(), members.guardian, first, second], image }
    }

    /// Whether a process or thread is one of Interlock's. To be asked while its id cannot become another's.
    #[must_use]
    pub fn keeps(&self, id: i32) -> bool {
        // What is gone by now is nobody's, and a signal to it goes nowhere.
        let Some(process) = process::of_thread(id) else { return false };
        self.own.contains(&process) || self.is_supervisor(process) || is_interlock(process) || self.has_supervisor(process)
    }

    fn is_supervisor(&self, process: i32) -> bool {
        let same =
            |(device, inode)| fs::metadata(format!("/proc/{process}/exe")).is_ok_and(|found| found.dev() == device && found.ino() == inode);
        self.image.is_some_and(same)
            || fs::read_link(format!("/proc/{process}/exe")).is_ok_and(|path| path.file_name().is_some_and(|name| name == EXECUTABLE))
    }

    /// An `interlock run` under whatever name: it has a supervisor for a child.
    fn has_supervisor(&self, process: i32) -> bool {
        members::children(process).into_iter().any(|child| self.is_supervisor(child))
    }
}

/// Whether a process says it is one of Interlock's programs. It is outside the session, so what it says of itself is not the session's doing.
fn is_interlock(process: i32) -> bool {
    let name = fs::read(format!("/proc/{process}/comm")).unwrap_or_default();
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    named(name.trim_ascii_end()) || line.split(|byte| *byte == 0).take(ARGUMENTS_LOOKED_AT).any(named)
}

fn named(argument: &[u8]) -> bool {
    let last = argument.rsplit(|byte| *byte == b'/').next().unwrap_or(argument);
    last == PROGRAM || last.strip_prefix(PROGRAM).is_some_and(|rest| rest.starts_with(b"-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn keepers() -> Keepers {
        Keepers { own: [i32::MAX; 5], image: None }
    }

    fn id(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    fn asleep(first: &str) -> Child {
        use std::os::unix::process::CommandExt as _;
        let mut child =
            Command::new("/bin/sh").arg0(first).args(["-c", "echo; read x"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        child
    }

    #[test]
    fn interlocks_programs_are_known_by_name() {
        for (name, kept) in [("/opt/x/interlock", true), ("interlock-gateway", true), ("interlocked", false), ("sh", false)] {
            let mut child = asleep(name);
            assert_eq!(keepers().keeps(id(&child)), kept, "{name}");
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn the_sessions_own_are_kept_by_process_and_by_thread() {
        let own = Keepers { own: [process::id(), 0, 0, 0, 0], image: None };
        let thread = std::thread::spawn(crate::sys::threads::id).join().unwrap();
        assert!(own.keeps(process::id()));
        // The thread has ended: it is nobody's.
        assert!(!own.keeps(thread) || process::of_thread(thread).is_some());
        std::thread::spawn(move || assert!(own.keeps(crate::sys::threads::id()))).join().unwrap();
    }

    #[test]
    fn whoever_runs_the_same_executable_is_kept_and_so_is_its_parent() {
        let shell = fs::metadata("/bin/sh").unwrap();
        let same = Keepers { own: [i32::MAX; 5], image: Some((shell.dev(), shell.ino())) };
        let mut child = asleep("sh");
        assert!(same.keeps(id(&child)));
        assert!(same.keeps(process::id()));
        assert!(!keepers().keeps(id(&child)));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
