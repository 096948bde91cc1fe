//! rename, renameat, renameat2: two places, and below a directory every name that comes into being or goes.
//!
//! Decided, then done while nothing of the session makes or moves a name, if all that was decided still stands.
//! Left out: RENAME_WHITEOUT, which makes a device and is refused.

use super::before;
use super::below::{self, Entry};
use super::guarded::{self, Held};
use super::index;
use super::installed::Ready;
use super::links;
use super::loss;
use super::moved::{MOVED, place_of};
use super::trash;
use crate::door::act::{forbidden, inode};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::place::{Found, Place};
use crate::line::Observed;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use interlock_core::action::{FileEnd, Target, Verb};
use interlock_core::content::Content;
use interlock_core::decision::{RecordClass, Says};
use interlock_core::facts::Origin;
use interlock_core::keys::Keys;
use interlock_core::plan::PlanAnswer;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const KNOWN: u32 = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE | libc::RENAME_WHITEOUT;

/// One end: where, and what is there.
struct End {
    place: Place,
    name: Vec<u8>,
    object: Option<(OwnedFd, Stat)>,
}

impl End {
    fn stat(&self) -> Option<&Stat> {
        self.object.as_ref().map(|(_, stat)| stat)
    }

    fn found(&self) -> Option<(BorrowedFd<'_>, &Stat)> {
        self.object.as_ref().map(|(file, stat)| (file.as_fd(), stat))
    }

    /// Where what is there comes from, or where the name would.
    fn origin(&self, errand: &Errand<'_>) -> Origin {
        self.found().map_or_else(|| errand.origin_in(self.place.parent.as_fd()), |found| errand.origin(found))
    }

    fn is_directory(&self) -> bool {
        self.stat().is_some_and(|stat| stat.kind() == libc::S_IFDIR)
    }

    fn is_link(&self) -> bool {
        self.stat().is_some_and(|stat| stat.kind() == libc::S_IFLNK)
    }

    /// Everything below, if this is a directory.
    fn below(&self, errand: &Errand<'_>) -> Result<Vec<Entry>, Stop> {
        match &self.object {
            Some((file, _)) if self.is_directory() => below::entries(file.as_fd(), &self.name, &errand.session.made),
            _ => Ok(Vec::new()),
        }
    }
}

/// Renames what descriptor and path argument `from` mean to what `to` means.
pub fn rename(errand: &Errand<'_>, from: (i32, usize), to: (i32, usize), flags: u32) -> Result<(), Stop> {
    check(flags)?;
    let (from, to) = (place_of(errand, from.0, from.1)?, place_of(errand, to.0, to.1)?);
    if !from.shares_device(&to) {
        return Err(Errno(libc::EXDEV).into());
    }
    if flags & libc::RENAME_WHITEOUT != 0 {
        return Err(forbidden(&from.name(), "no device is made"));
    }
    let (old, new) = (from.entry()?, to.entry()?);
    let act = |from: &Place, to: &Place, flags| files::rename(from.parent.as_fd(), &old, to.parent.as_fd(), &new, flags);
    if !from.is_name() || !to.is_name() {
        return errand.as_caller(|| Ok(act(&from, &to, flags)?));
    }
    // The old name first: if it is not there, the new one is not looked at.
    for place in [&from, &to] {
        errand.settled(&place.name());
    }
    let from = errand.as_caller(|| Ok(end(from)?))?;
    if from.object.is_none() {
        return Err(Errno(libc::ENOENT).into());
    }
    let to = errand.as_caller(|| Ok(end(to)?))?;
    if let Err(errno) = natively_refused(&from, &to, flags) {
        // On procfs a name that is not there cannot even be looked for.
        let nowhere = to.object.is_none() && to.place.is_on_procfs()?;
        return Err(Stop::Errno(if nowhere { Errno(libc::ENOENT) } else { errno }));
    }
    let exchange = flags & libc::RENAME_EXCHANGE != 0;
    if !exchange {
        if let Some(errno) = mismatched(&from, &to) {
            return Err(unpermitted(errand, &from, &to).err().unwrap_or(Stop::Errno(errno)));
        }
        if from.stat().zip(to.stat()).is_some_and(|(one, other)| one.same(other)) {
            return Ok(()); // two names of one file: rename(2) does nothing
        }
    }
    if !exchange {
        index::complete(errand, &from.name, from.found(), &to.name)?;
    }
    let walked = walked(errand, &from, &to, exchange)?;
    let guarded = Guarded::of(errand, &from, &to, exchange)?;
    let (trashed, acts) = (trash::instead(errand), acts(errand, &from, &to, exchange, (&walked, &guarded))?);
    errand.enact(&trash::enactor(&trashed), acts, |permits| {
        let keeping = trash::keeping(permits);
        let own = errand.as_caller(|| guarded.own(&to.place))?;
        let _names = errand.session.naming.moving()?;
        errand.as_caller(|| still(errand, &from, &to, exchange, &walked).and_then(|()| guarded.still(errand, &to)))?;
        for end in [&from, &to] {
            if let Some(stat) = end.stat() {
                errand.session.histories.leaving(&end.name, stat, end.origin(errand));
            }
        }
        match own {
            None => before::rename(errand, ((&from.place, from.found()), (&to.place, to.found())), (flags, keeping), |flags| {
                Ok(act(&from.place, &to.place, flags)?)
            }),
            Some(own) => {
                before::replaced(errand, &to.name, to.found(), keeping)?;
                before::names_of(errand, &from.place);
                let line = to.stat().is_none().then(|| before::making(errand, &to.place)).flatten();
                let done = errand.as_caller(|| install(errand, own, &from, flags));
                before::made(
                    errand,
                    line,
                    to.place.component().and_then(|name| files::stat_at(to.place.parent.as_fd(), &name)).ok().as_ref(),
                );
                done
            }
        }
    })?;
    if let Some(replaced) = to.stat().filter(|stat| !exchange && stat.links <= 1) {
        errand.session.made.unnamed(inode(replaced));
    }
    Ok(())
}

/// What keys the ends have, where some rule guards any.
struct Guarded {
    source: Option<Content>,
    destination: Option<Content>,
    /// What is at the destination before, and what would be: a file of Interlock's own is put there, whoever holds the one that is moved.
    before: Held,
    now: Option<Held>,
}

impl Guarded {
    fn of(errand: &Errand<'_>, from: &End, to: &End, exchange: bool) -> Result<Self, Stop> {
        let none = Self { source: None, destination: None, before: Held::Nothing, now: None };
        if !errand.session.line.judge.plan.guards_keys() || exchange {
            return Ok(none);
        }
        let (old, new) = (errand.end_at(&from.name, from.stat()), errand.end_at(&to.name, to.stat()));
        let (at_source, at_destination) = (guarded::keys_at(errand, &old), guarded::keys_at(errand, &new));
        if at_source.is_empty() && at_destination.is_empty() {
            return Ok(none);
        }
        let moved = Held::of(errand, from.found())?;
        let source = (!at_source.is_empty()).then(|| guarded::content(&from.name, &at_source, &moved, &Held::Nothing));
        if at_destination.is_empty() {
            return Ok(Self { source, ..none });
        }
        let before = Held::of(errand, to.found())?;
        let destination = Some(guarded::content(&to.name, &at_destination, &before, &moved));
        Ok(Self { source, destination, before, now: Some(moved) })
    }

    /// Of the removal of what is there: the same, where a rule speaks of it that does not speak of the rename; else that has been asked once.
    fn replaced(&self, errand: &Errand<'_>) -> Option<Content> {
        let alone = errand.session.line.judge.plan.guards_content(Verb::FileDelete, Verb::FileRename);
        self.destination.as_ref().map(|content| if alone { content.clone() } else { Content::Held })
    }

    /// The file that is put at the destination.
    fn own<'p>(&self, place: &'p Place) -> Result<Option<Ready<'p>>, Stop> {
        match &self.now {
            None | Some(Held::Nothing) => Ok(None),
            Some(Held::File(file, bytes)) => Ok(Some(Ready::new(place, bytes, file.as_fd())?.kept()?)),
            // No rule lets that pass.
            Some(_) => Err(Errno(libc::EACCES).into()),
        }
    }

    /// Whether the destination still holds what the keys were compared with.
    ///
    /// # Errors
    /// [`MOVED`].
    fn still(&self, errand: &Errand<'_>, to: &End) -> Result<(), Stop> {
        if self.now.is_none() || Held::of(errand, to.found())?.same(&self.before) { Ok(()) } else { Err(MOVED) }
    }
}

/// Puts Interlock's own file at the destination, and takes the other's name away.
fn install(errand: &Errand<'_>, own: Ready<'_>, from: &End, flags: u32) -> Result<(), Stop> {
    let origin = from.origin(errand);
    let file = own.install(flags)?;
    let stat = files::stat(file.as_fd())?;
    if origin == Origin::Session {
        errand.session.made.note(inode(&stat), file.as_fd());
    }
    let old = from.place.component()?;
    files::unlink(from.place.parent.as_fd(), &old, 0)?;
    if from.stat().is_some_and(|stat| stat.links <= 1) {
        from.stat().into_iter().for_each(|stat| errand.session.made.unnamed(inode(stat)));
    }
    Ok(())
}

fn check(flags: u32) -> Sys<()> {
    let exchange = flags & libc::RENAME_EXCHANGE != 0;
    if flags & !KNOWN != 0 || (exchange && flags & (libc::RENAME_NOREPLACE | libc::RENAME_WHITEOUT) != 0) {
        return Err(Errno(libc::EINVAL));
    }
    Ok(())
}

fn end(place: Place) -> Sys<End> {
    let object = match place.look()? {
        Found::Object(file, stat) => Some((file, stat)),
        Found::Nothing => None,
    };
    Ok(End { name: place.name(), place, object })
}

/// What the kernel says of names and types alone, in its order, whoever asks.
fn natively_refused(from: &End, to: &End, flags: u32) -> Sys<()> {
    let exchange = flags & libc::RENAME_EXCHANGE != 0;
    let errno = match (from.stat(), to.stat()) {
        (None, _) => libc::ENOENT,
        (_, Some(_)) if flags & libc::RENAME_NOREPLACE != 0 => libc::EEXIST,
        (_, None) if exchange => libc::ENOENT,
        _ if !from.is_directory() && (from.place.slash() || (!exchange && to.place.slash())) => libc::ENOTDIR,
        _ if exchange && to.place.slash() && !to.is_directory() => libc::ENOTDIR,
        _ if is_below(&to.name, &from.name) => libc::EINVAL,
        _ if is_below(&from.name, &to.name) => {
            if exchange {
                libc::EINVAL
            } else {
                libc::ENOTEMPTY
            }
        }
        _ => return Ok(()),
    };
    Err(Errno(errno))
}

/// What the kernel says of a file that would replace a directory, and the other way round.
fn mismatched(from: &End, to: &End) -> Option<Errno> {
    to.object.as_ref()?;
    match (from.is_directory(), to.is_directory()) {
        (true, false) => Some(Errno(libc::ENOTDIR)),
        (false, true) => Some(Errno(libc::EISDIR)),
        _ => None,
    }
}

/// What comes before that: whether the names may be taken away at all.
fn unpermitted(errand: &Errand<'_>, from: &End, to: &End) -> Result<(), Stop> {
    errand.as_caller(|| {
        for end in [from, to] {
            if let Some(stat) = end.stat() {
                end.place.may_lose(stat)?;
            }
        }
        Ok(())
    })
}

fn is_below(name: &[u8], directory: &[u8]) -> bool {
    name.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// What lies below the two ends, where some rule could care for it.
struct Walked {
    from: Option<Vec<Entry>>,
    to: Option<Vec<Entry>>,
}

fn walked(errand: &Errand<'_>, from: &End, to: &End, exchange: bool) -> Result<Walked, Stop> {
    let matters = from.is_directory() || (exchange && to.is_directory());
    if !matters || !could_matter(errand, &[&from.name, &to.name]) {
        return Ok(Walked { from: None, to: None });
    }
    Ok(Walked { from: Some(from.below(errand)?), to: if exchange { Some(to.below(errand)?) } else { None } })
}

/// Whether a rule could decide a name below otherwise than the directory itself. Other names through mounts count too.
fn could_matter(errand: &Errand<'_>, ends: &[&[u8]]) -> bool {
    let plan = &errand.session.line.judge.plan;
    ends.iter().any(|end| {
        !plan.allows_below(Verb::FileRename, end)
            || std::iter::once(end.to_vec())
                .chain(errand.session.mounts.aliases(end))
                .any(|name| plan.could_match_below(&[Verb::FileRename, Verb::FileDelete, Verb::FileCreate], &name))
    })
}

fn acts(errand: &Errand<'_>, from: &End, to: &End, exchange: bool, (walked, guarded): (&Walked, &Guarded)) -> Sys<Vec<Observed>> {
    let mut acts = vec![pair(errand, from, to, exchange, guarded)];
    if !exchange && to.object.is_some() {
        acts.push(errand.act(Verb::FileDelete, &to.name, to.found()).with_content(guarded.replaced(errand)));
    }
    acts.extend([from, to].into_iter().filter(|end| end.is_link()).flat_map(|end| links::gone(errand, &end.name, end.origin(errand))));
    if loss::cares(&errand.session.line.judge, Verb::FileRename) {
        acts.extend(lost(errand, from, to, &walked.from)?);
        if exchange {
            acts.extend(lost(errand, to, from, &walked.to)?);
        }
    }
    let moves = |entries: &Option<Vec<Entry>>, source: &[u8], goal: &[u8]| -> Vec<Observed> {
        let entries = entries.iter().flatten();
        entries.map(|entry| below_pair(errand, entry, source, goal)).filter(|act| !plainly_allowed(errand, act)).collect()
    };
    acts.extend(moves(&walked.from, &from.name, &to.name));
    acts.extend(moves(&walked.to, &to.name, &from.name));
    acts.extend(linked(errand, from, to, &walked.from));
    if exchange {
        acts.extend(linked(errand, to, from, &walked.to));
    }
    Ok(acts)
}

/// What is moved out of the names that rules keep: the end itself, and what lies below it.
///
/// # Errors
/// EXDEV, where that is to be done by copying.
fn lost(errand: &Errand<'_>, from: &End, to: &End, walked: &Option<Vec<Entry>>) -> Sys<Vec<Observed>> {
    let name = |top: &[u8], entry: &Entry| [top, b"/", &entry.path].concat();
    let own = (from.name.clone(), to.name.clone(), (from.stat().map(inode), Some(from.origin(errand))));
    let below =
        walked.iter().flatten().map(|entry| (name(&from.name, entry), name(&to.name, entry), (Some(entry.inode), Some(entry.origin))));
    std::iter::once(own)
        .chain(below)
        .filter_map(|(old, new, object)| {
            loss::moved_out(
                &errand.session.line.judge,
                loss::of_name(errand.end_at(&old, None), object),
                &loss::of_name(errand.end_at(&new, None), object),
            )
        })
        .map(|lost| trash::stays(&errand.session.line.judge, lost))
        .collect()
}

/// What symlinks stand for at their new names: the one that is moved, or those below the directory that is.
fn linked(errand: &Errand<'_>, from: &End, to: &End, walked: &Option<Vec<Entry>>) -> Vec<Observed> {
    let below = walked.iter().flatten().filter_map(|entry| Some((entry, entry.link.as_ref()?)));
    let mut acts: Vec<Observed> =
        below.flat_map(|(entry, content)| links::made(errand, &[&to.name, b"/".as_slice(), &entry.path].concat(), content)).collect();
    if let Some((file, _)) = from.object.as_ref().filter(|_| from.is_link()) {
        // One that cannot be read leads nowhere that is known.
        let content = files::read_link(file.as_fd(), c"").unwrap_or_else(|_| b"/".to_vec());
        acts.extend(links::made(errand, &to.name, &content));
    }
    acts
}

fn pair(errand: &Errand<'_>, from: &End, to: &End, exchange: bool, guarded: &Guarded) -> Observed {
    let end = errand.end_at(&from.name, from.stat());
    let to_end = FileEnd { content: guarded.destination.clone(), ..errand.end_at(&to.name, to.stat()) };
    let content = guarded.source.clone();
    let target = Target::Pair { path: end.path, aliases: end.aliases, inode: end.inode, content, to: to_end, exchange };
    let (origin, origin_to) = (Some(from.origin(errand)), Some(to.origin(errand)));
    Observed { origin, origin_to, ..Observed::new(Verb::FileRename, target) }
}

fn below_pair(errand: &Errand<'_>, entry: &Entry, source: &[u8], goal: &[u8]) -> Observed {
    let name = |top: &[u8]| [top, b"/", &entry.path].concat();
    let mut end = errand.end_at(&name(source), None);
    end.inode = Some(entry.inode);
    let mut to = errand.end_at(&name(goal), None);
    let content = guarded_alike(errand, &end, &to);
    to.content.clone_from(&content);
    let target = Target::Pair { path: end.path, aliases: end.aliases, inode: end.inode, content, to, exchange: false };
    // The name comes into being in a folder that is moved along.
    Observed { origin: Some(entry.origin), origin_to: Some(Origin::Session), ..Observed::new(Verb::FileRename, target) }
}

/// What goes along with its folder from one name to another keeps its keys, if the same are guarded at both: nobody could write to it.
fn guarded_alike(errand: &Errand<'_>, from: &FileEnd, to: &FileEnd) -> Option<Content> {
    if !errand.session.line.judge.plan.guards_keys() {
        return None;
    }
    let (old, new) = (guarded::keys_at(errand, from), guarded::keys_at(errand, to));
    let same = |keys: &Keys| interlock_keys::means_the_same(keys.format, &from.path.0, &to.path.0);
    let alike = old.len() == new.len() && old.iter().zip(&new).all(|(one, other)| std::ptr::eq(*one, *other) && same(one));
    (alike && !old.is_empty()).then(|| guarded::unchanged(&old))
}

/// Whether policy allows it whatever the facts and asks for no record of its own: the directory's record stands for it.
fn plainly_allowed(errand: &Errand<'_>, act: &Observed) -> bool {
    matches!(errand.session.line.judge.plan.answer(&act.alone()),
        PlanAnswer::Answer(decision) if decision.decision == Says::Allow && decision.obligations.record <= RecordClass::Ordered)
}

/// Whether all that was decided still holds, now that nothing of the session can change it.
///
/// # Errors
/// [`MOVED`]: it does not, look again.
fn still(errand: &Errand<'_>, from: &End, to: &End, exchange: bool, walked: &Walked) -> Result<(), Stop> {
    let ground = &errand.session.ground;
    let places = from.place.stands(ground) && to.place.stands(ground) && from.place.holds(from.stat()) && to.place.holds(to.stat());
    let covered = |before: &Option<Vec<Entry>>, end: &End| -> Result<bool, Stop> {
        let Some(before) = before else { return Ok(true) };
        let now = end.below(errand)?;
        Ok(now.iter().all(|entry| before.binary_search(entry).is_ok()))
    };
    if places && covered(&walked.from, from)? && (!exchange || covered(&walked.to, to)?) {
        return Ok(());
    }
    Err(MOVED)
}
