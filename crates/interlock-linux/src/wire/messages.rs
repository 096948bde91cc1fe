//! What `interlock run` says to the supervisor (`spec/supervisor.md`), parsed strictly: an unknown type or key is an error.

use crate::machine::enforcement::Enforcement;
use interlock_core::action::Bytes;
use interlock_core::grant::Grant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The longest message, in bytes.
const LINE_MAX: u64 = 4 << 20;

/// What happens to processes that outlive the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum End {
    Keep,
    Kill,
}

/// Where the log goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LedgerPlace {
    pub directory: Bytes,
    pub index: Bytes,
    pub keys: Bytes,
}

/// Where connections to the gateway are attested, and where it listens if one runs that this session is to call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct GatewayPlace {
    #[serde(default)]
    pub address: Option<IpAddr>,
    #[serde(default)]
    pub port: Option<u16>,
    pub socket: Bytes,
}

/// A place that belongs to everybody and may be the session's own, and the names in it that stay what they are outside.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PrivatePlace {
    pub path: Bytes,
    pub kept: Vec<Bytes>,
}

impl PrivatePlace {
    /// Whether what is called `path` lies in it, and in nothing that is kept of the place outside.
    pub fn holds(&self, path: &[u8]) -> bool {
        let below = path.strip_prefix(self.path.0.as_slice()).and_then(|rest| rest.strip_prefix(b"/"));
        let first = below.and_then(|below| below.split(|byte| *byte == b'/').next());
        first.is_some_and(|first| !self.kept.iter().any(|kept| kept.0 == first))
    }
}

/// Bytes as an operating-system path.
#[must_use]
pub fn path(bytes: &Bytes) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.0.clone()))
}

/// All that a session is started with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Launch {
    pub session: String,
    pub command: Vec<Bytes>,
    pub program: Bytes,
    pub environment: BTreeMap<String, Bytes>,
    pub directory: Bytes,
    pub workspace: Bytes,
    pub home: Bytes,
    pub policy: Value,
    pub agent: Option<Value>,
    pub parent: Option<Value>,
    pub human: String,
    pub prompt: Option<Value>,
    /// Nothing for one that the command is to find closed.
    pub stdio: [Option<i32>; 3],
    pub terminal: bool,
    pub runtime: Bytes,
    pub ledger: LedgerPlace,
    pub gateway: Option<GatewayPlace>,
    pub end: End,
    #[serde(default)]
    pub runs_later: RunsLater,
    /// What git keeps of the workspace, where it is the top of a repository.
    #[serde(default)]
    pub repository: Option<Repository>,
    /// The same of its submodules, each with its top.
    #[serde(default)]
    pub submodules: Vec<(Bytes, Repository)>,
    /// Places that are to be the session's own where the supervisor may mount.
    #[serde(default)]
    pub private_places: Vec<PrivatePlace>,
    /// Where what was there before is kept; nothing is where it is left out.
    #[serde(default)]
    pub journal: Option<JournalPlace>,
    /// The key agent, where policy speaks of keys.
    #[serde(default)]
    pub keys: Option<KeysPlace>,
    /// What the policy was made from, for the record.
    #[serde(default)]
    pub sources: Vec<Value>,
    /// The files of what the human allowed, for `why`.
    #[serde(default)]
    pub own_layers: Value,
    /// The state of each rule that this machine does not enforce fully, for the record.
    #[serde(default)]
    pub short: BTreeMap<String, Enforcement>,
}

/// Where what was there before is kept, and how much of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct JournalPlace {
    /// The folder, which is made.
    pub folder: Bytes,
    pub bytes: u64,
    /// All below is kept.
    pub workspace: Bytes,
    /// Patterns of what is not kept, and of what has half of the room.
    pub exempt: Vec<Bytes>,
    pub derived: Vec<Bytes>,
}

/// The sockets of the key agent (`spec/keys.md`): the one that programs find, and where `interlock run` listens for what they ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct KeysPlace {
    pub agent: Bytes,
    pub run: Bytes,
}

/// Where git keeps what it knows of a workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Repository {
    /// The git directory, and the common one: another in a linked worktree.
    pub git: Bytes,
    pub common: Bytes,
    /// Object directories, its own first.
    pub objects: Vec<Bytes>,
}

/// What something outside would run later, in the order of danger.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RunsLater {
    pub kinds: Vec<LaterKind>,
    /// Patterns of where a link may lead without being listed.
    pub calm: Vec<Bytes>,
    /// What programs show, and do not run: pictures, sounds.
    #[serde(default)]
    pub inert: Named,
    /// Texts for people.
    #[serde(default)]
    pub documents: Named,
    /// Folders that go with the session.
    #[serde(default)]
    pub passing: Vec<Bytes>,
}

/// Names of files. In lower case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Named {
    /// What stands behind the last dot.
    pub endings: Vec<String>,
    /// Whole names, without a dot.
    pub names: Vec<String>,
}

/// One kind of it. Patterns are those of `spec/policy.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LaterKind {
    pub name: String,
    pub paths: Vec<Bytes>,
    pub except: Vec<Bytes>,
    /// The paths are folders, each listed as one thing.
    #[serde(default)]
    pub tree: bool,
    /// It is listed by name even where it lies in such a folder.
    #[serde(default)]
    pub in_trees: bool,
    #[serde(default)]
    pub finds: Option<Finds>,
    #[serde(default)]
    pub keys: Option<KeysOf>,
}

/// What is found by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finds {
    /// Programs that git's configuration leads to.
    Hooks,
    /// Configuration that git is led to.
    Git,
    /// Links that lead out of the workspace.
    Links,
    /// Executable files, and scripts.
    Programs,
    /// Whatever is named by something that runs.
    Named,
    /// Any other file, but what is inert, and texts for people.
    Others,
    /// Texts for people.
    Documents,
}

/// Which keys of a file make something run: those named, or, where none are, all but the harmless; and which of them are told first. A `*` in a pattern
/// stands for any text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct KeysOf {
    pub format: Format,
    pub named: Vec<String>,
    pub harmless: Vec<String>,
    #[serde(default)]
    pub first: Vec<String>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Format {
    Git,
    Json,
}

/// A message down.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Down {
    Launch(Box<Launch>),
    Answer { id: String, grant: Option<Grant>, reason: Option<String> },
    Signal { signal: i32 },
    Context { parent: Option<String>, trace: Option<Value> },
    Release {},
    End {},
}

/// Reads one message. `Ok(None)`: the other side is gone.
///
/// # Errors
/// What is wrong with the line.
pub fn read(stream: &mut impl BufRead) -> Result<Option<Down>, String> {
    let mut line = Vec::new();
    stream.take(LINE_MAX).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => parse(&line).map(Some),
        Some(_) if line.len() as u64 >= LINE_MAX => Err(format!("a message is longer than {LINE_MAX} bytes")),
        Some(_) => Ok(None),
    }
}

/// A repeated key is an error at any depth. A launch is taken out by itself: serde would copy it once more to find its `type`.
fn parse(line: &[u8]) -> Result<Down, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let mut value = interlock_core::json::parse(text)?;
    let message = |error: serde_json::Error| error.to_string();
    match value.as_object_mut() {
        Some(object) if object.get("type") == Some(&Value::String("launch".into())) => {
            object.remove("type");
            serde_json::from_value(value).map(|launch| Down::Launch(Box::new(launch))).map_err(message)
        }
        _ => serde_json::from_value(value).map_err(message),
    }
}
