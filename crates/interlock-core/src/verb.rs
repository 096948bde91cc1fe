//! The verbs: what kinds of act there are, on which plane, and what shape of target each has.

use serde::{Deserialize, Serialize};

/// The plane an Action was observed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// System calls of a jailed process tree.
    Host,
    /// Tool calls through the gateway.
    Gateway,
}

macro_rules! verbs {
    ($($variant:ident $text:literal,)*) => {
        /// What kind of act it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum Verb {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl Verb {
            /// Every verb, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is written, for example `file.read`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

verbs! {
    FileRead "file.read",
    FileWrite "file.write",
    FileCreate "file.create",
    FileDelete "file.delete",
    FileRename "file.rename",
    FileLink "file.link",
    FileChmod "file.chmod",
    FileChown "file.chown",
    FileTruncate "file.truncate",
    FileXattr "file.xattr",
    FileUtime "file.utime",
    FileMknod "file.mknod",
    ProcessExec "process.exec",
    ProcessSignal "process.signal",
    ProcessPtrace "process.ptrace",
    NetConnect "net.connect",
    NetBind "net.bind",
    NetSend "net.send",
    NetListen "net.listen",
    UnixConnect "unix.connect",
    KeyUse "key.use",
    ToolCall "tool.call",
    ToolList "tool.list",
    ResourceRead "resource.read",
    PromptGet "prompt.get",
    LogLevel "log.level",
}

impl Verb {
    /// The verb so written, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verb| verb.name() == name)
    }

    /// Its place in [`Verb::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The plane it is observed on.
    pub fn plane(self) -> Plane {
        if self.is_gateway() { Plane::Gateway } else { Plane::Host }
    }

    /// `file.*`
    pub fn is_file(self) -> bool {
        self <= Self::FileMknod
    }

    /// `file.rename` and `file.link`: two ends.
    pub fn is_pair(self) -> bool {
        matches!(self, Self::FileRename | Self::FileLink)
    }

    /// `net.*`
    pub fn is_net(self) -> bool {
        matches!(self, Self::NetConnect | Self::NetBind | Self::NetSend | Self::NetListen)
    }

    /// The verbs of tool calls.
    pub fn is_gateway(self) -> bool {
        matches!(self, Self::ToolCall | Self::ToolList | Self::ResourceRead | Self::PromptGet | Self::LogLevel)
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
