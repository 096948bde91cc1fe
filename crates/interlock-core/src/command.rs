//! The `command` selector: a program and its arguments, as `execve` would receive them.

use crate::bytes::Bytes;
use crate::decision::Says;
use crate::glob::Glob;
use crate::pattern::Pattern;

/// A program by name or by path.
#[derive(Clone, Debug)]
pub enum Program {
    /// Matches the last component of the resolved path.
    Name(Glob),
    /// Matches the whole resolved path.
    Path(Pattern),
}

/// Which commands a rule means.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Command {
    pub program: Option<Vec<Program>>,
    pub words: Vec<Bytes>,
    pub any_flag: Option<Vec<Bytes>>,
}

impl Command {
    /// Whether the program at this resolved path, run with these arguments (the first is its own name), is meant.
    pub fn matches(&self, says: Says, path: &Bytes, arguments: &[Bytes]) -> bool {
        let arguments = arguments.get(1..).unwrap_or_default();
        self.program.as_ref().is_none_or(|programs| programs.iter().any(|program| program.matches(&path.0)))
            && self.has_words(says, arguments)
            && self.any_flag.as_ref().is_none_or(|flags| flags.iter().any(|flag| has_flag(&flag.0, arguments)))
    }

    /// An allow means exactly the first arguments; the others mean the words in this order among whatever is no option, so that an
    /// option put between (`git -C /x push`) does not dodge them.
    fn has_words(&self, says: Says, arguments: &[Bytes]) -> bool {
        if says == Says::Allow {
            return arguments.starts_with(&self.words);
        }
        let mut plain = arguments.iter().filter(|argument| !argument.0.starts_with(b"-"));
        self.words.iter().all(|word| plain.any(|argument| argument == word))
    }
}

impl Program {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Name(glob) => glob.matches(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()),
            Self::Path(pattern) => pattern.matches(path),
        }
    }
}

/// `--force`, `--force=…`; `-f` alone or in a cluster of letters (`-xfz`).
fn has_flag(flag: &[u8], arguments: &[Bytes]) -> bool {
    arguments.iter().any(|argument| is_flag(flag, &argument.0) || in_cluster(flag, &argument.0))
}

/// The flag by itself, or with its value.
pub(crate) fn is_flag(flag: &[u8], argument: &[u8]) -> bool {
    argument == flag || matches!(argument.strip_prefix(flag), Some([b'=', ..]))
}

/// The letter among others: they may be flags, or one flag and its value.
pub(crate) fn in_cluster(flag: &[u8], argument: &[u8]) -> bool {
    match (flag, argument) {
        ([b'-', letter], [b'-', cluster @ ..]) if *letter != b'-' => !cluster.starts_with(b"-") && cluster.contains(letter),
        _ => false,
    }
}
