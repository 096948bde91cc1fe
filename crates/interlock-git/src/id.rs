//! The id of an object: the SHA-1 of its kind, its size and its content.

use sha1::{Digest as _, Sha1};

/// Bytes of an id.
pub const BYTES: usize = 20;

/// An object's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; BYTES]);

impl Id {
    /// Of its hexadecimal digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 2 * BYTES {
            return None;
        }
        let mut id = [0; BYTES];
        for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        (!text.contains(&b'+')).then_some(Self(id))
    }

    /// Of an object with this content.
    #[must_use]
    pub fn of(kind: &str, content: &[u8]) -> Self {
        let head = format!("{kind} {}\0", content.len());
        Self(Sha1::new().chain_update(head.as_bytes()).chain_update(content).finalize().into())
    }

    /// Of a file's content, or of what a symlink says.
    #[must_use]
    pub fn of_blob(content: &[u8]) -> Self {
        Self::of("blob", content)
    }

    /// Its hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_gits() {
        assert_eq!(Id::of_blob(b"").hex(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        let id = Id::of_blob(b"hello\n");
        assert_eq!(id.hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(Id::parse(id.hex().as_bytes()), Some(id));
        assert_eq!(Id::parse(b"ce01"), None);
        assert_eq!(Id::parse(&[b'+'; 40]), None);
    }
}
