//! What an act is upon: a shape for each kind of verb, parsed strictly and by the verb.

use crate::bytes::Bytes;
use crate::content::Content;
use crate::host;
use crate::statement::Statement;
use crate::verb::Verb;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// A file object's identity on this machine, for names that hard links hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Inode {
    pub device: u64,
    pub number: u64,
}

/// One end of a file act: the name, its other names through other mounts, the object if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct FileEnd {
    pub path: Bytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<Inode>,
    /// What the act would put at the name, where a rule guards keys there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// Whether a peer belongs to this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Side {
    Inside,
    Outside,
}

/// Transport of a network act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Udp,
    /// Neither: no rule can name it, and the door refuses it before anything is decided.
    Other,
}

/// What the act is upon. The shape follows the verb (`spec/action.md`); [`Target::parse`] refuses a mismatch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum Target {
    /// `file.rename`, `file.link`
    Pair {
        path: Bytes,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        aliases: Vec<Bytes>,
        #[serde(skip_serializing_if = "Option::is_none")]
        inode: Option<Inode>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
        to: FileEnd,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        exchange: bool,
    },
    /// `process.exec`
    Exec {
        path: Bytes,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        aliases: Vec<Bytes>,
        #[serde(skip_serializing_if = "Option::is_none")]
        inode: Option<Inode>,
        arguments: Vec<Bytes>,
        directory: Bytes,
    },
    /// `process.signal`
    Signal { to: Side, signal: i32, process: i32 },
    /// `process.ptrace`
    Process { to: Side, process: i32 },
    /// `net.*`
    Net {
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        to: Side,
        /// The name that was asked for, where the address reached was the answer to a question of this session's.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// `unix.connect` to a path
    UnixPath {
        path: Bytes,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        aliases: Vec<Bytes>,
        to: Side,
    },
    /// `unix.connect` to an abstract name
    UnixAbstract { r#abstract: Bytes, to: Side },
    /// `key.use`
    Key {
        /// The fingerprint of the public key.
        key: String,
        /// What would be signed: `login`, the namespace of a signature (`git`), or `unknown`.
        purpose: String,
        /// Who would be logged in.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The host whose own key the request is bound to, and its port. What is bound to none is asked for by anybody, for anywhere.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// What whoever asks is connected to, for people.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        connected: Vec<String>,
    },
    /// gateway verbs
    Tool {
        connector: String,
        tool: String,
        operation: String,
        arguments: serde_json::Value,
        /// What else goes to the server with the request: `_meta`, a client's answers to the server's questions.
        #[serde(skip_serializing_if = "Option::is_none")]
        beside: Option<serde_json::Value>,
        /// The method of the request, where it is not the one that the verb is named for.
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        definition: Option<String>,
        /// What the statement does that the call has run.
        #[serde(skip_serializing_if = "Option::is_none")]
        sql: Option<Statement>,
    },
    /// every other `file.*`
    File(FileEnd),
}

impl Target {
    /// Reads the target of an act with this verb. Errors say which key or path is wrong.
    pub fn parse(verb: Verb, value: Value) -> Result<Self, String> {
        let shape = Self::shape(verb, &value);
        let tagged = Value::Object([(shape.to_owned(), value)].into_iter().collect());
        let target = Shape::deserialize(tagged).map_err(|error| format!("the target of `{verb}`: {error}"))?;
        target.check(verb)?;
        Ok(target)
    }

    /// Whether a target of this shape belongs to the verb.
    pub fn fits(&self, verb: Verb) -> bool {
        match self {
            Self::Pair { exchange, .. } => verb == Verb::FileRename || (verb == Verb::FileLink && !exchange),
            Self::Exec { .. } => verb == Verb::ProcessExec,
            Self::Signal { .. } => verb == Verb::ProcessSignal,
            Self::Process { .. } => verb == Verb::ProcessPtrace,
            Self::Net { .. } => verb.is_net(),
            Self::UnixPath { .. } | Self::UnixAbstract { .. } => verb == Verb::UnixConnect,
            Self::Key { .. } => verb == Verb::KeyUse,
            Self::Tool { .. } => verb.is_gateway(),
            Self::File(_) => verb.is_file() && !verb.is_pair(),
        }
    }

    fn shape(verb: Verb, value: &Value) -> &'static str {
        match verb {
            Verb::FileRename | Verb::FileLink => "Pair",
            Verb::ProcessExec => "Exec",
            Verb::ProcessSignal => "Signal",
            Verb::ProcessPtrace => "Process",
            Verb::UnixConnect if value.get("abstract").is_some() => "UnixAbstract",
            Verb::UnixConnect => "UnixPath",
            Verb::KeyUse => "Key",
            verb if verb.is_net() => "Net",
            verb if verb.is_gateway() => "Tool",
            _ => "File",
        }
    }

    fn check(&self, verb: Verb) -> Result<(), String> {
        self.check_paths()?;
        match self {
            Self::Pair { exchange: true, .. } if verb != Verb::FileRename => Err(format!("`{verb}` cannot exchange")),
            Self::Net { address, .. } if address.to_canonical() != *address => {
                Err(format!("`{address}` is an IPv4 address and must be written as one"))
            }
            Self::Key { host, port, .. } if host.is_some() != port.is_some() => Err("`host` and `port` of a key go together".into()),
            Self::Net { host: Some(name), .. } | Self::Key { host: Some(name), .. } => match host::canonical(name) {
                Ok(canonical) if canonical == *name => Ok(()),
                Ok(canonical) => Err(format!("the host `{name}` must be written as `{canonical}`")),
                Err(why) => Err(format!("the host `{name}` {why}")),
            },
            Self::Tool { arguments, .. } if !arguments.is_object() => Err("`arguments` of a tool call is not an object".into()),
            Self::Tool { beside: Some(beside), .. } if !beside.is_object() => Err("`beside` of a tool call is not an object".into()),
            Self::Signal { signal, .. } if !(0..=SIGNAL_MAX).contains(signal) => Err(format!("`{signal}` is not a signal")),
            _ => Ok(()),
        }
    }

    fn check_paths(&self) -> Result<(), String> {
        let (path, aliases) = match self {
            Self::Pair { path, aliases, to, .. } => {
                check_names(&to.path, &to.aliases)?;
                (path, aliases)
            }
            Self::Exec { path, aliases, directory, .. } => {
                check_path(directory)?;
                (path, aliases)
            }
            Self::UnixPath { path, aliases, .. } | Self::File(FileEnd { path, aliases, .. }) => (path, aliases),
            Self::Signal { .. }
            | Self::Process { .. }
            | Self::Net { .. }
            | Self::UnixAbstract { .. }
            | Self::Key { .. }
            | Self::Tool { .. } => return Ok(()),
        };
        check_names(path, aliases)
    }
}

/// Highest signal number of Linux (`SIGRTMAX`).
pub const SIGNAL_MAX: i32 = 64;

fn check_names(path: &Bytes, aliases: &[Bytes]) -> Result<(), String> {
    std::iter::once(path).chain(aliases).try_for_each(check_path)
}

/// A path is absolute and as the kernel resolves it: no empty, `.` or `..` component, no NUL, no `/` at its end but for `/` itself.
fn check_path(path: &Bytes) -> Result<(), String> {
    let Some(rest) = path.0.strip_prefix(b"/") else {
        return Err(format!("`{}` is not an absolute path", path.lossy()));
    };
    let unclean = |component: &[u8]| matches!(component, b"" | b"." | b"..") || component.contains(&0);
    if !rest.is_empty() && rest.split(|byte| *byte == b'/').any(unclean) {
        return Err(format!("`{}` is not a path as the kernel resolves them", path.lossy()));
    }
    Ok(())
}

/// The same shapes, to be read: by name, so that one verb admits one shape only.
#[derive(Deserialize)]
#[serde(remote = "Target", deny_unknown_fields)]
enum Shape {
    Pair {
        path: Bytes,
        #[serde(default)]
        aliases: Vec<Bytes>,
        #[serde(default)]
        inode: Option<Inode>,
        #[serde(default)]
        content: Option<Content>,
        to: FileEnd,
        #[serde(default)]
        exchange: bool,
    },
    Exec {
        path: Bytes,
        #[serde(default)]
        aliases: Vec<Bytes>,
        #[serde(default)]
        inode: Option<Inode>,
        arguments: Vec<Bytes>,
        directory: Bytes,
    },
    Signal {
        to: Side,
        signal: i32,
        process: i32,
    },
    Process {
        to: Side,
        process: i32,
    },
    Net {
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        to: Side,
        #[serde(default)]
        host: Option<String>,
    },
    UnixPath {
        path: Bytes,
        #[serde(default)]
        aliases: Vec<Bytes>,
        to: Side,
    },
    UnixAbstract {
        r#abstract: Bytes,
        to: Side,
    },
    Key {
        key: String,
        purpose: String,
        #[serde(default)]
        user: Option<String>,
        #[serde(default)]
        host: Option<String>,
        #[serde(default)]
        port: Option<u16>,
        #[serde(default)]
        connected: Vec<String>,
    },
    Tool {
        connector: String,
        tool: String,
        operation: String,
        arguments: serde_json::Value,
        #[serde(default)]
        beside: Option<serde_json::Value>,
        #[serde(default)]
        method: Option<String>,
        #[serde(default)]
        definition: Option<String>,
        #[serde(default)]
        sql: Option<Statement>,
    },
    File(FileEnd),
}
