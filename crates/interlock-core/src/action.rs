//! An Action: what is about to happen, normalised, on either plane (`spec/action.md`).
//!
//! Built at the edge by whoever observed it; below the edge nothing checks it again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::IpAddr;

/// A path as the kernel resolved it: absolute bytes. JSON: a string where UTF-8, else `{"base64": "…"}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// The bytes as text for a person; what is not UTF-8 becomes U+FFFD.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Encoded { base64: encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Text::deserialize(deserializer)? {
            Text::Plain(text) => Ok(Self(text.into_bytes())),
            Text::Encoded(encoded) => decode(&encoded.base64).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Encoded(Encoded),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: String,
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text)
}

/// The plane an Action was observed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// System calls of a jailed process tree.
    Host,
    /// Tool calls through the gateway.
    Gateway,
}

/// What kind of act it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Verb {
    #[serde(rename = "file.read")]
    FileRead,
    #[serde(rename = "file.write")]
    FileWrite,
    #[serde(rename = "file.create")]
    FileCreate,
    #[serde(rename = "file.delete")]
    FileDelete,
    #[serde(rename = "file.rename")]
    FileRename,
    #[serde(rename = "file.link")]
    FileLink,
    #[serde(rename = "file.chmod")]
    FileChmod,
    #[serde(rename = "file.chown")]
    FileChown,
    #[serde(rename = "file.truncate")]
    FileTruncate,
    #[serde(rename = "file.xattr")]
    FileXattr,
    #[serde(rename = "file.utime")]
    FileUtime,
    #[serde(rename = "file.mknod")]
    FileMknod,
    #[serde(rename = "process.exec")]
    ProcessExec,
    #[serde(rename = "process.signal")]
    ProcessSignal,
    #[serde(rename = "process.ptrace")]
    ProcessPtrace,
    #[serde(rename = "net.connect")]
    NetConnect,
    #[serde(rename = "net.bind")]
    NetBind,
    #[serde(rename = "net.send")]
    NetSend,
    #[serde(rename = "net.listen")]
    NetListen,
    #[serde(rename = "unix.connect")]
    UnixConnect,
    #[serde(rename = "tool.call")]
    ToolCall,
    #[serde(rename = "tool.list")]
    ToolList,
    #[serde(rename = "resource.read")]
    ResourceRead,
    #[serde(rename = "prompt.get")]
    PromptGet,
}

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
}

/// What the act is upon. The shape follows the verb (`spec/action.md`); a mismatch is refused when parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Target {
    /// `file.rename`, `file.link`
    Pair {
        path: Bytes,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        aliases: Vec<Bytes>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<Inode>,
        to: FileEnd,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exchange: bool,
    },
    /// `process.exec`
    Exec {
        path: Bytes,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        aliases: Vec<Bytes>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<Inode>,
        arguments: Vec<Bytes>,
        directory: Bytes,
    },
    /// `process.signal`
    Signal { to: Side, signal: i32, process: i32 },
    /// `process.ptrace`
    Process { to: Side, process: i32 },
    /// `net.*`
    Net { protocol: Protocol, address: IpAddr, port: u16, to: Side },
    /// `unix.connect` to a path
    UnixPath {
        path: Bytes,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        aliases: Vec<Bytes>,
        to: Side,
    },
    /// `unix.connect` to an abstract name
    UnixAbstract { r#abstract: Bytes, to: Side },
    /// gateway verbs
    Tool {
        connector: String,
        tool: String,
        operation: String,
        arguments: serde_json::Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        definition: Option<String>,
    },
    /// every other `file.*`
    File(FileEnd),
}

/// The process that acts, on the host plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Process {
    pub id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Bytes>,
}

/// Who acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// What is about to happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Action {
    pub id: String,
    pub plane: Plane,
    pub verb: Verb,
    pub target: Target,
    #[serde(default)]
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}
