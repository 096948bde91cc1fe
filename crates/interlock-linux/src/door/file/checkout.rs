//! What git is about to check out, as far as its words say: refused as it takes the lock of the index, before anything moves.
//!
//! Words are not to be relied on, and nothing relies on these: what they do not tell, or tell wrongly, ends later (`index`), and no content is
//! installed that policy denies (`copy`). They spare a person a checkout that ends half way. So only what surely comes is refused: the files of one
//! commit that the repository did not name when the session began, where policy denies a file that is made with that content.
//! Left out: paths and short ids in the words, a commit counted from another, repositories below the workspace, worktrees that the session made.

use super::guarded;
use super::index::{INDEX_LOCK, listed, tell};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::Observed;
use interlock_core::action::Verb;
use interlock_core::decision::Says;
use interlock_core::facts::{History, Origin};
use interlock_git::{Entry, GoesOn, Id, Past, brought};
use std::collections::BTreeSet;
use std::time::Duration;

/// Options of these commands whose value is the next word.
const WITH_VALUE: [&[u8]; 12] =
    [b"-m", b"-F", b"-s", b"-X", b"--strategy", b"--strategy-option", b"--message", b"-b", b"-B", b"-c", b"-C", b"--into-name"];

/// Commits looked at, and names that come with them.
const COMMITS_MAX: usize = 4;
const NAMES_MAX: usize = 16_384;
/// So long git waits for this look, and one thread of ours is at it: past it nothing is foreseen.
const PATIENCE: Duration = Duration::from_secs(2);

/// A commit that would be checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Checkout<'w> {
    /// Its files come in the place of the head's.
    Whole(Vec<&'w [u8]>),
    /// What it changed of the commit that it was made upon.
    Change(Vec<&'w [u8]>),
}

/// Before a file is made: refused where it is git's lock, and what git will check out under it is denied.
///
/// # Errors
/// That refusal.
pub fn foreseen(errand: &Errand<'_>, name: &[u8]) -> Result<(), Stop> {
    let Some(git) = name.strip_suffix(INDEX_LOCK) else { return Ok(()) };
    let Some((top, past)) = errand.session.histories.repository_at(git) else { return Ok(()) };
    let Ok(line) = errand.caller.proc_text("cmdline") else { return Ok(()) };
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let denied = Checkout::of(&words).map(|checkout| denied(errand, (top, past), &checkout)).unwrap_or_default();
    if denied.is_empty() {
        return Ok(());
    }
    errand.caller.confirm()?;
    let names: Vec<Vec<u8>> = denied.into_iter().collect();
    tell(
        errand,
        &format!(
            "interlock: git was refused {}, so it does not begin; a person can run it outside this session; interlock why\n",
            listed(&names)
        ),
    );
    let because = format!("git was refused {}, so it may not begin to check this out", listed(&names));
    errand.session.line.refuse(errand.call, errand.act(Verb::FileCreate, name, None), &because);
    Err(Stop::Denied)
}

impl<'w> Checkout<'w> {
    /// What the words of a process say, if it is git.
    fn of(words: &[&'w [u8]]) -> Option<Self> {
        let (program, mut rest) = words.split_first()?;
        if program.rsplit(|byte| *byte == b'/').next() != Some(b"git") {
            return None;
        }
        while let [option, after @ ..] = rest {
            match *option {
                b"-c" | b"-C" => rest = after.get(1..)?,
                _ if option.starts_with(b"-") => rest = after,
                _ => break,
            }
        }
        let (command, rest) = rest.split_first()?;
        if rest.contains(&b"--".as_slice()) {
            return None;
        }
        let revisions = revisions(rest);
        let has = |options: &[&[u8]]| rest.iter().any(|word| options.contains(word));
        match *command {
            b"merge" | b"rebase" | b"switch" => Some(Self::Whole(revisions)),
            // A second word would be a path.
            b"checkout" if revisions.len() == 1 => Some(Self::Whole(revisions)),
            b"reset" if has(&[b"--hard", b"--merge", b"--keep"]) => Some(Self::Whole(revisions)),
            b"read-tree" if has(&[b"-u"]) => Some(Self::Whole(revisions)),
            b"cherry-pick" => Some(Self::Change(revisions)),
            b"stash" => stashed(&revisions).map(Self::Change),
            _ => None,
        }
    }
}

fn revisions<'w>(words: &[&'w [u8]]) -> Vec<&'w [u8]> {
    let (mut found, mut is_value) = (Vec::new(), false);
    for word in words.iter().filter(|word| !word.is_empty()) {
        if !is_value && !word.starts_with(b"-") {
            found.push(*word);
        }
        is_value = !is_value && WITH_VALUE.contains(word);
    }
    found
}

/// `stash pop` and `stash apply`, of the last one.
fn stashed<'w>(words: &[&'w [u8]]) -> Option<Vec<&'w [u8]>> {
    matches!(words, [b"pop" | b"apply"]).then(|| vec![b"refs/stash".as_slice()])
}

/// The names at which policy denies what would come.
fn denied(errand: &Errand<'_>, (top, past): (&[u8], &Past), checkout: &Checkout<'_>) -> BTreeSet<Vec<u8>> {
    let (words, is_change) = match checkout {
        Checkout::Whole(words) => (words, false),
        Checkout::Change(words) => (words, true),
    };
    let head = past.revisions().find(b"HEAD");
    let commits = words.iter().filter_map(|word| past.revisions().find(word)).filter(|commit| !past.counts(commit)).take(COMMITS_MAX);
    let name = |path: &[u8]| [top, b"/", path].concat();
    errand.session.histories.within(PATIENCE, |in_time| {
        let goes_on = || in_time() && errand.caller.waits();
        let comes = |commit: Id| {
            let from = if is_change { past.parent_of(commit, &goes_on) } else { head };
            from.and_then(|from| brought(past, Some(from), commit, &goes_on)).unwrap_or_default()
        };
        commits
            .flat_map(comes)
            .take(NAMES_MAX)
            .take_while(|_| goes_on())
            .filter(|(path, entry)| is_denied(errand, past, &name(path), (path, *entry), &goes_on))
            .map(|(path, _)| name(&path))
            .collect()
    })
}

/// Whether policy denies a file with this content, of this session, at a name of before. Of guarded keys only the content itself could tell.
fn is_denied(errand: &Errand<'_>, past: &Past, name: &[u8], (path, entry): (&[u8], Entry), goes_on: GoesOn<'_>) -> bool {
    let session = errand.session;
    let making = Observed { origin: Some(Origin::Before), history: Some(History::None), ..errand.act(Verb::FileCreate, name, None) };
    if !session.line.judge.plan.needs(&making.alone()).history || session.is_new(name) {
        return false;
    }
    // What is not known in time is not foreseen.
    if past.at(path, goes_on).is_none_or(|stood| stood.contains(&entry)) {
        return false;
    }
    let has_keys = !guarded::keys_at(errand, &errand.end_at(name, None)).is_empty();
    !has_keys && session.line.would_say(session, errand.call, making) == Says::Deny
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Vec<String>> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let told = |words: Vec<&[u8]>| words.into_iter().map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
        Checkout::of(&words).map(|checkout| match checkout {
            Checkout::Whole(words) | Checkout::Change(words) => told(words),
        })
    }

    #[test]
    fn the_words_of_git_say_what_it_checks_out() {
        for (line, revisions) in [
            ("git merge -q FETCH_HEAD", "FETCH_HEAD"),
            ("/usr/bin/git -C x -c a.b=c --no-pager merge -m main o/main", "o/main"),
            ("git rebase --onto new old", "new old"),
            ("git checkout -q -b mine o/main", "o/main"),
            ("git reset --hard o/main", "o/main"),
            ("git stash pop -q", "refs/stash"),
        ] {
            assert_eq!(of(line).unwrap().join(" "), revisions, "{line}");
        }
        for line in [
            "git checkout o/main -- src",
            "git checkout o/main src",
            "git reset o/main",
            "git commit -m main",
            "git stash",
            "cat merge main",
            "git",
            "",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
