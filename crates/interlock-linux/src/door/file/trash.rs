//! The trash: what policy steers a deletion to. What was there before goes where the session's journal keeps it, or the act is not done.
//!
//! The journal keeps it anyway, as long as there is room; an act that was steered is done only if it did. So both are one store, and what went to the
//! trash comes back by `interlock session restore`. A move or a link out of where the rule holds is no loss yet and would become one unseen: it is
//! answered as one to another device is, so whoever moves copies, and takes the old name away.
//! Left out: how it is kept (`before`).

use crate::door::errand::Errand;
use crate::door::seen::caller::{Reached, Stop};
use crate::door::session::Session;
use crate::journal::Keeping;
use crate::line::judge::Judge;
use crate::line::{Enactor, Observed, Permit, Verdict};
use crate::sys::errno::Errno;
use interlock_core::action::{Action, Target, Verb};
use interlock_core::facts::{Facts, Origin};
use interlock_core::steer::Steer;
use std::os::unix::ffi::OsStrExt as _;

const NO_ROOM: &str =
    "it goes to the trash or stays: the session's journal has no room for it, or cannot take it (`interlock run --journal SIZE`)";

/// How what an act loses is to be left, as its permits say.
pub fn keeping(permits: &[Permit]) -> Keeping {
    let is_steered = permits.iter().any(|permit| permit.verdict == Verdict::Steer(Steer::Trash));
    if is_steered { Keeping::OrNothing } else { Keeping::WhatFits }
}

/// Whether the act may be done.
///
/// # Errors
/// A refusal, where what it loses has to be kept and is not.
pub fn admits(keeping: Keeping, path: &[u8], is_kept: impl FnOnce() -> bool) -> Result<(), Stop> {
    if keeping == Keeping::WhatFits || is_kept() {
        return Ok(());
    }
    Err(Stop::Refused { reached: Reached::Path(path.to_vec()), because: NO_ROOM, errno: libc::ENOSPC })
}

/// Follows a steer to the trash, and does what else is allowed as it is. `steered` is [`instead`].
pub fn enactor<'a>(steered: &'a dyn Fn(&Action, &Steer) -> Option<Observed>) -> Enactor<'a> {
    Enactor { follows: |steer| *steer == Steer::Trash, steered, ..Enactor::PLAIN }
}

/// What a deletion is steered to: a name in the session's own folder, where there is nothing but, for policy, the trash. Nothing where nothing is kept.
pub fn instead<'e>(errand: &'e Errand<'_>) -> impl Fn(&Action, &Steer) -> Option<Observed> + 'e {
    |action, _| {
        let Target::File(end) = &action.target else { return None };
        errand.session.journal.as_ref().filter(|journal| journal.covers(&end.path.0))?;
        // What lies there is the session's.
        Some(Observed { origin: Some(Origin::Session), ..errand.act(Verb::FileDelete, &place(errand.session, &end.path.0), None) })
    }
}

fn place(session: &Session, name: &[u8]) -> Vec<u8> {
    let folder = session.inside.parent().unwrap_or(&session.inside);
    [folder.as_os_str().as_bytes(), b"/trash", name].concat()
}

/// Whether moving or linking out of a name, which amounts to this deletion, is to be done by copying.
///
/// # Errors
/// EXDEV.
pub fn stays(judge: &Judge, lost: Observed) -> Result<Observed, Errno> {
    let decision = judge.first(&lost.alone(), |_| Facts { origin: lost.origin, ..Facts::default() }).decision;
    if decision.steer == Some(Steer::Trash) { Err(Errno(libc::EXDEV)) } else { Ok(lost) }
}
