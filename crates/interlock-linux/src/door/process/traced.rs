//! One exec under trace: let go on by the kernel, seen again once its image is committed, let go or killed.
//!
//! Between the decision and the commit the caller's memory and the file system may change; after the commit, and before the first
//! instruction, nobody can change the image or its arguments any more. Leaves out what was decided (`exec`). ptrace(2).
//!
//! INVARIANT: a tracee is never left traced or stopped by a receiver: it is detached, or it is killed.

use super::expected::Expected;
use super::replaced::{self, Replacement};
use crate::sys::files;
use crate::sys::notify::Call;
use crate::sys::ptrace::{self, Stop};
use std::fs::File;
use std::io::Read as _;
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecEnd {
    /// The image is what was decided, and runs.
    Committed,
    /// The kernel refused with this errno; the caller goes on and reads it.
    Failed(i32),
    /// The caller died first.
    Gone,
    /// The image was another one; its process is killed.
    Lost(Found),
}

/// The image that was committed instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Found {
    pub program: Vec<u8>,
    pub arguments: Vec<u8>,
}

/// An exec under trace that may go on: what it commits is verified before its first instruction, and whatever is not what was decided is killed.
/// Earned by [`Traced::seize`]. Dropped instead, it kills.
pub struct Traced<'e> {
    call: u64,
    tracee: Tracee,
    expected: &'e Expected<'e>,
    /// What is started in its place, once it is known to be what was asked for.
    instead: Option<Replacement<'e>>,
}

impl<'e> Traced<'e> {
    /// Seizes the thread of `call`. `waits` says whether the caller still waits. `None`: it is gone.
    ///
    /// # Errors
    /// The errno for which it cannot be traced.
    pub fn seize(call: &Call, expected: &'e Expected<'e>, waits: impl Fn() -> bool) -> Result<Option<Self>, i32> {
        let tracee = Tracee::stopping(call.thread, waits)?;
        Ok(tracee.map(|tracee| Self { call: call.id, tracee, expected, instead: None }))
    }

    /// The same, with another command in its place before its first instruction.
    #[must_use]
    pub fn replaced_by(self, instead: Option<Replacement<'e>>) -> Self {
        Self { instead, ..self }
    }

    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }

    /// Waits until the kernel, which was told to go on, has committed an image or refused to, and verifies it.
    pub fn verified(mut self) -> ExecEnd {
        watch(&mut self.tracee, self.expected, self.instead.as_ref())
    }
}

/// A thread that will look at its signals when its call returns: stopped once on its way out. Dropped instead of [`Stopping::let_go`], it kills.
pub struct Stopping(Tracee);

impl Stopping {
    /// Seizes the thread of `call`. `waits` says whether the caller still waits. `None`: it is gone.
    ///
    /// # Errors
    /// The errno for which it cannot be traced.
    pub fn seize(call: &Call, waits: impl Fn() -> bool) -> Result<Option<Self>, i32> {
        Ok(Tracee::stopping(call.thread, waits)?.map(Self))
    }

    /// Waits for the stop of a thread whose call was answered, and lets it go.
    pub fn let_go(mut self) {
        self.0.let_go_at_its_stop();
    }
}

/// A tracee of this thread. Dropped while open (a panic), it is killed.
struct Tracee {
    id: i32,
    open: bool,
    /// ptrace is a matter between threads.
    _of_this_thread: PhantomData<*const ()>,
}

impl Tracee {
    fn of(id: i32) -> Self {
        Self { id, open: true, _of_this_thread: PhantomData }
    }

    /// Seizes a thread and asks for a stop at the end of its call. `None`: it is gone.
    fn stopping(thread: i32, waits: impl Fn() -> bool) -> Result<Option<Self>, i32> {
        if let Err(error) = ptrace::seize(thread) {
            return match error.raw_os_error() {
                Some(libc::ESRCH) => Ok(None),
                errno => Err(errno.unwrap_or(libc::EPERM)),
            };
        }
        let mut tracee = Self::of(thread);
        // The id may have been given to another thread since the call was received: then this only lets it go again.
        let ours = waits();
        if ptrace::interrupt(thread).is_ok() && ours {
            return Ok(Some(tracee));
        }
        tracee.let_go_at_its_stop();
        Ok(None)
    }

    fn let_go_at_its_stop(&mut self) {
        match ptrace::wait() {
            Ok(Stop::Signal(_, signal)) => self.let_go(signal),
            Ok(Stop::Trap(_)) => self.let_go(0),
            Ok(Stop::Exec(id)) => {
                self.id = id;
                self.let_go(0);
            }
            Ok(Stop::Ended(_) | Stop::Nobody) => self.open = false,
            Err(_) => self.kill(),
        }
    }

    fn let_go(&mut self, signal: i32) {
        // ESRCH: killed while it was stopped; the kernel reaps what nobody traces any more.
        let _dead = ptrace::detach(self.id, signal);
        self.open = false;
    }

    /// Ends the process and reaps what this thread traces of it.
    fn kill(&mut self) {
        let _dead = ptrace::signal_process(self.id, libc::SIGKILL);
        while let Ok(Stop::Exec(_) | Stop::Trap(_) | Stop::Signal(..)) = ptrace::wait() {}
        self.open = false;
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if self.open {
            let _dead = ptrace::signal_process(self.id, libc::SIGKILL);
        }
    }
}

fn watch(tracee: &mut Tracee, expected: &Expected<'_>, instead: Option<&Replacement<'_>>) -> ExecEnd {
    match ptrace::wait() {
        Ok(Stop::Exec(id)) => {
            // An exec by a thread other than the first takes over the id of its process.
            tracee.id = id;
            match instead {
                Some(instead) if differs(tracee.id, expected).is_none() => replaced(tracee, instead),
                _ => verified(tracee, expected),
            }
        }
        Ok(Stop::Trap(_)) => failed(tracee, 0),
        Ok(Stop::Signal(_, signal)) => failed(tracee, signal),
        Ok(Stop::Ended(_) | Stop::Nobody) => {
            tracee.open = false;
            ExecEnd::Gone
        }
        Err(_) => {
            tracee.kill();
            ExecEnd::Gone
        }
    }
}

/// Starts another command in the place of the one that was committed, whose first instruction has not run. What does not start is killed: the one
/// that was asked for must not.
fn replaced(tracee: &mut Tracee, instead: &Replacement<'_>) -> ExecEnd {
    let Ok(_announced) = instead.begin(tracee.id) else {
        tracee.kill();
        return ExecEnd::Failed(libc::EACCES);
    };
    for _ in 0..replaced::STOPS_MAX {
        match ptrace::wait() {
            Ok(Stop::Exec(_)) => return verified(tracee, &instead.expected),
            // The breakpoint behind the call: the kernel did not start it.
            Ok(Stop::Signal(id, libc::SIGTRAP)) => {
                let errno = ptrace::returned(id).map_or(libc::EACCES, |value| i32::try_from(-value).unwrap_or(libc::EACCES));
                tracee.kill();
                return ExecEnd::Failed(errno.max(1));
            }
            Ok(Stop::Signal(id, signal)) if ptrace::go_on(id, signal).is_ok() => {}
            Ok(Stop::Trap(id)) if ptrace::go_on(id, 0).is_ok() => {}
            Ok(Stop::Ended(_) | Stop::Nobody) => {
                tracee.open = false;
                return ExecEnd::Gone;
            }
            Ok(_) | Err(_) => break,
        }
    }
    tracee.kill();
    ExecEnd::Gone
}

fn failed(tracee: &mut Tracee, signal: i32) -> ExecEnd {
    let value = ptrace::returned(tracee.id).unwrap_or(0);
    tracee.let_go(signal);
    ExecEnd::Failed(i32::try_from(-value).unwrap_or(0).max(0))
}

fn verified(tracee: &mut Tracee, expected: &Expected<'_>) -> ExecEnd {
    match differs(tracee.id, expected) {
        None => {
            tracee.let_go(0);
            ExecEnd::Committed
        }
        Some(found) => {
            tracee.kill();
            ExecEnd::Lost(found)
        }
    }
}

/// What was committed, if it is not what was decided. What cannot be read differs.
fn differs(process: i32, expected: &Expected<'_>) -> Option<Found> {
    let arguments = arguments(process, expected.arguments.len());
    let same_program = program(process).is_some_and(|stat| stat.same(&expected.program.stat));
    if same_program && arguments.as_deref() == Some(&expected.arguments) {
        return None;
    }
    let program = std::fs::read_link(format!("/proc/{process}/exe")).map(|path| path.into_os_string().into_encoded_bytes());
    Some(Found { program: program.unwrap_or_default(), arguments: arguments.unwrap_or_default() })
}

fn program(process: i32) -> Option<files::Stat> {
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(format!("/proc/{process}/exe")).ok()?;
    files::stat(file.as_fd()).ok()
}

/// The argument block, and one byte past what is expected, if there is one.
fn arguments(process: i32, expected: usize) -> Option<Vec<u8>> {
    let file = File::open(format!("/proc/{process}/cmdline")).ok()?;
    let mut block = Vec::with_capacity(expected + 1);
    file.take(expected as u64 + 1).read_to_end(&mut block).ok()?;
    Some(block)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::door::seen::resolve::{Name, Object};
    use std::process::{Child, Command, Stdio};

    fn shell(then: &str) -> Child {
        let command = format!("echo; read x; {then}");
        let mut child = Command::new("/bin/sh").args(["-c", &command]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // `spawn` may return while the shell's own exec has yet to finish.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    fn call(thread: i32) -> Call {
        Call { id: 1, thread, number: 59, arguments: [0; 6] }
    }

    fn object(path: &str) -> Object {
        let file = File::options().read(true).custom_flags(libc::O_PATH).open(path).unwrap();
        let stat = files::stat(file.as_fd()).unwrap();
        Object { file: file.into(), stat, name: Name::Path(path.as_bytes().to_vec()) }
    }

    fn traced(then: &str, program: &str, arguments: &[u8]) -> (ExecEnd, bool) {
        let mut child = shell(then);
        let program = object(program);
        let expected = Expected { program: &program, arguments: arguments.to_vec() };
        let mut input = child.stdin.take();
        let id = i32::try_from(child.id()).unwrap();
        ptrace::seize(id).unwrap();
        drop(input.take());
        let outcome = watch(&mut Tracee::of(id), &expected, None);
        // The tracer is the parent here, and has reaped what it killed.
        (outcome, child.wait().is_ok_and(|status| status.success()))
    }

    #[test]
    fn what_was_decided_runs() {
        let (outcome, status) = traced("exec /bin/sleep 0", "/bin/sleep", b"/bin/sleep\x000\0");
        assert_eq!(outcome, ExecEnd::Committed);
        assert!(status);
    }

    fn replaced(then: &str, arguments: &[&str]) -> (ExecEnd, Option<i32>) {
        let mut child = shell(then);
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        let (first, program) = (object("/bin/sleep"), object("/bin/sleep"));
        let block = |arguments: &[Vec<u8>]| arguments.iter().flat_map(|argument| argument.iter().copied().chain([0])).collect::<Vec<u8>>();
        let expected = Expected { program: &first, arguments: b"/bin/sleep\09\0".to_vec() };
        let starting = replaced::Starting::default();
        let then = Expected { program: &program, arguments: block(&arguments) };
        let instead = Replacement { arguments: &arguments, expected: then, starting: &starting };
        let mut input = child.stdin.take();
        let id = i32::try_from(child.id()).unwrap();
        ptrace::seize(id).unwrap();
        drop(input.take());
        let outcome = watch(&mut Tracee::of(id), &expected, Some(&instead));
        (outcome, child.wait().ok().and_then(|status| status.code()))
    }

    #[test]
    fn another_command_runs_in_the_place_of_one() {
        assert_eq!(replaced("exec /bin/sleep 9", &["/bin/sleep", "0"]), (ExecEnd::Committed, Some(0)));
        assert_eq!(replaced("exec /bin/sleep 9", &["sleep", "0", "0", "--", "0"]), (ExecEnd::Committed, Some(0)));
        // Only what was asked for is replaced: anything else is killed.
        assert!(matches!(replaced("exec /bin/sleep 8", &["/bin/sleep", "0"]), (ExecEnd::Lost(_), None)));
    }

    #[test]
    fn what_is_too_long_to_be_started_is_killed() {
        let long = "x".repeat(100_000);
        assert_eq!(replaced("exec /bin/sleep 9", &["/bin/sleep", &long]), (ExecEnd::Failed(libc::EACCES), None));
    }

    #[test]
    fn other_arguments_are_killed() {
        let (outcome, status) = traced("exec /bin/sleep 9", "/bin/sleep", b"/bin/sleep\x000\0");
        let found = Found { program: object("/bin/sleep").name_for_test(), arguments: b"/bin/sleep\x009\0".to_vec() };
        assert_eq!(outcome, ExecEnd::Lost(found));
        assert!(!status);
    }

    #[test]
    fn more_arguments_are_killed() {
        let (outcome, _) = traced("exec /bin/sleep 0 0", "/bin/sleep", b"/bin/sleep\x000\0");
        assert!(matches!(outcome, ExecEnd::Lost(_)));
    }

    #[test]
    fn another_program_is_killed() {
        let (outcome, status) = traced("exec /bin/sleep 0", "/bin/true", b"/bin/sleep\x000\0");
        assert!(matches!(outcome, ExecEnd::Lost(_)));
        assert!(!status);
    }

    #[test]
    fn an_interrupted_thread_is_let_go() {
        let mut child = shell("exit 7");
        let id = i32::try_from(child.id()).unwrap();
        let program = object("/bin/true");
        let expected = Expected { program: &program, arguments: Vec::new() };
        assert!(matches!(Traced::seize(&call(id), &expected, || false), Ok(None)));
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn a_dead_thread_is_gone() {
        let mut child = shell("exit 0");
        let id = i32::try_from(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let program = object("/bin/true");
        let expected = Expected { program: &program, arguments: Vec::new() };
        assert!(matches!(Traced::seize(&call(id), &expected, || true), Ok(None)));
    }

    impl Object {
        fn name_for_test(&self) -> Vec<u8> {
            std::fs::canonicalize(String::from_utf8_lossy(self.name.bytes()).as_ref()).unwrap().into_os_string().into_encoded_bytes()
        }
    }
}
