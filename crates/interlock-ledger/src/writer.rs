//! The writer of one log, for one thread at a time: records become frames, frames a batch, a batch one write.
//!
//! Threads, waiting and the clockwork of syncs are `log.rs`'s. INVARIANT: every write(2) ends with a commit mark or a checkpoint.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::clock::{Reading, rfc3339};
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::frame::{self, HEADER_BYTES, Kind, MAC_BYTES};
use crate::mac::EpochKey;
use crate::note::Checkpoint;
use crate::options::Options;
use crate::private;
use crate::scan::{Scan, scan, segment_path, segment_payload};
use crate::tree::{Hash, Tile, Tree, leaf};

/// A segment is closed before it would grow beyond this.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Set aside beyond the end of the log, so that a full disk can still be recorded.
pub const RESERVE_BYTES: u64 = 512 * 1024;
/// Set aside at a time, beyond the reserve.
const AHEAD_BYTES: u64 = 1024 * 1024;
/// Room for a commit mark and a checkpoint behind every record.
const MARKS_BYTES: u64 = 1024;
/// A batch is written out when it has this many records or bytes.
pub const BATCH_RECORDS_MAX: u64 = 512;
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The writer. Dropping it leaves a log that is complete up to its last batch.
pub struct Writer {
    options: Options,
    /// Holds the lock of the directory.
    _lock: File,
    file: Arc<File>,
    segment: u64,
    offset: u64,
    bytes_before: u64,
    allocated: u64,
    reserves: bool,
    pending: Vec<u8>,
    pending_records: u64,
    chain: Sha256,
    tree: Tree,
    key: EpochKey,
    epochs: u64,
    tick_ns: u64,
    lost: u64,
    checkpoint: Option<Checkpoint>,
}

impl Writer {
    /// Opens the log, or makes it, and puts `opening` (a record without what the writer fills in) as the first record of this writer,
    /// with the MAC key sealed for the auditor and what was cut off a torn tail. Nothing is synced yet.
    ///
    /// # Errors
    /// Another writer, damage, a remembered checkpoint that is missing, no space, or the operating system.
    pub fn open(options: Options, opening: Map<String, Value>, visit: &mut dyn FnMut(&[u8])) -> Result<Self> {
        private::directory(&options.directory)?;
        let lock = private::lock(&options.directory, false)?;
        let found = read(&options, visit)?;
        Self::start(options, lock, found, opening)
    }

    /// As `open`, with the lock held and the log read already.
    pub(crate) fn start(options: Options, lock: File, found: Scan, opening: Map<String, Value>) -> Result<Self> {
        let _ = std::fs::remove_file(options.directory.join("checkpoint.new"));
        let number = found.segment.unwrap_or(0);
        let path = segment_path(&options.directory, number);
        let fresh = found.segment.is_none();
        let file = if fresh { private::create(&path)? } else { reopen(&path, found.offset, found.torn_bytes)? };
        let recovered = (found.torn_bytes > 0).then(|| json!({"bytes": found.torn_bytes, "records": found.torn_records}));
        let mut writer = Self {
            _lock: lock,
            file: Arc::new(file),
            segment: number,
            offset: found.offset,
            bytes_before: found.bytes_before,
            allocated: found.offset,
            reserves: true,
            pending: Vec::with_capacity(64 * 1024),
            pending_records: 0,
            chain: found.chain,
            tree: found.tree,
            key: EpochKey::fresh()?,
            epochs: found.epochs,
            tick_ns: 0,
            lost: 0,
            checkpoint: found.checkpoint,
            options,
        };
        if found.offset == 0 {
            writer.begin_segment()?;
        }
        writer.push_opening(opening, recovered)?;
        if fresh {
            private::sync_directory(&writer.options.directory)?;
        }
        Ok(writer)
    }

    fn push_opening(&mut self, mut opening: Map<String, Value>, recovered: Option<Value>) -> Result<()> {
        let sealed = self.key.sealed_to(&self.options.keys.auditor, &self.options.origin)?;
        opening.insert("mac".into(), json!({"auditor": self.options.keys.auditor_id(), "epoch": self.epochs, "sealed": sealed}));
        opening.insert("key".into(), json!(self.options.keys.id()));
        opening.insert("origin".into(), json!(self.options.origin));
        opening.insert("writer".into(), json!(concat!("interlock ", env!("CARGO_PKG_VERSION"))));
        opening.insert("recovered".into(), recovered.unwrap_or(Value::Null));
        let draft = Draft::new(Value::Object(opening), &self.options.session)?;
        self.push(&draft)?;
        self.commit()
    }

    /// Counts a record that could not be taken; it is said in a `gap` record as soon as there is room.
    pub(crate) fn lose(&mut self) {
        self.lost += 1;
    }

    /// Adds a record to the batch; it is on disk only after `commit`.
    ///
    /// # Errors
    /// `Full`, and then nothing has changed.
    pub(crate) fn push(&mut self, draft: &Draft) -> Result<u64> {
        let needed = (HEADER_BYTES + draft.bytes() + MAC_BYTES) as u64 + MARKS_BYTES;
        if self.offset + self.pending.len() as u64 + needed > SEGMENT_BYTES && !draft.last_words {
            self.roll()?;
        }
        if let Err(error) = self.make_room(needed, draft.last_words) {
            self.lost += u64::from(draft.last_words);
            return Err(error);
        }
        if self.lost > 0 && !draft.last_words {
            self.push_gap()?;
        }
        let now = self.now();
        let number = self.tree.size();
        let mut payload = Vec::with_capacity(draft.bytes());
        draft.finish(number, now, &mut payload);
        self.tree.push(leaf(&payload));
        self.frame(Kind::Record, &payload);
        self.pending_records += 1;
        Ok(number)
    }

    /// Denials that found the reserve used up are counted, and said as soon as there is room again.
    fn push_gap(&mut self) -> Result<()> {
        let lost = std::mem::take(&mut self.lost);
        let gap = json!({"type": "gap", "lost": lost, "reason": "the disk was full"});
        let draft = Draft::new(gap, &self.options.session)?;
        self.push(&draft).map(|_| ())
    }

    fn now(&mut self) -> Reading {
        let now = (self.options.clock)();
        self.tick_ns = self.tick_ns.max(now.tick_ns);
        Reading { tick_ns: self.tick_ns, ..now }
    }

    fn frame(&mut self, kind: Kind, payload: &[u8]) {
        let header = frame::header(kind, payload);
        let position = self.offset + self.pending.len() as u64;
        let mac = self.key.seal(self.segment, position, &header, payload);
        self.pending.extend_from_slice(&header);
        self.pending.extend_from_slice(payload);
        if kind.has_mac() {
            self.pending.extend_from_slice(&mac);
        }
    }

    /// True if the batch should be written out now.
    pub(crate) fn batch_is_large(&self) -> bool {
        self.pending_records >= BATCH_RECORDS_MAX || self.pending.len() >= BATCH_BYTES_MAX
    }

    /// Ends the batch with a mark, writes it with one write(2), and evolves the key.
    ///
    /// # Errors
    /// The write failed: the log must be poisoned, since what is on disk is not known.
    pub(crate) fn commit(&mut self) -> Result<()> {
        if self.pending_records == 0 {
            return Ok(());
        }
        self.frame(Kind::Commit, &frame::commit(self.epochs, self.tree.size()));
        self.write()?;
        self.pending_records = 0;
        self.epochs += 1;
        self.key = self.key.evolve()?;
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.chain.update(&self.pending);
        let written = self.options.storage.append(&self.file, &self.pending);
        written.map_err(|e| Error::Poisoned(format!("writing the log failed: {e}")))?;
        self.offset += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Signs where the log stands and writes the note into the log. The caller syncs, then publishes it.
    ///
    /// # Errors
    /// The write failed, or the log stands before what was signed last.
    pub(crate) fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.commit()?;
        let now = self.now();
        let chain: Hash = self.chain.clone().finalize().into();
        let checkpoint = Checkpoint {
            origin: self.options.origin.clone(),
            size: self.tree.size(),
            root: self.tree.root(),
            bytes: self.bytes_before + self.offset,
            chain,
            time: rfc3339(now.time_us),
            tick: now.tick_ns,
        };
        if self.checkpoint.as_ref().is_some_and(|last| contradicts(last, &checkpoint)) {
            return Err(Error::Inconsistent("the signer will not sign what contradicts its last checkpoint".into()));
        }
        let note = checkpoint.sign(&self.options.keys.signing);
        self.make_room(note.len() as u64 + MARKS_BYTES, true)?;
        self.chain = Sha256::new().chain_update(chain);
        self.frame(Kind::Checkpoint, note.as_bytes());
        self.write()?;
        self.checkpoint = Some(checkpoint.clone());
        Ok(checkpoint)
    }

    /// Puts a synced checkpoint where others look for it, and in the signer's memory.
    ///
    /// # Errors
    /// A file could not be replaced.
    pub(crate) fn publish(options: &Options, checkpoint: &Checkpoint) -> Result<()> {
        let note = checkpoint.sign(&options.keys.signing);
        private::replace(&options.directory.join("checkpoint"), note.as_bytes())?;
        options.memory.as_ref().map_or(Ok(()), |memory| private::replace(memory, note.as_bytes()))
    }

    /// The file to sync and the number of records that are then durable.
    pub(crate) fn unsynced(&self) -> (Arc<File>, u64) {
        (Arc::clone(&self.file), self.tree.size() - self.pending_records)
    }

    /// That the file is still where its name is: what is written to a log that was taken away is lost with the process.
    ///
    /// # Errors
    /// `Poisoned`: it was removed, moved or replaced.
    pub(crate) fn in_place(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let path = segment_path(&self.options.directory, self.segment);
        let same = |named: &std::fs::Metadata, held: &std::fs::Metadata| (named.dev(), named.ino()) == (held.dev(), held.ino());
        match (std::fs::symlink_metadata(&path), self.file.metadata()) {
            (Ok(named), Ok(held)) if same(&named, &held) => Ok(()),
            _ => Err(Error::Poisoned(format!("`{}` was taken away while it was written", path.display()))),
        }
    }

    /// Records so far and their root.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        (self.tree.size(), self.tree.root())
    }

    /// The last checkpoint signed.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn take_full_tiles(&mut self) -> Vec<Tile> {
        self.tree.take_full()
    }

    pub(crate) fn put_back(&mut self, tiles: Vec<Tile>) {
        self.tree.put_back(tiles);
    }

    pub(crate) fn partial_tiles(&self) -> Vec<Tile> {
        self.tree.partial()
    }

    /// Gives back what was set aside beyond the end.
    pub(crate) fn trim(&self) {
        let _ = self.file.set_len(self.offset);
    }

    /// Closes the segment and begins the next.
    fn roll(&mut self) -> Result<()> {
        self.commit()?;
        let synced = self.options.storage.sync(&self.file);
        synced.map_err(|e| Error::Poisoned(format!("syncing the log failed: {e}")))?;
        let next = private::create(&segment_path(&self.options.directory, self.segment + 1))?;
        let reserved = self.options.storage.reserve(&next, 0, RESERVE_BYTES + AHEAD_BYTES);
        if reserved.is_err_and(|error| is_full(&error)) {
            let _ = std::fs::remove_file(segment_path(&self.options.directory, self.segment + 1));
            return Err(Error::Full);
        }
        self.trim();
        self.file = Arc::new(next);
        self.segment += 1;
        self.bytes_before += self.offset;
        self.offset = 0;
        self.allocated = 0;
        self.begin_segment()?;
        private::sync_directory(&self.options.directory)
    }

    fn begin_segment(&mut self) -> Result<()> {
        self.make_room(MARKS_BYTES, false)?;
        let payload = segment_payload(&self.options.origin, self.segment, self.tree.size());
        self.frame(Kind::Segment, &payload);
        self.write()
    }

    /// Makes sure that `needed` bytes can be written, and that the reserve is still there after them unless it may be used.
    fn make_room(&mut self, needed: u64, may_use_reserve: bool) -> Result<()> {
        let end = self.offset + self.pending.len() as u64 + needed;
        if !self.reserves || end + RESERVE_BYTES <= self.allocated {
            return Ok(());
        }
        for wanted in [end + RESERVE_BYTES + AHEAD_BYTES, end + RESERVE_BYTES] {
            match self.options.storage.reserve(&self.file, self.allocated, wanted) {
                Ok(()) => {
                    self.allocated = wanted;
                    return Ok(());
                }
                Err(error) if is_full(&error) => {}
                Err(_) => {
                    self.reserves = false;
                    return Ok(());
                }
            }
        }
        if may_use_reserve && end <= self.allocated { Ok(()) } else { Err(Error::Full) }
    }
}

/// Reads the log that `options` names.
pub(crate) fn read(options: &Options, visit: &mut dyn FnMut(&[u8])) -> Result<Scan> {
    scan(&options.directory, &options.origin, &options.keys.signing.verifying_key(), &options.memories(), visit)
}

fn reopen(path: &Path, good: u64, torn: u64) -> Result<File> {
    use std::io::{Seek, SeekFrom};
    let mut file = private::open(path, true)?;
    if torn > 0 {
        file.set_len(good).and_then(|()| file.sync_all()).map_err(|e| Error::io("cut the torn tail of", path, &e))?;
    }
    file.seek(SeekFrom::Start(good)).map_err(|e| Error::io("seek in", path, &e))?;
    Ok(file)
}

fn contradicts(last: &Checkpoint, next: &Checkpoint) -> bool {
    next.size < last.size || next.bytes < last.bytes || next.size == last.size && next.root != last.root
}

fn is_full(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::NOSPC, Errno::DQUOT, Errno::FBIG].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
