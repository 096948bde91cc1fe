//! A file by which git is led to another directory: `.git` where that is a file (gitrepository-layout(5)), and `commondir`.
//!
//! It has one key, which says where it leads: `git`, to a directory whose configuration has a name by which it is known (`.git`, `name.git`, and what
//! lies in their `worktrees` and `modules`); `above`, two folders up, as from a worktree's own directory to the one that it shares; `elsewhere`.
//! RULE: only its text counts, not what stands there, which may change later. A link with one of these names is judged by its own text in turn. So `..`
//! behind a name is elsewhere.
//! Left out: what a pointer is read from.

use super::Keys;

/// What begins a `.git` file.
const MARK: &str = "gitdir: ";
/// From `.git/worktrees/NAME` to `.git`.
const ABOVE: &str = "../..";
const GIT: &str = ".git";

pub(crate) fn read(text: &str) -> Result<Keys, String> {
    let path = text.strip_prefix(MARK).unwrap_or(text).trim_end_matches(['\n', '\r']);
    if path.contains(char::is_control) {
        return Err("it holds more than one path".to_owned());
    }
    let leads = match path {
        "" => return Ok(Keys::new()),
        ABOVE => "above",
        path if is_known(path) => "git",
        _ => "elsewhere",
    };
    Ok(Keys::from([(vec![leads.to_owned()], path.to_owned())]))
}

/// Whether a path ends in the name of a git directory, or of one within.
fn is_known(path: &str) -> bool {
    let named = path.split('/').filter(|name| !name.is_empty() && *name != ".").skip_while(|name| *name == "..");
    let named: Vec<&str> = named.collect();
    let within = named.iter().rposition(|name| name.ends_with(GIT)).and_then(|at| named.get(at + 1..));
    !named.contains(&"..") && within.is_some_and(|within| matches!(within, [] | ["worktrees" | "modules", _, ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(text: &str) -> Option<Vec<String>> {
        read(text).ok().map(|keys| keys.into_keys().flatten().collect())
    }

    #[test]
    fn where_it_leads_is_said_by_its_text() {
        for known in
            ["gitdir: /w/.git/worktrees/a\n", "gitdir: ../.git/modules/lib/b", "x.git/", "../../y/.git", "/.git/modules/a/modules/b"]
        {
            assert_eq!(leads(known), Some(vec!["git".to_owned()]), "{known}");
        }
        let elsewhere = [
            "gitdir: ../evil",
            "../..//..",
            "..",
            "x.git/../evil",
            "/w/.git/hooks",
            ".git/worktrees",
            "a.git ",
            "gitdir:x",
            ".git/modules/..",
        ];
        for text in elsewhere {
            assert_eq!(leads(text), Some(vec!["elsewhere".to_owned()]), "{text}");
        }
        assert_eq!(leads("../..\n"), Some(vec!["above".to_owned()]));
        assert_eq!(leads("gitdir: \r\n"), Some(Vec::new()));
        assert_eq!(leads("gitdir: x.git\ny"), None);
    }
}
