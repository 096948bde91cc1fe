//! Going on with the index where it was signed last, without reading what stands before: a session's start must not cost more with each session.
//!
//! What is relied on is signed: the signer's memory of its last checkpoint, found again byte for byte at its place; the tiles' right edge,
//! whose root it signed; the list of open logs (`index.open`), signed for that size and root. The tail behind it is checked as ever.
//! Whatever does not fit is left to `scan`, which reads everything and refuses damage. Old bytes are the verifier's to check.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::frame::{self, COMMIT_BYTES, HEADER_BYTES, Kind, MAC_BYTES};
use crate::keys::Keys;
use crate::note::Checkpoint;
use crate::options::Options;
use crate::private;
use crate::scan::{Scan, scan_on, segment_path};
use crate::tiles;
use crate::tree::{Hash, Tree};

/// More than this behind the last checkpoint is no longer a tail.
const TAIL_BYTES_MAX: u64 = 1024 * 1024;
/// The list of open logs is never larger; a longer one is read from the index.
const LIST_BYTES_MAX: u64 = 1024 * 1024;
/// What the list's signature is about, besides its bytes.
const LIST_LABEL: &[u8] = b"interlock-ledger/1 open\n";
/// A whole commit mark, which stands before every checkpoint of an index.
const MARK_BYTES: u64 = (HEADER_BYTES + COMMIT_BYTES + MAC_BYTES) as u64;

/// The logs that the index says are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// Opened and not closed, the oldest first.
    pub(crate) logs: Vec<String>,
    /// Those of them that were found damaged: no start tries them again, `recover` does.
    pub(crate) damaged: Vec<String>,
}

impl Open {
    /// Keeps in step with one entry of the index.
    pub(crate) fn follow(&mut self, entry: &[u8]) {
        let Ok(entry) = serde_json::from_slice::<Value>(entry) else { return };
        let (kind, name) = (entry.get("type").and_then(Value::as_str), entry.get("log").and_then(Value::as_str));
        if let (Some(kind), Some(name)) = (kind, name) {
            self.enter(kind, name);
        }
    }

    /// As `follow`, for an entry that is being made.
    pub(crate) fn enter(&mut self, kind: &str, name: &str) {
        match kind {
            "index.opened" => self.logs.push(name.into()),
            "index.closed" => {
                self.logs.retain(|other| other != name);
                self.damaged.retain(|other| other != name);
            }
            _ => {}
        }
    }

    /// Keeps the list beside the index, for the index of this size and root. Not synced: what is lost is made again from the index.
    pub(crate) fn keep(&self, index: &Path, keys: &Keys, size: u64, root: &Hash) {
        let said = json!({"damaged": self.damaged, "open": self.logs, "root": BASE64.encode(root), "size": size});
        let text = said.to_string();
        let signature = keys.signing.sign(&[LIST_LABEL, text.as_bytes()].concat());
        let kept = format!("{text}\n{}\n", BASE64.encode(signature.to_bytes()));
        if kept.len() as u64 <= LIST_BYTES_MAX {
            let _ = private::replace_unsynced(&list_path(index), kept.as_bytes());
        }
    }

    fn kept(index: &Path, keys: &Keys, at: &Checkpoint) -> Option<Self> {
        let bytes = private::read_up_to(&list_path(index), LIST_BYTES_MAX).ok()?;
        let (text, signature) = std::str::from_utf8(&bytes).ok()?.strip_suffix('\n')?.split_once('\n')?;
        let signature = Signature::from_slice(&BASE64.decode(signature).ok()?).ok()?;
        keys.signing.verifying_key().verify_strict(&[LIST_LABEL, text.as_bytes()].concat(), &signature).ok()?;
        let said: Value = serde_json::from_str(text).ok()?;
        let here = said.get("size")?.as_u64()? == at.size && said.get("root")?.as_str()? == BASE64.encode(at.root);
        let names =
            |key: &str| -> Option<Vec<String>> { said.get(key)?.as_array()?.iter().map(|name| name.as_str().map(String::from)).collect() };
        here.then_some(Self { logs: names("open")?, damaged: names("damaged")? })
    }
}

/// `index.open`, beside the index's directory, which holds nothing but the log.
fn list_path(index: &Path) -> PathBuf {
    index.with_extension("open")
}

/// Where the index stands and which logs it says are open; none when only reading all of it can tell.
pub(crate) fn resume(options: &Options) -> Option<(Scan, Open)> {
    let key = options.keys.signing.verifying_key();
    let note = private::read(options.memory.as_ref()?).ok()?;
    let at = Checkpoint::open(std::str::from_utf8(&note).ok()?, &options.origin, &key).ok()?;
    let mut open = Open::kept(&options.directory, &options.keys, &at)?;
    let edge = |level, index, width| tiles::partial(&options.directory, level, index, width);
    let tree = Tree::restored(at.size, edge).filter(|tree| tree.root() == at.root)?;
    let (segment, bytes_before, position) = place(&options.directory, at.bytes)?;
    let bytes = tail(&segment_path(&options.directory, segment), position.checked_sub(MARK_BYTES)?)?;
    let (mark, behind) = bytes.split_at_checked(usize::try_from(MARK_BYTES).ok()?)?;
    let epochs = epochs_after(mark, at.size)?;
    let signed = frame::parse(behind).ok().filter(|frame| frame.kind == Kind::Checkpoint && frame.payload == note)?;
    let chain = Sha256::new().chain_update(at.chain).chain_update(signed.bytes);
    let offset = position + signed.bytes.len() as u64;
    let scan = Scan::standing(tree, epochs, (segment, bytes_before, offset), chain, at);
    let rest = behind.get(signed.bytes.len()..)?;
    let scan = scan_on(scan, options, rest, &mut |entry| open.follow(entry)).ok()?;
    (scan.torn_bytes == 0).then_some((scan, open))
}

/// The segment that holds byte `at` of the log, the bytes before that segment, and the offset in it. It must be the last segment.
fn place(directory: &Path, at: u64) -> Option<(u64, u64, u64)> {
    let (mut number, mut before) = (0, 0_u64);
    loop {
        let length = private::open(&segment_path(directory, number), false).ok()?.metadata().ok()?.len();
        if at < before + length {
            return (!segment_path(directory, number + 1).exists()).then_some((number, before, at - before));
        }
        before += length;
        number += 1;
    }
}

/// A file's bytes from `from` on, if they are few.
fn tail(path: &Path, from: u64) -> Option<Vec<u8>> {
    let mut file = private::open(path, false).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= TAIL_BYTES_MAX).then_some(bytes)
}

/// The number of the next epoch, from the mark of a batch that ended with `size` records.
fn epochs_after(mark: &[u8], size: u64) -> Option<u64> {
    let frame = frame::parse(mark).ok().filter(|frame| frame.kind == Kind::Commit)?;
    let epoch = u64::from_be_bytes(*frame.payload.first_chunk::<8>()?);
    (frame.payload == frame::commit(epoch, size)).then_some(epoch + 1)
}
