//! An object: its kind and its content.

use crate::id::Id;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

/// Bytes of an object that is read: commits, tags and trees are smaller, and a blob's content is never needed.
pub const OBJECT_BYTES_MAX: usize = 8 << 20;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    /// Its name in an object's head.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        [Self::Commit, Self::Tree, Self::Blob, Self::Tag].into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}

/// A kind and a content, believed only once its id was compared (`verified`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Object {
    pub kind: Kind,
    pub content: Vec<u8>,
}

impl Object {
    /// Of a loose object's file.
    pub fn loose(compressed: &[u8]) -> Option<Self> {
        let mut inflated = inflate(compressed, OBJECT_BYTES_MAX + 64)?;
        let end = inflated.iter().position(|byte| *byte == 0)?;
        let mut words = inflated.get(..end)?.split(|byte| *byte == b' ');
        let kind = Kind::named(words.next()?)?;
        Some(Self { kind, content: inflated.split_off(end + 1) })
    }

    /// The object, if that is its id.
    pub fn verified(self, id: &Id) -> Option<Self> {
        (Id::of(id.format(), self.kind.name(), &self.content) == *id).then_some(self)
    }
}

/// What zlib made of at most `max` bytes; what follows its end is left.
pub fn inflate(compressed: &[u8], max: usize) -> Option<Vec<u8>> {
    decompress_to_vec_zlib_with_limit(compressed, max).ok()
}
