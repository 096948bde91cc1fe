//! Terminals: of `/dev/tty` the caller's own, where the kernel would give the supervisor's; of all others the session's (`seen::terminals`).
//!
//! Left out: what policy says, which knows every caller's own terminal as `/dev/tty`, however it was reached.

use crate::door::errand::Errand;
use crate::door::seen::caller::{Reached, Stop};
use crate::door::seen::resolve::{Name, Object};
use crate::door::seen::terminals;
use crate::sys::errno::Errno;
use crate::sys::files::{self, OpenHow};
use std::os::fd::{AsFd, BorrowedFd};

/// Major and minor of `/dev/tty` (devices.txt).
const OWN_TERMINAL: (u32, u32) = (5, 0);
/// Majors of the slaves of pseudo-terminals, 256 each.
const PSEUDO: std::ops::RangeInclusive<u32> = 136..=143;
/// Major of virtual consoles; from minor 64 on, serial lines.
const CONSOLES: u32 = 4;
const FIRST_SERIAL: u32 = 64;

/// Why another's terminal is refused.
const OTHERS: &str = "it is a terminal of somebody outside the session";

/// The object itself, unless it is `/dev/tty` or the caller's own terminal: then that terminal, called `/dev/tty`.
///
/// # Errors
/// ENXIO when the caller has no terminal, as tty(4) says.
pub fn of_caller(errand: &Errand<'_>, object: Object) -> Result<Object, Stop> {
    if !errand.session.terminals.admit(&object.stat) {
        return Err(others(object));
    }
    if object.stat.kind() != libc::S_IFCHR || !is_terminal(object.stat.special) {
        return Ok(object);
    }
    let device = (libc::major(object.stat.special), libc::minor(object.stat.special));
    let own = errand.caller.terminal()?;
    errand.caller.confirm()?;
    let own = decoded(own);
    if device != OWN_TERMINAL {
        let name = if device == own { Name::Path(b"/dev/tty".to_vec()) } else { object.name };
        return Ok(Object { name, ..object });
    }
    let path = path_of(own).ok_or(Errno(libc::ENXIO))?;
    let how = OpenHow { flags: libc::O_PATH as u64, mode: 0, resolve: libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS };
    let file = files::open_how(errand.session.ground.root.as_fd(), &files::text(path.as_bytes())?, how).map_err(|_| Errno(libc::ENXIO))?;
    let stat = files::stat(file.as_fd())?;
    if stat.kind() != libc::S_IFCHR || (libc::major(stat.special), libc::minor(stat.special)) != own {
        return Err(Errno(libc::ENXIO).into());
    }
    let object = Object { file, stat, name: Name::Path(b"/dev/tty".to_vec()) };
    // It was the caller's when asked; should it have been taken away since, its name may be another's.
    if errand.session.terminals.admit(&object.stat) { Ok(object) } else { Err(others(object)) }
}

/// The object, unless it is a terminal of somebody outside: whose mode or owner is changed is opened by others, or shut to its own.
///
/// # Errors
/// A refusal.
pub fn admitted(errand: &Errand<'_>, object: Object) -> Result<Object, Stop> {
    if errand.session.terminals.admit(&object.stat) { Ok(object) } else { Err(others(object)) }
}

fn others(object: Object) -> Stop {
    let path = object.name.bytes().to_vec();
    Stop::Refused { reached: Reached::Path(path), because: OTHERS, errno: libc::EACCES }
}

/// A terminal made through the door is the session's: its other side may be opened by name.
pub fn learn(errand: &Errand<'_>, object: &Object, opened: BorrowedFd<'_>) {
    if object.stat.kind() == libc::S_IFCHR && terminals::is_multiplexer(object.stat.special) {
        // One whose other side is not found stays shut, which is recorded when somebody tries to open it.
        let _shut = errand.session.terminals.made(errand.session.ground.root.as_fd(), opened, object.name.bytes());
    }
}

fn is_terminal(device: u64) -> bool {
    let (major, minor) = (libc::major(device), libc::minor(device));
    (major, minor) == OWN_TERMINAL || PSEUDO.contains(&major) || major == CONSOLES
}

/// `tty_nr` packs the minor around the major (proc_pid_stat(5)).
fn decoded(number: u64) -> (u32, u32) {
    let number = number as u32;
    ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00))
}

fn path_of((major, minor): (u32, u32)) -> Option<String> {
    if PSEUDO.contains(&major) {
        return Some(format!("/dev/pts/{}", (major - PSEUDO.start()) * 256 + minor));
    }
    match (major, minor) {
        (CONSOLES, minor) if minor < FIRST_SERIAL => Some(format!("/dev/tty{minor}")),
        (CONSOLES, minor) => Some(format!("/dev/ttyS{}", minor - FIRST_SERIAL)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_number_leads_to_its_device() {
        assert_eq!(path_of(decoded(0x8803)), Some("/dev/pts/3".into()));
        assert_eq!(path_of(decoded(0x8900)), Some("/dev/pts/256".into()));
        assert_eq!(path_of(decoded(0x0401)), Some("/dev/tty1".into()));
        assert_eq!(path_of(decoded(0x0440)), Some("/dev/ttyS0".into()));
        assert_eq!(path_of(decoded(0)), None);
    }
}
