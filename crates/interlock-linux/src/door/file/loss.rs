//! What an act takes away besides what it is called: overwriting what a file holds, and moving or linking a file out of where it was,
//! count as deletion for every rule that denies or asks about deleting.
//!
//! A file that holds something and is opened for writing may be overwritten or cut short through its descriptor at any time after, unseen: the
//! open is where that is decided. An allow needs no `file.delete` for it: silence about deletion says nothing about writing.
//! Left out: what another process puts into a file after this session opened it empty, and rules whose own verb covers the act.

use crate::door::errand::Errand;
use crate::line::Observed;
use crate::sys::files::Stat;
use interlock_core::action::{FileEnd, Inode, Target, Verb};
use interlock_core::decision::Outcome;
use interlock_core::facts::{Facts, Origin};
use std::os::fd::BorrowedFd;

/// The deletion that acts `verbs` on the file `path` amount to, where a rule speaks of it and not of each that overwrites.
pub fn overwritten(errand: &Errand<'_>, verbs: &[Verb], path: &[u8], found: (BorrowedFd<'_>, &Stat)) -> Option<Observed> {
    let (_, stat) = found;
    let holds_something = stat.kind() == libc::S_IFREG && stat.size > 0;
    let mut overwriting = verbs.iter().filter(|verb| matches!(verb, Verb::FileWrite | Verb::FileTruncate));
    let act = || errand.act(Verb::FileDelete, path, Some(found));
    (holds_something && overwriting.any(|verb| cares(errand, *verb))).then(act).filter(|act| !speaking(errand, act).is_empty())
}

/// The deletion that moving what is called `from` to `to` amounts to: where a rule speaks of the one name that does not speak of the other.
pub fn moved_out(errand: &Errand<'_>, from: Observed, to: &Observed) -> Option<Observed> {
    let stays = speaking(errand, to);
    speaking(errand, &from).iter().any(|rule| !stays.contains(rule)).then_some(from)
}

/// Whether some rule speaks of deletion that does not speak of `verb` as well: with none, nothing here can matter.
pub fn cares(errand: &Errand<'_>, verb: Verb) -> bool {
    errand.session.line.judge.plan.guards(Verb::FileDelete, verb)
}

/// The rules that keep this deletion from simply happening; none when it is allowed, or when nobody says anything about it.
fn speaking(errand: &Errand<'_>, act: &Observed) -> Vec<String> {
    let decision = errand.session.line.judge.first(&act.alone(), |_| Facts { origin: act.origin, ..Facts::default() }).decision;
    if decision.decision == Outcome::Allow { Vec::new() } else { decision.rules }
}

/// A deletion of the name `path`, for whatever object is or would be there.
pub fn of_name(errand: &Errand<'_>, path: &[u8], (object, origin): (Option<Inode>, Option<Origin>)) -> Observed {
    let end = FileEnd { inode: object, ..errand.end_at(path, None) };
    Observed { origin, ..Observed::new(Verb::FileDelete, Target::File(end)) }
}
