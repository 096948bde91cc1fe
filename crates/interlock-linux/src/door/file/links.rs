//! Symlinks as what they stand for: a link in the place of a directory brings names into being that no later call will be resolved to.
//!
//! `ready/settings` is free to write, and so is a symlink; but a symlink `.tool` to `ready` is `.tool/settings` for whoever reads it outside.
//! So making, moving, linking or removing a symlink is decided for the names below it that rules care for.
//!
//! RULE: a link keeps what its own name is protected by only if its text does, whatever the steps on the way mean at the moment: each of them may
//! be made to lead elsewhere later, unless its own name is protected alike, and then this rule holds for it in turn. So `.tool -> other/.tool` is
//! free, and `.tool -> hop` is not, wherever `hop` leads. A folder in which rules let nothing of the kind come to be brings nothing either (`shut`). Links from before the session are placed with the policy (`interlock-place`).

use super::shut::Shut;
use crate::door::errand::Errand;
use crate::line::Observed;
use interlock_core::action::Verb;
use interlock_core::facts::Origin;

/// A target that nothing is known of: only what holds for every directory holds for it.
const ANYWHERE: &[u8] = b"/";

/// The names that a symlink with this content brings into being at `name`.
pub fn made(errand: &Errand<'_>, name: &[u8], content: &[u8]) -> Vec<Observed> {
    let acts = standing(errand, Verb::FileCreate, name, |name| target(name, content));
    acts.into_iter().map(|act| Observed { origin: Some(Origin::Session), ..act }).collect()
}

/// The names that go when a symlink is taken away from `name`, wherever it leads. None with one that this session made: what it stands for was
/// not there before.
pub fn gone(errand: &Errand<'_>, name: &[u8], origin: Origin) -> Vec<Observed> {
    if origin == Origin::Session {
        return Vec::new();
    }
    let acts = standing(errand, Verb::FileDelete, name, |_| ANYWHERE.to_vec());
    acts.into_iter().map(|act| Observed { origin: Some(Origin::Before), ..act }).collect()
}

fn standing(errand: &Errand<'_>, verb: Verb, name: &[u8], target: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Observed> {
    let plan = &errand.session.line.judge.plan;
    let names = std::iter::once(name.to_vec()).chain(errand.session.mounts.aliases(name));
    // From a name that somebody knows to one that nobody may know: what a rule lets be made there is seen here.
    let is_new = |name: &[u8]| errand.session.is_new(&[name, b"/x"].concat());
    let found = names.flat_map(|name| {
        let target = target(&name);
        let is_known = verb == Verb::FileCreate && !is_new(&name);
        let asks = is_known && (target == ANYWHERE || !errand.session.is_surely_known(&target, errand.session.is_own_outside(&name)));
        let asked = if asks { plan.stands_for_known(verb, &name) } else { Vec::new() };
        // What is excused where the way leads may not be excused here.
        let led_to = if is_known && target != ANYWHERE { errand.session.led_to(&target) } else { None };
        let beyond = led_to.filter(|led_to| *led_to != target).map(|led_to| plan.excused_at(verb, &name, &led_to)).unwrap_or_default();
        let stands_for: Vec<_> = plan.stands_for(verb, &name, &target).into_iter().chain(asked).chain(beyond).collect();
        let folder =
            if verb == Verb::FileCreate && target != ANYWHERE && !stands_for.is_empty() { Shut::at(errand, &name, &target) } else { None };
        stands_for.into_iter().filter(move |asked| !folder.as_ref().is_some_and(|folder| folder.keeps_out(plan, asked))).collect::<Vec<_>>()
    });
    found.map(|name| errand.act(verb, &name, None)).collect()
}

/// Where the content leads from the directory of `name` by its text; [`ANYWHERE`] where `..` follows a name, which may be a link by then.
fn target(name: &[u8], content: &[u8]) -> Vec<u8> {
    let above = name.iter().rposition(|byte| *byte == b'/').and_then(|slash| name.get(..slash)).unwrap_or_default();
    let start = if content.first() == Some(&b'/') { &[][..] } else { above };
    let mut path: Vec<&[u8]> = components(start).collect();
    let mut has_named = false;
    for part in components(content) {
        match (part, has_named) {
            (b"..", true) => return ANYWHERE.to_vec(),
            (b"..", false) => drop(path.pop()),
            (part, _) => {
                has_named = true;
                path.push(part);
            }
        }
    }
    let path: Vec<u8> = path.iter().flat_map(|part| [b"/".as_slice(), part].concat()).collect();
    if path.is_empty() { ANYWHERE.to_vec() } else { path }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_from_its_links_directory() {
        assert_eq!(target(b"/w/a/link", b"../b//c/."), b"/w/b/c");
        assert_eq!(target(b"/w/link", b"/y"), b"/y");
        assert_eq!(target(b"/link", b"../../.."), b"/");
    }

    #[test]
    fn what_follows_a_name_upwards_could_be_anywhere() {
        assert_eq!(target(b"/w/link", b"/x/../y/.tool"), b"/");
        assert_eq!(target(b"/w/link", b"a/../.tool"), b"/");
    }
}
