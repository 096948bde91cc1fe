//! An act is enacted with a leave that the line did not give.

use crate::door::seen::caller::Stop;
use crate::door::errand::Errand;
use crate::line::{Enactor, Leave, Line, Observed};

#[cfg(misuse)]
fn made_up(line: &Line) -> Leave<'_> {
    Leave { line, permits: Vec::new(), later: None } //~ E0451 Leave
}

#[cfg(misuse)]
fn enacted(errand: &Errand<'_>) -> Result<(), Stop> {
    errand.carry_out(made_up(&errand.session.line), |_| Ok(()))
}

#[cfg(not(misuse))]
fn settled(errand: &Errand<'_>, acts: Vec<Observed>) -> Result<(), Stop> {
    let leave = errand.settle(&Enactor::PLAIN, acts)?;
    errand.carry_out(leave, |_| Ok(()))
}
