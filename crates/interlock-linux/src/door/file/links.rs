//! Symlinks as what they stand for: a link in the place of a directory brings names into being that no later call will be resolved to.
//!
//! `ready/settings` is free to write, and so is a symlink; but a symlink `.tool` to `ready` is `.tool/settings` for whoever reads it outside.
//! So making, moving or linking a symlink is decided for the names below it that rules care for, where the target's own names would not be.

use crate::door::errand::Errand;
use crate::door::seen::place;
use crate::door::seen::resolve::{self, Last, Name, Path};
use crate::line::Observed;
use interlock_core::action::Verb;
use interlock_core::facts::Origin;
use std::os::fd::BorrowedFd;

/// A target that nothing is known of: only what holds for every directory holds for it.
const ANYWHERE: &[u8] = b"/";

/// What a symlink with this content stands for at `name`, in the directory `parent`.
pub fn acts(errand: &Errand<'_>, parent: BorrowedFd<'_>, name: &[u8], content: &[u8]) -> Vec<Observed> {
    // Most links stand for nothing wherever they lead: then where this one leads need not be asked.
    if towards(errand, name, ANYWHERE).is_empty() { Vec::new() } else { towards(errand, name, &target(errand, parent, content)) }
}

/// The same for a link that is moved along with its directory, its target read by its text alone.
pub fn moved(errand: &Errand<'_>, name: &[u8], content: &[u8]) -> Vec<Observed> {
    towards(errand, name, &clean(name, content))
}

fn towards(errand: &Errand<'_>, name: &[u8], target: &[u8]) -> Vec<Observed> {
    let plan = &errand.session.line.judge.plan;
    let names = std::iter::once(name.to_vec()).chain(errand.session.mounts.aliases(name));
    let found = names.flat_map(|name| plan.stands_for(Verb::FileCreate, &name, target));
    let made = |act| Observed { origin: Some(Origin::Session), ..act };
    found.map(|name| made(errand.act(Verb::FileCreate, &name, None))).collect()
}

/// What the content leads to now, or where it would; [`ANYWHERE`] when not even its directory is there.
fn target(errand: &Errand<'_>, parent: BorrowedFd<'_>, content: &[u8]) -> Vec<u8> {
    let path = Path { directory: libc::AT_FDCWD, text: content, last: Last::Follow, resolve: 0 };
    if let Ok(object) = errand.as_caller(|| resolve::object_from(&errand.caller, parent, &path)) {
        return if let Name::Path(name) = object.name { name } else { ANYWHERE.to_vec() };
    }
    match errand.as_caller(|| place::place(&errand.caller, parent, content)) {
        Ok(place) if place.is_name() => place.name(),
        _ => ANYWHERE.to_vec(),
    }
}

/// The absolute path of `content` in the directory of `name`, dots taken by their text.
fn clean(name: &[u8], content: &[u8]) -> Vec<u8> {
    let above = name.iter().rposition(|byte| *byte == b'/').and_then(|slash| name.get(..slash)).unwrap_or_default();
    let start = if content.first() == Some(&b'/') { &[][..] } else { above };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in start.split(|byte| *byte == b'/').chain(content.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path: Vec<u8> = parts.iter().flat_map(|part| [b"/".as_slice(), part].concat()).collect();
    if path.is_empty() { ANYWHERE.to_vec() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_from_its_links_directory() {
        assert_eq!(clean(b"/w/a/link", b"../b//c/."), b"/w/b/c");
        assert_eq!(clean(b"/w/link", b"/x/../y"), b"/y");
        assert_eq!(clean(b"/link", b"../../.."), b"/");
    }
}
