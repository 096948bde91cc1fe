//! C2SP signed note and tlog-checkpoint: `origin, size, root`, two extension lines, an Ed25519 signature named after the origin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::tree::Hash;

/// Signature algorithm byte of Ed25519 in a C2SP note.
const ED25519: u8 = 1;

/// The head of a log at some moment, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Records in the tree.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
    /// Bytes of all segments before the frame that holds this checkpoint.
    pub bytes: u64,
    /// Hash chained over every one of those bytes (spec/ledger.md).
    pub chain: Hash,
    /// RFC 3339.
    pub time: String,
    /// Boot clock, nanoseconds.
    pub tick: u64,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\ninterlock-log {} {}\ninterlock-time {} {}\n",
            self.origin,
            self.size,
            BASE64.encode(self.root),
            self.bytes,
            BASE64.encode(self.chain),
            self.time,
            self.tick
        )
    }

    /// The whole note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let mut blob = key_hash(&self.origin, &key.verifying_key()).to_vec();
        blob.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {} {}\n", self.origin, BASE64.encode(blob))
    }

    /// Reads a note and checks its signature.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn open(note: &str, origin: &str, key: &VerifyingKey) -> Result<Self, &'static str> {
        let (text, signature) = note.split_once("\n\n").ok_or("a note without a signature")?;
        let text = format!("{text}\n");
        let encoded = signature.strip_prefix(&format!("\u{2014} {origin} ")).and_then(|rest| rest.strip_suffix('\n'));
        let blob = BASE64.decode(encoded.ok_or("a note signed by another name")?).map_err(|_| "a signature that is not base64")?;
        let (id, signature) = blob.split_first_chunk::<4>().ok_or("a signature that is too short")?;
        if *id != key_hash(origin, key) {
            return Err("a note signed by another key");
        }
        let signature = Signature::from_slice(signature).map_err(|_| "a signature of the wrong length")?;
        key.verify_strict(text.as_bytes(), &signature).map_err(|_| "a signature that does not verify")?;
        let checkpoint = Self::parse(&text).ok_or("a checkpoint of unknown form")?;
        if checkpoint.origin == origin && checkpoint.text() == text { Ok(checkpoint) } else { Err("a checkpoint of another log") }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let (bytes, chain) = lines.next()?.strip_prefix("interlock-log ")?.split_once(' ')?;
        let (time, tick) = lines.next()?.strip_prefix("interlock-time ")?.split_once(' ')?;
        let hash = |text: &str| BASE64.decode(text).ok()?.try_into().ok();
        Some(Self {
            origin: origin.into(),
            size: size.parse().ok()?,
            root: hash(root)?,
            bytes: bytes.parse().ok()?,
            chain: hash(chain)?,
            time: time.into(),
            tick: tick.parse().ok()?,
        })
    }
}

/// C2SP signed-note: the first four bytes of SHA-256(name ‖ "\n" ‖ algorithm ‖ key).
fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
    let mut id = [0; 4];
    id.copy_from_slice(digest.get(..4).unwrap_or(&[0; 4]));
    id
}

/// The verifier key of a log in C2SP's text form, `name+hash+base64(algorithm ‖ key)`.
#[must_use]
pub fn verifier_key(name: &str, key: &VerifyingKey) -> String {
    let id: String = key_hash(name, key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}+{id}+{}", BASE64.encode([&[ED25519], key.as_bytes().as_slice()].concat()))
}
