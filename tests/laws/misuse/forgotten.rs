//! A call is not answered, and it is said that it was; or one that never arrived is.

use crate::door::answer::{Answered, Calls, Pending};
use crate::door::errand::Errand;
use crate::sys::errno::Sys;

#[cfg(misuse)]
fn said(_errand: &Errand<'_>, _pending: Pending) -> Answered {
    Answered { errno: None } //~ E0451 Answered
}

#[cfg(misuse)]
fn made_up(calls: std::sync::Arc<Calls>, from: Pending) -> Pending {
    Pending { calls, ..from } //~ E0451 Pending
}

#[cfg(not(misuse))]
fn received(calls: &std::sync::Arc<Calls>) -> std::io::Result<Option<Pending>> {
    calls.receive()
}

#[cfg(not(misuse))]
fn done(_errand: &Errand<'_>, pending: Pending, result: Sys<i64>) -> Answered {
    match result {
        Ok(value) => pending.value(value),
        Err(errno) => pending.errno(errno.0),
    }
}
