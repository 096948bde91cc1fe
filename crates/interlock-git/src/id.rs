//! The id of an object: the hash of its kind, its size and its content, SHA-1 or, in repositories that say so, SHA-256.
//!
//! RULE: what was made to have the id of something else has another one here, as in git. SHA-1 collides for whoever pays for it: a contributor could
//! have a harmless file committed, and the session the file that has its id. Such files are told by how their blocks are made.

use sha1collisiondetection::{Output, Sha1CD};
use sha2::{Digest as _, Sha256};

/// Which hash a repository's ids are. All of one repository are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Format {
    Sha1,
    Sha256,
}

impl Format {
    /// Bytes of an id.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// An object's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Id {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Id {
    /// Of its hexadecimal digits, whose number says the format.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.contains(&b'+') {
            return None;
        }
        let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Vec<u8> = text.chunks(2).map(digits).collect::<Option<_>>()?;
        let formats = [Format::Sha1, Format::Sha256];
        formats.into_iter().find(|format| text.len() == 2 * format.bytes()).and_then(|format| Self::of_bytes(format, &bytes))
    }

    /// Of its bytes.
    #[must_use]
    pub fn of_bytes(format: Format, bytes: &[u8]) -> Option<Self> {
        match format {
            Format::Sha1 => bytes.try_into().ok().map(Self::Sha1),
            Format::Sha256 => bytes.try_into().ok().map(Self::Sha256),
        }
    }

    /// Of an object with this content.
    #[must_use]
    pub fn of(format: Format, kind: &str, content: &[u8]) -> Self {
        let head = format!("{kind} {}\0", content.len());
        match format {
            Format::Sha1 => Self::Sha1(hashed(&[head.as_bytes(), content])),
            Format::Sha256 => Self::Sha256(Sha256::new().chain_update(head.as_bytes()).chain_update(content).finalize().into()),
        }
    }

    /// Of a file's content, or of what a symlink says.
    #[must_use]
    pub fn of_blob(format: Format, content: &[u8]) -> Self {
        Self::of(format, "blob", content)
    }

    /// Which hash it is.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Sha1(_) => Format::Sha1,
            Self::Sha256(_) => Format::Sha256,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// Its hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn hashed(parts: &[&[u8]]) -> [u8; 20] {
    let (mut hash, mut found) = (Sha1CD::default(), Output::default());
    parts.iter().for_each(|part| hash.update(part));
    // A collision comes with a hash that is not SHA-1's, and so with an id that nothing has.
    let _collision = hash.finalize_into_dirty_cd(&mut found);
    found.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_gits() {
        assert_eq!(Id::of_blob(Format::Sha1, b"").hex(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        let long = "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813";
        assert_eq!(Id::of_blob(Format::Sha256, b"").hex(), long);
        for format in [Format::Sha1, Format::Sha256] {
            let id = Id::of_blob(format, b"hello\n");
            assert_eq!(Id::parse(id.hex().as_bytes()), Some(id));
            assert_eq!(Id::of_bytes(format, id.bytes()), Some(id));
            assert_eq!(id.format(), format);
        }
        assert_eq!(Id::of_blob(Format::Sha1, b"hello\n").hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(Id::parse(b"ce01"), None);
        assert_eq!(Id::parse(&[b'+'; 40]), None);
        assert_eq!(Id::parse(&[b'0'; 41]), None);
        assert_eq!(Id::parse(&[b'g'; 64]), None);
    }

    /// The beginnings of two documents with one SHA-1 (shattered.io, 2017).
    const ALIKE: &str = "255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033203020522f547970652034203020522f\
         537562747970652035203020522f46696c7465722036203020522f436f6c6f7253706163652037203020522f4c656e6774682038203020522f42697473506572\
         436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d3120697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe01";
    const ONE: &str = "7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3dc38e96ac22fe7bd728f0e45bce046d2\
         3c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1";
    const OTHER: &str = "7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb76038e972722fe7ad728f0e4904e046c2\
         30570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1";

    #[test]
    fn what_was_made_to_collide_does_not() {
        let bytes = |text: &str| {
            text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect::<Vec<_>>()
        };
        let (one, other) = (bytes(&[ALIKE, ONE].concat()), bytes(&[ALIKE, OTHER].concat()));
        assert_ne!(one, other);
        assert_ne!(hashed(&[&one]), hashed(&[&other]));
        assert_eq!(hashed(&[b"abc"])[..4], [0xa9, 0x99, 0x3e, 0x36]);
    }
}
