//! A steer: what is to be done instead of the act. Typed, so that an enactor can be asked whether it honours a kind before anything is enacted.
//!
//! Left out: enacting it, and deciding the act that it leads to (once more, by the same `decide`): both belong to the line.

use crate::bytes::Bytes;
use crate::target::SIGNAL_MAX;
use crate::verb::Verb;
use serde::{Deserialize, Serialize};
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
    /// The same command with one flag in the place of those that matched.
    ReplaceFlag(Bytes),
    /// The same command with one flag more.
    AddFlag(Bytes),
    /// Another signal, by its number.
    Signal(i32),
    /// Another tool of the same connector, with the same arguments.
    Tool(String),
}

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
const THIS_MACHINE: Kind = Kind { name: "this_machine", fits: |verb| verb == Verb::NetBind };
const ADDRESS: Kind = Kind { name: "address", fits: |verb| verb == Verb::NetConnect };
const PROGRAM: Kind = Kind { name: "program", fits: |verb| verb == Verb::ProcessExec };
const REPLACE_FLAG: Kind = Kind { name: "replace_flag", fits: |verb| verb == Verb::ProcessExec };
const ADD_FLAG: Kind = Kind { name: "add_flag", fits: |verb| verb == Verb::ProcessExec };
const SIGNAL: Kind = Kind { name: "signal", fits: |verb| verb == Verb::ProcessSignal };
const TOOL: Kind = Kind { name: "tool", fits: |verb| verb == Verb::ToolCall };

/// Every kind.
pub const KINDS: &[Kind] = &[TRASH, MASKED, PATH, THIS_MACHINE, ADDRESS, PROGRAM, REPLACE_FLAG, ADD_FLAG, SIGNAL, TOOL];

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
            Self::ReplaceFlag(_) => REPLACE_FLAG,
            Self::AddFlag(_) => ADD_FLAG,
            Self::Signal(_) => SIGNAL,
            Self::Tool(_) => TOOL,
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
            Self::ReplaceFlag(flag) | Self::AddFlag(flag) if !flag.0.starts_with(b"-") => Err(format!("`{}` is not a flag", flag.lossy())),
            Self::Signal(number) if !(1..=SIGNAL_MAX).contains(number) => Err(format!("`{number}` is not a signal")),
            Self::Tool(name) if name.is_empty() => Err("a steer to a tool without a name".into()),
            _ => Ok(()),
        }
    }
}
