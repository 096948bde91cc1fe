//! A steer: what is to be done instead of the act. Typed, so that an enactor can be asked whether it honours a kind before anything is enacted.
//!
//! Left out: enacting it, and deciding the act that it leads to (once more, by the same `decide`): both belong to the line.

use crate::bytes::Bytes;
use crate::target::SIGNAL_MAX;
use crate::verb::Verb;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// What to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Steer {
    /// Into the session's trash, from where it can be restored.
    Trash,
    /// The same file with placeholders where its secrets are.
    Masked,
    /// The same act on another path.
    Path(Bytes),
    /// Bound so that only this machine reaches it.
    ThisMachine,
    /// The same connection to another address, or port, or both.
    #[allow(missing_docs)]
    Address {
        address: IpAddr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// Another program with the same arguments.
    Program(Bytes),
    /// The same command with one flag in the place of others.
    #[allow(missing_docs)]
    ReplaceFlag { flags: Vec<Bytes>, with: Bytes },
    /// The same command with one flag more, behind a word if it says one.
    #[allow(missing_docs)]
    AddFlag {
        flag: Bytes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behind: Option<Bytes>,
    },
    /// Another signal, by its number.
    Signal(i32),
    /// Another tool of the same connector, with the same arguments.
    Tool(String),
    /// The same tool with other arguments: each change in turn.
    Arguments(Vec<Change>),
}

/// One change of a tool's arguments, at a JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Where.
    pub at: String,
    /// What is done there.
    pub change: To,
    /// With what.
    pub value: Value,
}

/// What is done to one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// It becomes the value, whatever was there.
    Set,
    /// It becomes the value where there is none.
    Default,
    /// A number above the value becomes it.
    AtMost,
    /// A number below the value becomes it.
    AtLeast,
}

/// How a change may be written.
pub const CHANGES: &[To] = &[To::Set, To::Default, To::AtMost, To::AtLeast];
/// Changes of one steer.
const CHANGES_MAX: usize = 64;

/// What the policy language calls what a masked file is shown without (`mask`).
pub const CREDENTIALS: &str = "credentials";

/// A kind of steer, and the verbs whose acts it can stand in for.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// As it is written.
    pub name: &'static str,
    fits: fn(Verb) -> bool,
}

impl Kind {
    /// The verbs it fits.
    pub fn verbs(&self) -> impl Iterator<Item = Verb> {
        let fits = self.fits;
        Verb::ALL.iter().copied().filter(move |verb| fits(*verb))
    }
}

const TRASH: Kind = Kind { name: "trash", fits: |verb| verb == Verb::FileDelete };
const MASKED: Kind = Kind { name: "masked", fits: |verb| verb == Verb::FileRead };
const PATH: Kind = Kind { name: "path", fits: |verb| verb.is_file() && !verb.is_pair() };
const THIS_MACHINE: Kind = Kind { name: "this_machine", fits: |verb| matches!(verb, Verb::NetBind | Verb::NetListen) };
const ADDRESS: Kind = Kind { name: "address", fits: |verb| verb == Verb::NetConnect };
const PROGRAM: Kind = Kind { name: "program", fits: |verb| verb == Verb::ProcessExec };
const REPLACE_FLAG: Kind = Kind { name: "replace_flag", fits: |verb| verb == Verb::ProcessExec };
const ADD_FLAG: Kind = Kind { name: "add_flag", fits: |verb| verb == Verb::ProcessExec };
const SIGNAL: Kind = Kind { name: "signal", fits: |verb| verb == Verb::ProcessSignal };
const TOOL: Kind = Kind { name: "tool", fits: |verb| verb == Verb::ToolCall };
const ARGUMENTS: Kind = Kind { name: "arguments", fits: |verb| verb == Verb::ToolCall };

/// Every kind.
pub const KINDS: &[Kind] = &[TRASH, MASKED, PATH, THIS_MACHINE, ADDRESS, PROGRAM, REPLACE_FLAG, ADD_FLAG, SIGNAL, TOOL, ARGUMENTS];

impl Steer {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Trash => TRASH,
            Self::Masked => MASKED,
            Self::Path(_) => PATH,
            Self::ThisMachine => THIS_MACHINE,
            Self::Address { .. } => ADDRESS,
            Self::Program(_) => PROGRAM,
            Self::ReplaceFlag { .. } => REPLACE_FLAG,
            Self::AddFlag { .. } => ADD_FLAG,
            Self::Signal(_) => SIGNAL,
            Self::Tool(_) => TOOL,
            Self::Arguments(_) => ARGUMENTS,
        }
    }

    /// Whether it can stand in for acts with this verb, and means what it says. The error says what does not hold.
    pub(crate) fn check(&self, verb: Verb) -> Result<(), String> {
        let kind = self.kind();
        if !(kind.fits)(verb) {
            return Err(format!("a steer to `{}` does not apply to `{verb}`", kind.name));
        }
        match self {
            Self::Path(path) | Self::Program(path) if !path.0.starts_with(b"/") => {
                Err(format!("`{}` is not an absolute path", path.lossy()))
            }
            Self::ReplaceFlag { flags, .. } if flags.is_empty() => Err("a steer that replaces no flag".into()),
            Self::ReplaceFlag { flags, with } => flags.iter().chain([with]).try_for_each(check_flag),
            Self::AddFlag { flag, .. } => check_flag(flag),
            Self::Signal(number) if !(1..=SIGNAL_MAX).contains(number) => Err(format!("`{number}` is not a signal")),
            Self::Tool(name) if name.is_empty() => Err("a steer to a tool without a name".into()),
            Self::Arguments(changes) if changes.is_empty() => Err("a steer to other arguments that changes none".into()),
            Self::Arguments(changes) if changes.len() > CHANGES_MAX => Err(format!("more than {CHANGES_MAX} changes of arguments")),
            Self::Arguments(changes) => changes.iter().try_for_each(Change::check),
            _ => Ok(()),
        }
    }
}

fn check_flag(flag: &Bytes) -> Result<(), String> {
    if flag.0.len() > 1 && flag.0.starts_with(b"-") && flag.0 != b"--" { Ok(()) } else { Err(format!("`{}` is not a flag", flag.lossy())) }
}

impl Change {
    /// What is changed is one argument, or a part of one: never all of them, and never an item of a list, whose number says nothing of which it is.
    fn check(&self) -> Result<(), String> {
        let mut steps = self.at.split('/');
        if steps.next() != Some("") || steps.clone().next().is_none() {
            return Err(format!("`{}` is not the JSON pointer of an argument", self.at));
        }
        let is_escaped = |step: &str| step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !steps.clone().all(is_escaped) {
            return Err(format!("`{}` is not a JSON pointer: `~` stands before 0 or 1 only", self.at));
        }
        if matches!(self.change, To::AtMost | To::AtLeast) && !self.value.is_number() {
            return Err(format!("the bound for `{}` is not a number", self.at));
        }
        if steps.any(|step| step == "-" || step.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(format!("`{}` names an item of a list; change the whole argument", self.at));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arguments_by_name_are_changed() {
        let changes =
            |at: &str, change, value: Value| Steer::Arguments(vec![Change { at: at.into(), change, value }]).check(Verb::ToolCall);
        assert!(changes("/limit", To::AtMost, 5.into()).is_ok());
        assert!(changes("/a~1b/~0", To::Set, Value::Null).is_ok());
        for at in ["", "limit", "/", "/a/0", "/a/-", "/~2", "/a//b"] {
            assert!(changes(at, To::Set, 1.into()).is_err(), "{at}");
        }
        assert!(changes("/limit", To::AtLeast, "5".into()).is_err());
    }
}
