//! One frame: `length (u32), type (u8), crc32 (u32), payload, mac (32 bytes, on records and commit marks)`, big-endian.
//!
//! The CRC is zlib's, over length, type and payload. What a MAC covers is in `mac.rs`.

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 9;
/// Bytes of a MAC.
pub const MAC_BYTES: usize = 32;
/// Payload of a commit mark: epoch and number of records, both u64.
pub const COMMIT_BYTES: usize = 16;
/// A payload is never larger.
pub const PAYLOAD_BYTES_MAX: usize = 65_535;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opens a segment: origin, number, first record.
    Segment,
    /// A record: a leaf of the tree.
    Record,
    /// Ends a batch: what is before it was written whole.
    Commit,
    /// A signed checkpoint.
    Checkpoint,
}

impl Kind {
    /// The letter on disk.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Segment => b'S',
            Self::Record => b'R',
            Self::Commit => b'C',
            Self::Checkpoint => b'P',
        }
    }

    fn from_letter(letter: u8) -> Option<Self> {
        [Self::Segment, Self::Record, Self::Commit, Self::Checkpoint].into_iter().find(|kind| kind.letter() == letter)
    }

    /// Records and marks carry a MAC; a checkpoint carries a signature and a segment's first frame holds nothing of its own.
    #[must_use]
    pub fn has_mac(self) -> bool {
        matches!(self, Self::Record | Self::Commit)
    }
}

/// The nine bytes before a payload.
#[must_use]
pub fn header(kind: Kind, payload: &[u8]) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(&[kind.letter()]);
    crc.update(payload);
    let [l0, l1, l2, l3] = length;
    let [c0, c1, c2, c3] = crc.finalize().to_be_bytes();
    [l0, l1, l2, l3, kind.letter(), c0, c1, c2, c3]
}

/// A frame found in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its payload.
    pub payload: &'a [u8],
    /// The whole of it, header and MAC included.
    pub bytes: &'a [u8],
}

/// The frame at the start of `bytes`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Err("the file ends inside a frame's header") };
    let [l0, l1, l2, l3, letter, ..] = *head;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let kind = Kind::from_letter(letter).ok_or("a frame of unknown type")?;
    if length > PAYLOAD_BYTES_MAX {
        return Err("a frame longer than any frame may be");
    }
    let payload = rest.get(..length).ok_or("the file ends inside a frame")?;
    let whole = HEADER_BYTES + length + if kind.has_mac() { MAC_BYTES } else { 0 };
    let bytes = bytes.get(..whole).ok_or("the file ends inside a frame's MAC")?;
    if header(kind, payload) != *head {
        return Err("a frame whose CRC does not match");
    }
    Ok(Frame { kind, payload, bytes })
}

/// The payload of a commit mark.
#[must_use]
pub fn commit(epoch: u64, records: u64) -> [u8; COMMIT_BYTES] {
    let mut payload = [0; COMMIT_BYTES];
    let (first, second) = payload.split_at_mut(8);
    first.copy_from_slice(&epoch.to_be_bytes());
    second.copy_from_slice(&records.to_be_bytes());
    payload
}
