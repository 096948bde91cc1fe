//! What others of the session may move between decision and act: the place of a name is found, and acted on only while it is what was decided.
//!
//! Left out: what a move itself does (`rename`).

use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::place::{self, Place};
use crate::door::seen::resolve;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::Stat;
use std::os::fd::AsFd as _;

/// Times that others of the session may move what a call names.
const TRIES: usize = 8;
/// Between decision and act something else has come to stand there: the call is looked at afresh. The kernel's own word for it.
pub const MOVED: Stop = Stop::Errno(Errno(libc::ESTALE));

/// Serves a call, and afresh for as long as others move what it names.
pub fn afresh<T>(mut serve: impl FnMut() -> T, was_moved: impl Fn(&T) -> bool) -> T {
    let mut result = serve();
    for _ in 1..TRIES {
        if !was_moved(&result) {
            break;
        }
        result = serve();
    }
    result
}

/// The place that descriptor `directory` and the path in argument `index` mean.
pub fn place_of(errand: &Errand<'_>, directory: i32, index: usize) -> Result<Place, Stop> {
    let text = errand.caller.path(index)?;
    let start = resolve::held_start(&errand.caller, directory, &text)?;
    errand.as_caller(|| place::place(&errand.caller, start.as_fd(), &text))
}

/// Acts on a name while no session moves a directory, if its place is still what was decided.
///
/// # Errors
/// [`MOVED`] when it is not: the directory was renamed, or something else stands there now.
pub fn in_place<T>(errand: &Errand<'_>, place: &Place, before: Option<&Stat>, act: impl FnOnce() -> Sys<T>) -> Result<T, Stop> {
    let _names = errand.session.naming.making()?;
    if !place.stands(&errand.session.ground) {
        return Err(MOVED);
    }
    // A name that has appeared meanwhile is EEXIST by the call itself.
    if before.is_some() && !place.holds(before) {
        return Err(MOVED);
    }
    Ok(act()?)
}
