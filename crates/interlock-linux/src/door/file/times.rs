//! utime, utimes, futimesat, utimensat: four ways to say two times, one act.

use super::object::{object_of, open_file};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::Enactor;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use interlock_core::action::Verb;
use std::os::fd::AsFd;

/// (seconds, nanoseconds) of access and of change; `None`: now.
type Times = Option<[(i64, i64); 2]>;

const NANOSECONDS: i64 = 1_000_000_000;
const MICROSECONDS: i64 = 1_000_000;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers one call of the family.
pub fn change(errand: &Errand<'_>) -> Result<(), Stop> {
    let caller = &errand.caller;
    match i64::from(caller.number()) {
        libc::SYS_utime => at(errand, (libc::AT_FDCWD, 0), seconds(errand, 1)?, 0),
        libc::SYS_utimes => at(errand, (libc::AT_FDCWD, 0), microseconds(errand, 1)?, 0),
        libc::SYS_futimesat => {
            let times = microseconds(errand, 2)?;
            if caller.argument(1) == 0 { of(errand, caller.int(0), times) } else { at(errand, (caller.int(0), 1), times, 0) }
        }
        libc::SYS_utimensat => {
            let times = nanoseconds(errand, 2)?;
            if let Some([(_, libc::UTIME_OMIT), (_, libc::UTIME_OMIT)]) = times {
                return Ok(());
            }
            let flags = caller.int(3);
            let descriptor = caller.argument(1) == 0 && caller.int(0) != libc::AT_FDCWD;
            if descriptor && flags != 0 {
                return Err(Errno(libc::EINVAL).into());
            }
            if descriptor { of(errand, caller.int(0), times) } else { at(errand, (caller.int(0), 1), times, flags) }
        }
        _ => Err(Errno(libc::ENOSYS).into()),
    }
}

fn at(errand: &Errand<'_>, place: (i32, usize), times: Times, flags: i32) -> Result<(), Stop> {
    let object = object_of(errand, place, flags, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)?;
    check(times)?;
    errand.enact_on(&ENACTOR, &[Verb::FileUtime], &object, |_| Ok(files::change_times(object.file.as_fd(), times)?))
}

fn of(errand: &Errand<'_>, number: i32, times: Times) -> Result<(), Stop> {
    let object = open_file(errand, number)?;
    check(times)?;
    errand.enact_on(&ENACTOR, &[Verb::FileUtime], &object, |_| Ok(files::change_times_of(object.file.as_fd(), times)?))
}

fn seconds(errand: &Errand<'_>, index: usize) -> Sys<Times> {
    words::<2>(errand, index).map(|times| times.map(|[access, change]| [(access, 0), (change, 0)]))
}

fn microseconds(errand: &Errand<'_>, index: usize) -> Sys<Times> {
    let Some([s0, u0, s1, u1]) = words::<4>(errand, index)? else { return Ok(None) };
    if !(0..MICROSECONDS).contains(&u0) || !(0..MICROSECONDS).contains(&u1) {
        return Err(Errno(libc::EINVAL));
    }
    Ok(Some([(s0, u0 * 1000), (s1, u1 * 1000)]))
}

fn nanoseconds(errand: &Errand<'_>, index: usize) -> Sys<Times> {
    let Some([s0, n0, s1, n1]) = words::<4>(errand, index)? else { return Ok(None) };
    Ok(Some([(s0, n0), (s1, n1)]))
}

/// Nanoseconds are judged only once the file is found, as the kernel does.
fn check(times: Times) -> Sys<()> {
    let valid = |nanoseconds: i64| matches!(nanoseconds, libc::UTIME_NOW | libc::UTIME_OMIT) || (0..NANOSECONDS).contains(&nanoseconds);
    if times.iter().flatten().all(|(_, nanoseconds)| valid(*nanoseconds)) { Ok(()) } else { Err(Errno(libc::EINVAL)) }
}

fn words<const N: usize>(errand: &Errand<'_>, index: usize) -> Sys<Option<[i64; N]>> {
    match errand.caller.argument(index) {
        0 => Ok(None),
        address => errand.caller.words::<N>(address).map(|words| Some(words.map(|word| word as i64))),
    }
}
