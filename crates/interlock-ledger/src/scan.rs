//! Reading a log before it is written again: everything that a writer leaves is checked, a torn tail is measured, damage is refused.
//!
//! MACs are not checked: the keys are gone by design. The verifier does that for the auditor.

use std::io::Read;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::frame::{self, Frame, Kind};
use crate::note::Checkpoint;
use crate::options::Options;
use crate::private;
use crate::tree::{Hash, Tree, leaf};

/// Where a log stands.
pub struct Scan {
    /// The tree over all records.
    pub tree: Tree,
    /// Epochs used so far; the next batch has this number.
    pub epochs: u64,
    /// Number of the last segment, none for a fresh log.
    pub segment: Option<u64>,
    /// Good bytes in the last segment.
    pub offset: u64,
    /// Bytes of the segments before the last.
    pub bytes_before: u64,
    /// The chain over every good byte since the last checkpoint.
    pub(crate) chain: Sha256,
    /// The last checkpoint in the log.
    pub checkpoint: Option<Checkpoint>,
    /// What must be cut off the last segment.
    pub torn_bytes: u64,
    /// Whole records among what must be cut.
    pub torn_records: u64,
    /// True if every remembered checkpoint was met.
    remembered: Vec<(Checkpoint, bool)>,
}

/// Name of a segment's file.
#[must_use]
pub fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("segment-{number:08}"))
}

/// The first payload of a segment.
#[must_use]
pub fn segment_payload(origin: &str, number: u64, first: u64) -> Vec<u8> {
    crate::canonical::bytes(&serde_json::json!({"first": first, "format": "interlock-ledger/1", "origin": origin, "segment": number}))
}

/// The chain before the first byte of a log.
#[must_use]
pub fn chain_start(origin: &str) -> Sha256 {
    let start: Hash = Sha256::digest(format!("interlock-ledger/1\n{origin}\n")).into();
    Sha256::new().chain_update(start)
}

/// Reads the log in `directory`. Each record's bytes go to `visit`. `memories` are notes that this log must contain.
///
/// # Errors
/// `Damaged`, or `Inconsistent` when a remembered checkpoint is not in the log.
pub fn scan(directory: &Path, origin: &str, key: &VerifyingKey, memories: &[PathBuf], visit: &mut dyn FnMut(&[u8])) -> Result<Scan> {
    let mut scan = Scan {
        tree: Tree::default(),
        epochs: 0,
        segment: None,
        offset: 0,
        bytes_before: 0,
        chain: chain_start(origin),
        checkpoint: None,
        torn_bytes: 0,
        torn_records: 0,
        remembered: remembered(memories, origin, key)?,
    };
    let mut number = 0;
    while segment_path(directory, number).exists() {
        let path = segment_path(directory, number);
        let last = !segment_path(directory, number + 1).exists();
        let mut bytes = Vec::new();
        private::open(&path, false)?.read_to_end(&mut bytes).map_err(|e| Error::io("read", &path, &e))?;
        scan.bytes_before += scan.offset;
        scan.offset = 0;
        scan.segment = Some(number);
        Pass { scan: &mut scan, origin, key, path: &path, base: 0, bytes: &bytes, batch: Vec::new() }.run(number, last, visit)?;
        number += 1;
    }
    scan.with_all_remembered()
}

/// Goes on behind the checkpoint where `scan` stands: `tail` is what follows it in the last segment.
///
/// # Errors
/// As `scan`.
pub(crate) fn scan_on(mut scan: Scan, options: &Options, tail: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<Scan> {
    let (origin, key) = (options.origin.as_str(), options.keys.signing.verifying_key());
    scan.remembered = remembered(&options.memories(), origin, &key)?;
    for (memory, met) in &mut scan.remembered {
        *met |= scan.checkpoint.as_ref() == Some(memory);
    }
    let number = scan.segment.unwrap_or(0);
    let path = segment_path(&options.directory, number);
    let base = scan.offset;
    Pass { scan: &mut scan, origin, key: &key, path: &path, base, bytes: tail, batch: Vec::new() }.run(number, true, visit)?;
    scan.with_all_remembered()
}

impl Scan {
    /// A log that stands right behind `checkpoint`, at (segment, bytes before it, offset in it).
    pub(crate) fn standing(tree: Tree, epochs: u64, at: (u64, u64, u64), chain: Sha256, checkpoint: Checkpoint) -> Self {
        let (segment, bytes_before, offset) = at;
        let checkpoint = Some(checkpoint);
        let segment = Some(segment);
        Self { tree, epochs, segment, offset, bytes_before, chain, checkpoint, torn_bytes: 0, torn_records: 0, remembered: Vec::new() }
    }

    fn with_all_remembered(self) -> Result<Self> {
        match self.remembered.iter().find(|(_, met)| !met) {
            Some((lost, _)) => Err(Error::Inconsistent(format!("a checkpoint of {} records was signed and is no longer in it", lost.size))),
            None => Ok(self),
        }
    }
}

fn remembered(memories: &[PathBuf], origin: &str, key: &VerifyingKey) -> Result<Vec<(Checkpoint, bool)>> {
    memories.iter().filter(|path| path.exists()).map(|path| remember(path, origin, key)).collect()
}

fn remember(path: &Path, origin: &str, key: &VerifyingKey) -> Result<(Checkpoint, bool)> {
    let bytes = private::read(path)?;
    let damaged = |what: &str| Error::Damaged { file: path.to_path_buf(), offset: 0, what: what.into() };
    let note = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
    Ok((Checkpoint::open(note, origin, key).map_err(damaged)?, false))
}

/// One segment being read.
struct Pass<'a> {
    scan: &'a mut Scan,
    origin: &'a str,
    key: &'a VerifyingKey,
    path: &'a Path,
    /// Where in the segment `bytes` begins.
    base: u64,
    bytes: &'a [u8],
    /// Records since the last commit mark.
    batch: Vec<&'a [u8]>,
}

impl<'a> Pass<'a> {
    fn run(&mut self, number: u64, last: bool, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut at = 0;
        while at < self.bytes.len() {
            let step = frame::parse(self.bytes.get(at..).unwrap_or_default()).and_then(|frame| {
                self.take(frame, at, number, visit)?;
                Ok(frame.bytes.len())
            });
            match step {
                Ok(length) => at += length,
                Err(what) if !last || self.mark_after(at) => return Err(self.damaged(at, what)),
                Err(_) => break,
            }
        }
        self.scan.torn_bytes = self.base + self.bytes.len() as u64 - self.scan.offset;
        self.scan.torn_records = self.batch.len() as u64;
        if !last && (self.scan.torn_bytes > 0 || self.bytes.is_empty()) {
            return Err(self.damaged(at, "a segment that is not the last ends without a commit mark"));
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame<'a>, at: usize, number: u64, visit: &mut dyn FnMut(&[u8])) -> std::result::Result<(), &'static str> {
        let expected = segment_payload(self.origin, number, self.scan.tree.size());
        match frame.kind {
            Kind::Segment if self.base == 0 && at == 0 && frame.payload == expected => self.good(at + frame.bytes.len()),
            Kind::Segment => return Err("the head of another segment or another log"),
            _ if self.base == 0 && at == 0 => return Err("a segment without its head"),
            Kind::Record => self.batch.push(frame.payload),
            Kind::Commit => return self.commit(frame, at, visit),
            Kind::Checkpoint => return self.checkpoint(frame, at),
        }
        Ok(())
    }

    fn commit(&mut self, frame: Frame<'a>, at: usize, visit: &mut dyn FnMut(&[u8])) -> std::result::Result<(), &'static str> {
        if frame.payload != frame::commit(self.scan.epochs, self.scan.tree.size() + self.batch.len() as u64) {
            return Err("a commit mark that does not follow the one before");
        }
        for record in self.batch.drain(..) {
            self.scan.tree.push(leaf(record));
            visit(record);
        }
        self.scan.epochs += 1;
        self.good(at + frame.bytes.len());
        Ok(())
    }

    fn checkpoint(&mut self, frame: Frame<'a>, at: usize) -> std::result::Result<(), &'static str> {
        let note = std::str::from_utf8(frame.payload).map_err(|_| "a checkpoint that is not text")?;
        let checkpoint = Checkpoint::open(note, self.origin, self.key)?;
        let chain: Hash = self.scan.chain.clone().finalize().into();
        let position = self.scan.bytes_before + self.scan.offset;
        let here = (checkpoint.size, checkpoint.root, checkpoint.bytes, checkpoint.chain);
        if !self.batch.is_empty() || here != (self.scan.tree.size(), self.scan.tree.root(), position, chain) {
            return Err("a checkpoint of other bytes than these");
        }
        self.scan.chain = Sha256::new().chain_update(chain);
        self.good(at + frame.bytes.len());
        for (memory, met) in &mut self.scan.remembered {
            *met |= *memory == checkpoint;
        }
        self.scan.checkpoint = Some(checkpoint);
        Ok(())
    }

    /// Everything up to `end` is good.
    fn good(&mut self, end: usize) {
        let from = usize::try_from(self.scan.offset - self.base).unwrap_or(usize::MAX);
        self.scan.chain.update(self.bytes.get(from..end).unwrap_or_default());
        self.scan.offset = self.base + end as u64;
    }

    /// True if a commit mark or checkpoint stands somewhere after `at`: then what is wrong at `at` is damage, not a torn write.
    fn mark_after(&self, at: usize) -> bool {
        let rest = self.bytes.get(at.saturating_add(1)..).unwrap_or_default();
        (0..rest.len()).any(|from| {
            let tail = rest.get(from..).unwrap_or_default();
            matches!(tail.get(4), Some(b'C' | b'P')) && frame::parse(tail).is_ok()
        })
    }

    fn damaged(&self, at: usize, what: &str) -> Error {
        Error::Damaged { file: self.path.to_path_buf(), offset: self.base + at as u64, what: what.into() }
    }
}
