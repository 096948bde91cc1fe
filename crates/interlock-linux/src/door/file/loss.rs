//! What an act takes away besides what it is called: overwriting what a file holds, and moving or linking a file out of where it was,
//! count as deletion for every rule that denies or asks about deleting.
//!
//! A file that holds something and is opened for writing may be overwritten or cut short through its descriptor at any time after, unseen: the
//! open is where that is decided. An allow needs no `file.delete` for it: silence about deletion says nothing about writing.
//! Left out: what another process puts into a file after this session opened it empty, and rules whose own verb covers the act.

use crate::line::Observed;
use crate::line::judge::Judge;
use crate::sys::files::Stat;
use interlock_core::action::{FileEnd, Inode, Target, Verb};
use interlock_core::decision::Says;
use interlock_core::facts::{Facts, Origin};

/// The deletion `act` that acts `verbs` on a file amount to, where a rule speaks of it and not of each that overwrites.
pub fn overwritten(judge: &Judge, verbs: &[Verb], stat: &Stat, act: impl FnOnce() -> Observed) -> Option<Observed> {
    let holds_something = stat.kind() == libc::S_IFREG && stat.size > 0;
    let mut overwriting = verbs.iter().filter(|verb| matches!(verb, Verb::FileWrite | Verb::FileTruncate));
    (holds_something && overwriting.any(|verb| cares(judge, *verb))).then(act).filter(|act| !speaking(judge, act).is_empty())
}

/// The deletion that moving what is called `from` to `to` amounts to: where a rule speaks of the one name that does not speak of the other.
pub fn moved_out(judge: &Judge, from: Observed, to: &Observed) -> Option<Observed> {
    let stays = speaking(judge, to);
    speaking(judge, &from).iter().any(|rule| !stays.contains(rule)).then_some(from)
}

/// Whether some rule speaks of deletion that does not speak of `verb` as well: with none, nothing here can matter.
pub fn cares(judge: &Judge, verb: Verb) -> bool {
    judge.plan.guards(Verb::FileDelete, verb)
}

/// The rules that keep this deletion from simply happening; none when it is allowed, or when nobody says anything about it.
fn speaking(judge: &Judge, act: &Observed) -> Vec<String> {
    let decision = judge.first(&act.alone(), |_| Facts { origin: act.origin, ..Facts::default() }).decision;
    if decision.decision == Says::Allow { Vec::new() } else { decision.rules }
}

/// A deletion of the name `end`, for whatever object is or would be there.
pub fn of_name(end: FileEnd, (object, origin): (Option<Inode>, Option<Origin>)) -> Observed {
    Observed { origin, ..Observed::new(Verb::FileDelete, Target::File(FileEnd { inode: object, ..end })) }
}
