//! Why this machine may refuse to let a supervisor look into its own children: Yama's ptrace_scope, a container's filter, a security module.
//!
//! Words only. What is refused was tried before (`start`, `doctor`).

use super::{container, foreign};

const SCOPE: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// What to do where tracing a child was refused: the true cause, as far as the machine tells it.
#[must_use]
pub fn advice() -> String {
    words(std::fs::read_to_string(SCOPE).ok().as_deref(), foreign::stands())
}

fn words(scope: Option<&str>, filtered: bool) -> String {
    match scope.map(str::trim) {
        Some("2") => format!("Yama keeps tracing to CAP_SYS_PTRACE: write 1 into `{SCOPE}`, or give the capability"),
        Some("3") => format!("Yama forbids all tracing until the next boot (`{SCOPE}` is 3): set kernel.yama.ptrace_scope to 1 and boot"),
        _ if filtered => container::advice(&["pidfd_getfd", "ptrace"]),
        _ => "a security module of this machine forbids it (AppArmor, SELinux): its log names the rule".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yama_is_named_only_where_it_says_no() {
        for scope in ["2\n", "3\n"] {
            assert!(words(Some(scope), true).contains("Yama"));
        }
        for scope in [None, Some("0\n"), Some("1\n")] {
            assert!(!words(scope, false).contains("Yama"));
            assert!(words(scope, true).starts_with("let it through"));
        }
    }
}
