//! Why nothing was run, with the exit codes of `spec/home.md`: 120 usage, 121 policy, 122 machine, 123 own failure, 124 refused.

use super::ending::{Ending, Reason};
use crate::machine::{foreign, yama};
use serde_json::{Value, json};
use std::time::Duration;

/// Seconds that the guardian and the command may take for each step to the listener and through the self-test, and the most that may be asked for.
const STEP_SECONDS: u64 = 20;
const STEP_SECONDS_MAX: u64 = 3600;
/// Names another number of seconds, for machines that are slower than any seen.
const STEP_VARIABLE: &str = "INTERLOCK_START_SECONDS";

/// Why nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Failed {
    pub code: i32,
    pub message: String,
    pub hint: String,
}

impl Failed {
    /// With its exit code, and what to do about it.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>, hint: &str) -> Self {
        Self { code, message: message.into(), hint: hint.to_owned() }
    }

    /// A failure of our own.
    pub(crate) fn own(what: &str, error: impl std::fmt::Display) -> Self {
        Self::new(123, format!("{what}: {error}"), "")
    }

    /// What the session is reached by could not be made.
    pub(crate) fn sockets(error: &std::io::Error) -> Self {
        Self::new(123, format!("the session's sockets: {error}"), "")
    }

    /// A step of the start that did not come in time.
    pub(crate) fn late(what: &str) -> Self {
        let seconds = step_max().as_secs();
        let hint = "where the machine is slow or busy, `INTERLOCK_START_SECONDS=120` waits longer";
        Self::new(123, format!("{what} within {seconds} s"), hint)
    }

    /// The machine lacks something.
    pub(crate) fn lacking(what: impl Into<String>, hint: &str) -> Self {
        Self::new(lacking_code(), what, hint)
    }

    /// What the command's process said of the step (`failed STEP ERRNO`) at which it gave up.
    pub(crate) fn at_step(words: &[String]) -> Self {
        let step = words.get(1).map_or("", String::as_str);
        let errno = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(0);
        let error = std::io::Error::from_raw_os_error(errno);
        match (step, errno) {
            ("filter", libc::EBUSY) => Self::lacking(
                "a seccomp listener stands already, and the kernel has one for each process: this runs inside another Interlock, or its container or \
                 virtual machine holds one",
                "run it outside; WSL2 holds one while its networking is `mirrored`: set networkingMode=nat in .wslconfig",
            ),
            ("filter", libc::EINVAL) => Self::new(122, "seccomp lacks WAIT_KILLABLE_RECV", "Linux 5.19 has it"),
            (_, libc::EPERM | libc::ENOSYS) if foreign::stands() => {
                Self::new(122, format!("the seccomp filter that this runs in refuses what `{step}` needs: {error}"), "docs/containers.md")
            }
            ("directory", _) => Self::new(120, format!("the working directory cannot be entered: {error}"), ""),
            _ => Self::new(123, format!("starting the command failed at `{step}`: {error}"), ""),
        }
    }

    /// The listener stayed with the command. Not permitted is the machine's; anything else (the command was killed meanwhile) is not.
    pub(crate) fn not_taken(error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::new(122, format!("the listener could not be taken over (pidfd_getfd): {error}"), &yama::advice()),
            _ => Self::own("the listener could not be taken over", error),
        }
    }

    /// The same with the reason for which the session came to its end, where there is one.
    #[must_use]
    pub(crate) fn because(self, ending: &Ending) -> Self {
        match ending.reason() {
            Some(Reason::Failed(reason)) => Self { message: format!("{}: {reason}", self.message), ..self },
            _ => self,
        }
    }

    /// As `interlock run` is told of it (`spec/supervisor.md`).
    #[must_use]
    pub fn told(&self) -> Value {
        json!({"type": "failed", "code": self.code, "message": self.message, "hint": self.hint})
    }
}

/// How long each step may take.
pub(crate) fn step_max() -> Duration {
    let asked = std::env::var(STEP_VARIABLE).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(STEP_SECONDS).clamp(1, STEP_SECONDS_MAX))
}

/// Inside another session the mechanisms are taken: that is a nested run which cannot be honoured, not a lacking machine.
fn lacking_code() -> i32 {
    if foreign::is_a_sessions() { 124 } else { 122 }
}
