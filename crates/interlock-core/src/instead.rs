//! What a steer makes of an act: the command line in the place of one, and whether there is anything to steer at all.
//!
//! Left out: what a steer is (`steer`), and calls of tools, which the gateway makes anew (`gateway/steered.py`).

use crate::bytes::Bytes;
use crate::command;
use crate::condition::compare;
use crate::folding;
use crate::json;
use crate::steer::{Change, Steer, To};
use crate::target::Target;
use serde_json::Value;
use std::cmp::Ordering;

/// The command line that a steer makes of one whose first argument is the program's own name. Nothing where that is no matter of its own, or where it
/// cannot be told what is to be changed: letters that stand together (`-fu`) may be several flags, or one and its value.
#[must_use]
pub fn command_line(steer: &Steer, arguments: &[Bytes]) -> Option<Vec<Bytes>> {
    let (name, rest) = arguments.split_first()?;
    let mut made = vec![name.clone()];
    let options = rest.iter().position(|argument| argument.0 == b"--").unwrap_or(rest.len());
    let (options, operands) = rest.split_at_checked(options)?;
    match steer {
        Steer::ReplaceFlag { flags, with } => {
            let mut has_it = options.contains(with);
            for argument in options {
                if flags.iter().any(|flag| command::is_flag(&flag.0, &argument.0)) {
                    made.extend((!std::mem::replace(&mut has_it, true)).then(|| with.clone()));
                } else if flags.iter().any(|flag| command::in_cluster(&flag.0, &argument.0)) {
                    return None;
                } else {
                    made.push(argument.clone());
                }
            }
            made.extend(operands.iter().cloned());
        }
        Steer::AddFlag { flag, behind } => {
            let at = place_of(behind.as_ref(), options)?;
            if options.iter().any(|argument| argument != flag && command::is_flag(&flag.0, &argument.0)) {
                return None;
            }
            let (before, after) = rest.split_at_checked(at)?;
            made.extend(before.iter().chain([flag]).chain(after).cloned());
        }
        _ => return None,
    }
    (made != arguments).then_some(made)
}

/// Whether an act is already what a steer leads to, so that there is nothing to steer. The error says why that cannot be told.
pub(crate) fn is_done(steer: &Steer, target: &Target) -> Result<bool, String> {
    match (steer, target) {
        (Steer::ThisMachine, Target::Net { address, .. }) => Ok(address.to_canonical().is_loopback()),
        (Steer::AddFlag { flag, behind }, Target::Exec { arguments, .. }) => {
            Ok(has_its_flag(flag, behind.as_ref(), arguments.get(1..).unwrap_or_default()))
        }
        (Steer::ReplaceFlag { flags, with }, Target::Exec { arguments, .. }) => {
            Ok(has_it_instead(flags, with, arguments.get(1..).unwrap_or_default()))
        }
        (Steer::Tool(name), Target::Tool { tool, .. }) => Ok(tool == name),
        (Steer::Arguments(changes), Target::Tool { arguments, .. }) => all_done(changes, arguments),
        _ => Ok(false),
    }
}

/// Whether a flag stands in the place of others already: what is behind `--` is none.
fn has_it_instead(flags: &[Bytes], with: &Bytes, arguments: &[Bytes]) -> bool {
    let mut options = arguments.iter().take_while(|argument| argument.0 != b"--");
    let is_one =
        |argument: &Bytes| flags.iter().any(|flag| command::is_flag(&flag.0, &argument.0) || command::in_cluster(&flag.0, &argument.0));
    options.clone().any(|argument| argument == with) && !options.any(is_one)
}

/// Where a flag is put: behind its word, or first.
fn place_of(behind: Option<&Bytes>, options: &[Bytes]) -> Option<usize> {
    behind.map_or(Some(0), |word| options.iter().position(|argument| argument == word).map(|at| at + 1))
}

/// Whether a flag stands where it would be put. Elsewhere it may be another option's value, and with a value of its own it may be off.
fn has_its_flag(flag: &Bytes, behind: Option<&Bytes>, arguments: &[Bytes]) -> bool {
    let options: Vec<Bytes> = arguments.iter().take_while(|argument| argument.0 != b"--").cloned().collect();
    let is_off = options.iter().any(|argument| argument != flag && command::is_flag(&flag.0, &argument.0));
    !is_off && place_of(behind, &options).is_some_and(|at| options.get(at) == Some(flag))
}

/// One that surely is not done decides; else one that cannot be told is the error.
fn all_done(changes: &[Change], arguments: &Value) -> Result<bool, String> {
    let mut errors = Vec::new();
    for change in changes {
        match change_done(change, arguments) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => errors.push(error),
        }
    }
    errors.into_iter().min().map_or(Ok(true), Err)
}

fn change_done(change: &Change, arguments: &Value) -> Result<bool, String> {
    let found = folding::at(arguments, &change.at)?;
    if found.is_none() && is_blocked(arguments, &change.at) {
        return Ok(false);
    }
    let ordering = || match (found, &change.value) {
        (Some(Value::Number(found)), Value::Number(bound)) => compare(found, bound),
        _ => None,
    };
    Ok(match change.change {
        To::Set => found.is_some_and(|found| json::canonical(found) == json::canonical(&change.value)),
        To::Default => found.is_some_and(|found| !found.is_null()),
        To::AtMost => found.is_none() || ordering().is_some_and(Ordering::is_le),
        To::AtLeast => found.is_none() || ordering().is_some_and(Ordering::is_ge),
    })
}

/// Whether something that is no object stands on the way: what a server finds below it is not known.
fn is_blocked(arguments: &Value, pointer: &str) -> bool {
    let steps: Vec<String> = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let mut value = arguments;
    for step in &steps {
        match value {
            Value::Object(entries) => match entries.get(step) {
                Some(next) => value = next,
                None => return false,
            },
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &str) -> Vec<Bytes> {
        words.split(' ').map(|word| Bytes(word.into())).collect()
    }

    fn made(steer: &Steer, line: &str) -> Option<String> {
        let made = command_line(steer, &bytes(line))?;
        Some(made.iter().map(Bytes::lossy).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_flag_stands_in_the_place_of_others() {
        let steer = Steer::ReplaceFlag { flags: bytes("--force -f"), with: Bytes(b"--force-with-lease".to_vec()) };
        let made = |line| made(&steer, line);
        assert_eq!(made("git push --force origin main").as_deref(), Some("git push --force-with-lease origin main"));
        assert_eq!(made("git push origin -f").as_deref(), Some("git push origin --force-with-lease"));
        assert_eq!(made("git push -f --force=yes x").as_deref(), Some("git push --force-with-lease x"));
        assert_eq!(made("git push --force-with-lease -f x").as_deref(), Some("git push --force-with-lease x"));
        assert_eq!(made("git push origin"), None, "nothing to replace");
        assert_eq!(made("git push -uf origin"), None, "what letters that stand together mean is the program's to know");
        assert_eq!(made("git"), None);
        assert_eq!(made("git push -f -- -f").as_deref(), Some("git push --force-with-lease -- -f"), "what stands behind is no flag");
        assert_eq!(made("git push -- -f"), None);
        assert_eq!(made("git push -f -- --force-with-lease").as_deref(), Some("git push --force-with-lease -- --force-with-lease"));
    }

    #[test]
    fn a_flag_more_stands_behind_its_word() {
        let added = |behind: Option<&str>| Steer::AddFlag {
            flag: Bytes(b"--ignore-scripts".to_vec()),
            behind: behind.map(|word| Bytes(word.into())),
        };
        assert_eq!(made(&added(None), "npm ci --x").as_deref(), Some("npm --ignore-scripts ci --x"));
        assert_eq!(made(&added(Some("ci")), "npm --x ci y").as_deref(), Some("npm --x ci --ignore-scripts y"));
        assert_eq!(made(&added(Some("ci")), "npm run y"), None);
        assert_eq!(made(&added(None), "npm ci --ignore-scripts=false"), None, "it may be off");
        assert_eq!(made(&added(Some("ci")), "npm -- ci"), None);
        assert_eq!(made(&added(None), "npm ci -- --ignore-scripts").as_deref(), Some("npm --ignore-scripts ci -- --ignore-scripts"));
    }
}
