//! `--doctor`: each mechanism exercised for real, in processes of its own, and what it gave.
//!
//! Runs without a policy and leaves nothing behind. What a session would refuse to start without is `needed`.

use crate::door::net::sender;
use crate::door::resolver::socket_maker::{MECHANISM, Starting};
use crate::filter::need::Need;
use crate::filter::program::program;
use crate::machine::enforcement::{self, Enforcement};
use crate::machine::{capability, foreign, yama};
use crate::sys::descriptors::{self, pipe, read_byte, write_all};
use crate::sys::notify::{self, Call, Instruction, Listener};
use crate::sys::process::{self, Forked};
use crate::sys::{self, capabilities, files, landlock, mounting};
use crate::tree::wall;
use serde_json::{Value, json};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// How long a trapped call of the doctor's own child is waited for, in milliseconds.
const WAIT_MS: i32 = 5000;

/// What each mechanism gave, as JSON: `{"kernel", "user", "ready", "lacking", "mechanisms": [{name, needed, enforcement, detail, hint}]}`.
#[must_use]
pub fn examine() -> Value {
    let surroundings = capability::surroundings();
    let checks = match &surroundings {
        Some(found) => vec![needed("surroundings", Err(found.what.clone()), &found.hint)],
        None => std::iter::once(needed("surroundings", Ok(standing()), "")).chain(mechanisms()).collect(),
    };
    let holds = |check: &Value| check.pointer("/enforcement/state") == Some(&json!("fully"));
    let ready = checks.iter().all(|check| check.get("needed") == Some(&json!(false)) || holds(check));
    let lacking = capability::lacking().map(|found| found.what);
    json!({"kernel": capability::kernel(), "user": process::user(), "ready": ready && lacking.is_none(), "lacking": lacking, "mechanisms": checks})
}

/// What a policy that names hosts asks of this machine before a start, as JSON: the state of its names.
#[must_use]
pub fn host_names() -> Value {
    json!(enforcement::names(Starting::begin().and_then(Starting::ready).is_ok()))
}

fn mechanisms() -> [Value; 9] {
    let own_ipc = in_child(|| process::own_ipc().map(|()| "a session gets System V and POSIX messages of its own".into()));
    let own_places = in_child(places);
    let (senders, wakes) = (in_child(says_who), wakes());
    [
        needed("landlock", wall_holds(), "Linux 6.12 or later, with `landlock` in the kernel's `lsm=` list"),
        needed("notification", notified(), "Linux 5.19 or later; a container must not hold a seccomp listener of its own"),
        needed("sentinel", scoped(), "Linux 6.12 or later (Landlock ABI 6)"),
        needed("read-caller", readable(), &yama::advice()),
        or_else("ipc-namespace", own_ipc, enforcement::ipc, "CAP_SYS_ADMIN gives a session a namespace of its own"),
        or_else(
            "private-places",
            own_places,
            |works| enforcement::private_places(works, works),
            "CAP_SYS_ADMIN gives a session places of its own",
        ),
        or_else(
            "unix-senders",
            senders,
            |works| if works { Enforcement::Fully { how: None } } else { sender::standing_without() },
            "CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID let a message name its caller",
        ),
        or_else(MECHANISM, names(), enforcement::names_at_large, names_hint()),
        or_else("wake-up", wakes, enforcement::wake_up, "Linux 6.6 or later"),
    ]
}

fn standing() -> String {
    let filter = if foreign::stands() {
        "another's seccomp filter stands and lets through what is needed"
    } else {
        "no other seccomp filter stands"
    };
    format!("Linux {}, a proc file system of its own; {filter}", capability::kernel())
}

/// A mechanism without which nothing starts.
fn needed(name: &str, result: Result<String, String>, hint: &str) -> Value {
    let (works, detail) = tried(name, result);
    let enforcement = if works { Enforcement::Fully { how: None } } else { Enforcement::NotEnforced { reason: detail.clone() } };
    let hint = if works { Value::Null } else { json!(hint) };
    json!({"name": name, "needed": true, "enforcement": enforcement, "detail": detail, "hint": hint})
}

/// A mechanism that another stands in for. `hint`: what would give it.
fn or_else(name: &str, result: Result<String, String>, enforced: impl FnOnce(bool) -> Enforcement, hint: &str) -> Value {
    let (works, detail) = tried(name, result);
    let hint = if works { Value::Null } else { json!(hint) };
    json!({"name": name, "needed": false, "enforcement": enforced(works), "detail": detail, "hint": hint})
}

fn tried(name: &str, result: Result<String, String>) -> (bool, String) {
    match result {
        Ok(_) if capability::simulated(name) => (false, "it is simulated to be missing".to_owned()),
        Ok(detail) => (true, detail),
        Err(why) => (false, why),
    }
}

/// A domain that admits nothing keeps a child from a file that it could read before.
fn wall_holds() -> Result<String, String> {
    let wall = wall::build(&[]).map_err(|lacking| lacking.0)?;
    in_child(|| {
        std::fs::File::open("/proc/self/status")?;
        restrict(&wall.inner)?;
        expect(std::fs::File::open("/proc/self/status").map(drop), libc::EACCES)?;
        Ok(format!("ABI {}: a read outside the domain was refused", wall.abi))
    })
}

/// A process within the outer domain cannot signal one outside it.
fn scoped() -> Result<String, String> {
    let wall = wall::build(&[]).map_err(|lacking| lacking.0)?;
    let outside = process::id();
    in_child(|| {
        restrict(&wall.outer)?;
        expect(process::kill(outside, 0), libc::EPERM)?;
        Ok("a signal out of the domain was refused".into())
    })
}

fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    landlock::restrict(ruleset.as_fd())
}

fn expect(result: io::Result<()>, errno: i32) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(errno) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("it was let through")),
    }
}

/// A child's trapped open is answered with a descriptor of ours.
fn notified() -> Result<String, String> {
    trapped(|listener, call| {
        let file = std::fs::File::open("/proc/self/comm")?;
        listener.inject(call.id, file.as_fd(), true)?;
        Ok("an open was received, decided and answered with a descriptor".into())
    })
}

/// The memory of a caller that waits can be read: without it no path would be known.
fn readable() -> Result<String, String> {
    trapped(|listener, call| {
        std::fs::File::open(format!("/proc/{}/mem", call.thread))?;
        listener.errno(call.id, libc::EACCES)?;
        Ok("a waiting caller's memory could be opened".into())
    })
}

/// Something can be mounted where nobody outside sees it.
fn places() -> io::Result<String> {
    let root = std::fs::File::open("/tmp")?;
    let mounted = mounting::own_mounts().and_then(|()| mounting::memory(c"/tmp", &files::stat(root.as_fd())?, root.as_fd()));
    mounted.map_err(|errno| io::Error::from_raw_os_error(errno.0))?;
    Ok("a session gets /tmp, /var/tmp and /dev/shm of its own".into())
}

/// What a session's supervisor keeps is enough to name another process in a message.
fn says_who() -> io::Result<String> {
    let another = process::parent();
    capabilities::keep(capability::supervisor(), capability::aside())?;
    sender::names(another).map_err(|errno| io::Error::from_raw_os_error(errno.0))?;
    Ok("a unix message that is sent on behalf carries its caller's process, user and group".into())
}

fn names() -> Result<String, String> {
    Starting::begin().and_then(Starting::ready).map(|_| "a network in which every address is a session's own could be made".into())
}

/// Ubuntu has a setting of its own by which a program gets a user namespace without any right in it.
fn names_hint() -> &'static str {
    let restricted = std::fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    if restricted.is_ok_and(|text| text.trim() == "1") {
        "AppArmor keeps user namespaces from programs without a profile: docs/install.md (Ubuntu) has one; as root names are answered"
    } else {
        "user namespaces for ordinary users, or CAP_SYS_ADMIN, let sessions answer names of hosts"
    }
}

fn wakes() -> Result<String, String> {
    trapped(|listener, call| {
        let woken = listener.wake_synchronously();
        listener.errno(call.id, libc::EACCES)?;
        woken.map(|()| "caller and supervisor hand over on one processor".into())
    })
}

/// Runs a child behind the real filter up to its first open, and answers that one.
fn trapped(answer: impl FnOnce(&Listener, &Call) -> io::Result<String>) -> Result<String, String> {
    trap(&program(Need::ALL), answer).map_err(|error| error.to_string())
}

fn trap(program: &[Instruction], answer: impl FnOnce(&Listener, &Call) -> io::Result<String>) -> io::Result<String> {
    let (number_read, number) = pipe()?;
    let (down, go) = pipe()?;
    let child = match process::fork()? {
        Forked::Child => {
            drop((number_read, go));
            caller(program, &number, &down)
        }
        Forked::Parent(child) => child,
    };
    drop((number, down));
    let result = listen(child, &number_read, &go, answer);
    let _gone = process::kill(child, libc::SIGKILL);
    let _reaped = process::wait_for(child);
    result
}

fn caller(program: &[Instruction], number: &OwnedFd, down: &OwnedFd) -> ! {
    let installed = process::control(libc::PR_SET_NO_NEW_PRIVS, 1).and_then(|_| notify::install(program));
    let said = match &installed {
        Ok(listener) => u8::try_from(listener.as_raw_fd()).unwrap_or(0),
        Err(_) => 0,
    };
    if write_all(number.as_fd(), &[said]).is_ok() && said > 0 && read_byte(down.as_fd()).is_some() {
        let _answered = std::fs::File::open(Path::new("/dev/null"));
    }
    process::leave(0)
}

fn listen(child: i32, number: &OwnedFd, go: &OwnedFd, answer: impl FnOnce(&Listener, &Call) -> io::Result<String>) -> io::Result<String> {
    let number =
        read_byte(number.as_fd()).filter(|number| *number > 0).ok_or_else(|| io::Error::other("the filter could not be installed"))?;
    let listener = descriptors::take_from(process::descriptor(child)?.as_fd(), i32::from(number))?;
    write_all(go.as_fd(), b"!")?;
    if descriptors::wait_readable(&[listener.as_fd()], WAIT_MS).is_empty() {
        return Err(io::Error::other("no call arrived"));
    }
    let listener = Listener::from(listener);
    let call = listener.receive()?.ok_or_else(|| io::Error::other("the caller vanished"))?;
    answer(&listener, &call)
}

/// Runs `act` in a child; its words, or its error, come back through a pipe.
fn in_child(act: impl FnOnce() -> io::Result<String>) -> Result<String, String> {
    let text = |error: io::Error| error.to_string();
    let (read, write) = pipe().map_err(text)?;
    match process::fork().map_err(text)? {
        Forked::Child => {
            let (word, told) = match act() {
                Ok(detail) => ("ok", detail),
                Err(error) => ("no", format!("{error} (errno {})", sys::errno(&error))),
            };
            let code = i32::from(write_all(write.as_fd(), format!("{word} {told}").as_bytes()).is_err());
            process::leave(code)
        }
        Forked::Parent(child) => {
            drop(write);
            let told = io::read_to_string(std::fs::File::from(read)).map_err(text);
            let _reaped = process::wait_for(child);
            match told?.split_once(' ') {
                Some(("ok", detail)) => Ok(detail.to_owned()),
                Some((_, why)) => Err(why.to_owned()),
                None => Err("the test's process died".to_owned()),
            }
        }
    }
}
