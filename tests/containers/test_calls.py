"""Which system calls Interlock itself makes, and that a container with Docker's default profile and SYS_PTRACE allows each.

The list is complete: behind a filter that lets nothing else through, sessions work. Whoever needs another call adds it here, and sees whether
containers let it through.
"""

from __future__ import annotations

from tests.containers.conftest import CAP_SYS_PTRACE, Container, Kind
from tests.containers.profile import DOCKER_REFUSES, SYS_PTRACE, docker, numbers
from tests.containers.test_start import work

#: What the supervisor, the guardian, the sentinels and the command's process until its exec call, by what for.
INTERLOCK = {
    "wall, filter and door": "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp ioctl prctl",
    "looking at a caller": "process_vm_readv process_vm_writev pidfd_open pidfd_getfd pidfd_send_signal ptrace",
    "acting for it": (
        "chmod clone connect bind faccessat2 fchdir fchown fchownat fchmod fchmodat fgetxattr fsetxattr ftruncate getsockname getsockopt getxattr"
        " linkat listen mkdirat mknodat openat openat2 readlink readlinkat renameat2 sendmsg setsockopt setxattr symlinkat truncate umask"
        " unlinkat utimensat"
    ),
    "what the session made": "name_to_handle_at inotify_init1 inotify_add_watch inotify_rm_watch",
    "as whom": "capget capset getgroups getresgid getresuid setfsgid setfsuid setgroups",
    "the tree": "chdir close_range dup2 exit exit_group execve getpgid getpgrp getppid getsid kill setpgid setsid signalfd4 tgkill wait4 waitid",
    "the log": "fallocate fdatasync flock fsync getdents64 rename rmdir unlink mkdir",
    "memory, threads and time": (
        "arch_prctl brk clock_nanosleep futex getcpu getpid getrandom gettid madvise memfd_create mmap mprotect mremap munmap nanosleep prlimit64 rseq"
        " rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_setaffinity sched_yield set_robust_list set_tid_address sigaltstack"
    ),
    "descriptors": (
        "accept4 access close fcntl fstat fstatfs lseek newfstatat pipe2 poll pread64 pwrite64 read recvfrom recvmsg sendto shutdown socket"
        " socketpair statx write"
    ),
}
#: What Python, the shell and the programs of the work in the jail call besides.
PROGRAMS = (
    "accept dup epoll_create1 fadvise64 getcwd getegid geteuid getgid getpeername getrusage getuid mknod open pselect6 rt_sigsuspend setresgid"
    " setresuid statfs sysinfo uname vfork writev lstat stat execveat readv recvmmsg times"
)


def needed() -> set[str]:
    return set(" ".join(INTERLOCK.values()).split())


def test_docker_with_sys_ptrace_allows_every_call_that_interlock_makes() -> None:
    assert needed() <= set(numbers()), needed() - set(numbers())
    assert needed() & (DOCKER_REFUSES - SYS_PTRACE) == set()
    assert needed() & DOCKER_REFUSES == {"pidfd_getfd"}


def test_behind_a_filter_of_just_these_calls_it_works(container: Container, kind: Kind) -> None:
    """clone3 is not among them: where it is refused with ENOSYS, the C library makes threads and processes by clone."""
    names = sorted(needed() | set(PROGRAMS.split()))
    others = [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}, {"names": names, "action": "SCMP_ACT_ALLOW"}]
    work(container, docker() | {"syscalls": others}, kind, powers=(CAP_SYS_PTRACE,))
