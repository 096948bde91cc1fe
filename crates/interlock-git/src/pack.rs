//! A pack and its index, version 2: where an object lies, and what it is once its deltas are applied.

use crate::file;
use crate::id::{Format, Id};
use crate::object::{Kind, OBJECT_BYTES_MAX, Object, inflate};
use crate::patience::GoesOn;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Deltas upon one another; git makes 50 at most unless told otherwise.
const DELTAS_MAX: usize = 512;
/// Bytes of them together.
const DELTAS_BYTES_MAX: usize = 4 * OBJECT_BYTES_MAX;
const MAGIC: [u8; 8] = *b"\xfftOc\0\0\0\x02";
const FANOUT: u64 = 256 * 4;
/// Bytes of the longest id, and enough for the head of an entry with one.
const LONGEST: usize = 32;
const HEAD_BYTES: usize = 64;
/// Bytes that zlib may add to what it cannot compress, and the head of an entry.
const OVERHEAD: usize = 512;

/// An open pack.
pub struct Pack {
    index: File,
    pack: File,
    count: u64,
}

/// Where the base of a delta is.
enum Base {
    At(u64),
    Named(Id),
}

/// What an entry holds.
enum Held {
    Object(Object),
    Delta(Base, Vec<u8>),
}

impl Pack {
    /// Opens the pack with this index file; nothing where it is not one.
    pub fn open(index: &Path) -> Option<Self> {
        let (pack, index) = (file::open(&index.with_extension("pack"))?, file::open(index)?);
        let magic: [u8; 8] = bytes(&index, 0)?;
        let count = u64::from(u32::from_be_bytes(bytes(&index, 8 + FANOUT - 4)?));
        (magic == MAGIC).then_some(Self { index, pack, count })
    }

    /// Where the object begins in the pack.
    pub fn find(&self, id: &Id) -> Option<u64> {
        let (first, length) = (u64::from(*id.bytes().first()?), id.bytes().len());
        let above = |byte: u64| Some(u64::from(u32::from_be_bytes(bytes(&self.index, 8 + 4 * byte)?)));
        let (mut low, mut high) = (if first == 0 { 0 } else { above(first - 1)? }, above(first)?.min(self.count));
        while low < high {
            let middle = low + (high - low) / 2;
            let mut found = [0; LONGEST];
            let found = found.get_mut(..length)?;
            self.index.read_exact_at(found, 8 + FANOUT + middle * length as u64).ok()?;
            match (*found).cmp(id.bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.offset(middle, length as u64),
            }
        }
        None
    }

    /// `length` is that of the index's ids, which stand before the offsets.
    fn offset(&self, number: u64, length: u64) -> Option<u64> {
        let offsets = 8 + FANOUT + self.count * (length + 4);
        let short = u32::from_be_bytes(bytes(&self.index, offsets + number * 4)?);
        if short & 0x8000_0000 == 0 {
            return Some(u64::from(short));
        }
        Some(u64::from_be_bytes(bytes(&self.index, offsets + self.count * 4 + u64::from(short & 0x7fff_ffff) * 8)?))
    }

    /// The object that begins there, in a repository of that format. `named` finds a base in another place.
    pub fn read(&self, at: u64, format: Format, named: &dyn Fn(&Id) -> Option<Object>, goes_on: GoesOn<'_>) -> Option<Object> {
        let (mut deltas, mut at, mut room) = (Vec::new(), at, DELTAS_BYTES_MAX);
        let mut object = loop {
            match self.entry(at, format)? {
                Held::Object(object) => break object,
                Held::Delta(base, delta) => {
                    room = room.checked_sub(delta.len()).filter(|_| deltas.len() < DELTAS_MAX && goes_on())?;
                    deltas.push(delta);
                    match base {
                        Base::At(offset) => at = offset,
                        Base::Named(id) => match self.find(&id) {
                            Some(offset) => at = offset,
                            None => break named(&id)?,
                        },
                    }
                }
            }
        };
        for delta in deltas.iter().rev() {
            object.content = apply(&object.content, delta).filter(|_| goes_on())?;
        }
        Some(object)
    }

    fn entry(&self, at: u64, format: Format) -> Option<Held> {
        let head = self.some(at, HEAD_BYTES)?;
        let mut reader = Reader { bytes: &head };
        let first = reader.byte()?;
        let (kind, mut size, mut shift) = ((first >> 4) & 7, usize::from(first & 15), 4);
        let mut more = first & 0x80 != 0;
        while more {
            let byte = reader.byte()?;
            size |= usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 32)?;
            (shift, more) = (shift + 7, byte & 0x80 != 0);
        }
        let base = match kind {
            6 => Some(Base::At(at.checked_sub(reader.distance()?)?)),
            7 => Some(Base::Named(Id::of_bytes(format, reader.take(format.bytes())?)?)),
            _ => None,
        };
        let data = at + (head.len() - reader.bytes.len()) as u64;
        if size > OBJECT_BYTES_MAX {
            return None;
        }
        let content = inflate(&self.some(data, size + size / 512 + OVERHEAD)?, size)?;
        let object = |kind| Held::Object(Object { kind, content: content.clone() });
        match (kind, base) {
            _ if content.len() != size => None,
            (1, None) => Some(object(Kind::Commit)),
            (2, None) => Some(object(Kind::Tree)),
            (3, None) => Some(object(Kind::Blob)),
            (4, None) => Some(object(Kind::Tag)),
            (_, Some(base)) => Some(Held::Delta(base, content)),
            _ => None,
        }
    }

    /// At most `count` bytes from there.
    fn some(&self, at: u64, count: usize) -> Option<Vec<u8>> {
        let (mut found, mut filled) = (vec![0; count], 0);
        while let Some(room) = found.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.pack.read_at(room, at + filled as u64).ok()? {
                0 => break,
                read => filled += read,
            }
        }
        found.truncate(filled);
        Some(found)
    }
}

fn bytes<const N: usize>(file: &File, at: u64) -> Option<[u8; N]> {
    let mut found = [0; N];
    file.read_exact_at(&mut found, at).ok()?;
    Some(found)
}

/// The content that a delta makes of its base.
fn apply(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { bytes: delta };
    let (from, to) = (reader.number()?, reader.number()?);
    if from != base.len() || to > OBJECT_BYTES_MAX {
        return None;
    }
    let mut made = Vec::with_capacity(to);
    while !reader.bytes.is_empty() {
        let command = reader.byte()?;
        let piece = match command {
            0 => return None,
            command if command & 0x80 != 0 => {
                let (start, count) = reader.copied(command)?;
                base.get(start..start.checked_add(count)?)?
            }
            count => reader.take(usize::from(count))?,
        };
        if made.len() + piece.len() > to {
            return None;
        }
        made.extend_from_slice(piece);
    }
    (made.len() == to).then_some(made)
}

/// Reads from the front.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Option<usize> {
        let (mut found, mut shift) = (0_usize, 0);
        loop {
            let byte = self.byte()?;
            found |= usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 32)?;
            if byte & 0x80 == 0 {
                return Some(found);
            }
            shift += 7;
        }
    }

    /// How far back a delta's base begins: groups of seven bits, the highest first, one added between.
    fn distance(&mut self) -> Option<u64> {
        let mut byte = self.byte()?;
        let mut found = u64::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            found = found.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
        }
        Some(found)
    }

    /// Where a copy begins in the base and how long it is.
    fn copied(&mut self, command: u8) -> Option<(usize, usize)> {
        let (mut start, mut count) = (0, 0);
        for bit in 0..4 {
            if command & (1 << bit) != 0 {
                start |= usize::from(self.byte()?) << (8 * bit);
            }
        }
        for bit in 0..3 {
            if command & (0x10 << bit) != 0 {
                count |= usize::from(self.byte()?) << (8 * bit);
            }
        }
        Some((start, if count == 0 { 0x10000 } else { count }))
    }
}
