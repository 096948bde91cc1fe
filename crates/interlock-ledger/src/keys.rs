//! The ledger's keys: an Ed25519 key that signs checkpoints, and the auditor's X25519 key to which MAC keys are sealed.
//!
//! Made at first use; PEM (PKCS#8, SubjectPublicKeyInfo; RFC 8410), so that any tool reads them. The auditor's private half is meant to be
//! moved to another machine. A lost signing key is an error, never a reason to start afresh in silence.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use std::io::Write;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::private;

/// RFC 8410 §7: everything of a PKCS#8 file before the 32 bytes of the key.
const ED25519_PRIVATE: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const X25519_PRIVATE: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20";
/// RFC 8410 §4: everything of a public key file before its 32 bytes.
const ED25519_PUBLIC: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const X25519_PUBLIC: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";

/// What a writer of logs holds.
#[derive(Clone)]
pub struct Keys {
    /// Signs checkpoints.
    pub signing: SigningKey,
    /// The auditor's public key.
    pub auditor: [u8; 32],
    /// Where they are; the signer's memory of the index is kept here too.
    pub directory: PathBuf,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.directory.display())
    }
}

impl Keys {
    /// Reads the keys of `directory`, and makes them when there never were any. Safe to run in several processes at once.
    ///
    /// `index` is the user's index log: when it has content, a missing signing key means that it was lost.
    ///
    /// # Errors
    /// A key was lost, is malformed, or can be read by others.
    pub fn ensure(directory: &Path, index: Option<&Path>) -> Result<Self> {
        private::directory(directory)?;
        let signing_path = directory.join("ledger.ed25519");
        if !signing_path.exists() {
            let used = index.is_some_and(|index| index.join("segment-00000000").exists());
            if used || directory.join("ledger.ed25519.pub").exists() && !signing_path.exists() {
                let what = "the signing key `ledger.ed25519` is gone while logs signed by it exist";
                return Err(Error::Key(format!("{what}; restore it from a copy: a fresh one would start a new history unseen")));
            }
            make(&signing_path, &ED25519_PRIVATE)?;
        }
        let signing = SigningKey::from_bytes(&*read_private(&signing_path, &ED25519_PRIVATE)?);
        write_public(&directory.join("ledger.ed25519.pub"), &ED25519_PUBLIC, signing.verifying_key().as_bytes())?;
        let auditor = auditor(directory)?;
        Ok(Self { signing, auditor, directory: directory.to_path_buf() })
    }

    /// The first 16 hex digits of SHA-256 of the public signing key: names the signer in every origin.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.signing.verifying_key().as_bytes()), 8)
    }

    /// The first 16 hex digits of SHA-256 of the auditor's public key.
    #[must_use]
    pub fn auditor_id(&self) -> String {
        hex(&Sha256::digest(self.auditor), 8)
    }

    /// The origin of a log: what its checkpoints are about and are signed as.
    #[must_use]
    pub fn origin(&self, log: &str) -> String {
        format!("interlock/{}/{log}", self.id())
    }
}

fn hex(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|byte| format!("{byte:02x}")).collect()
}

fn auditor(directory: &Path) -> Result<[u8; 32]> {
    let public_path = directory.join("auditor.x25519.pub");
    let private_path = directory.join("auditor.x25519");
    if !public_path.exists() {
        if !private_path.exists() {
            make(&private_path, &X25519_PRIVATE)?;
        }
        let secret = StaticSecret::from(*read_private(&private_path, &X25519_PRIVATE)?);
        write_public(&public_path, &X25519_PUBLIC, PublicKey::from(&secret).as_bytes())?;
    }
    let der = unwrap_pem(&private::read(&public_path)?, "PUBLIC KEY", &public_path)?;
    let raw = der.strip_prefix(X25519_PUBLIC.as_slice()).and_then(|raw| raw.try_into().ok());
    raw.ok_or_else(|| Error::Key(format!("`{}` is not an X25519 public key", public_path.display())))
}

/// Makes a private key under a name of its own and links it into place: of several makers one wins, and none is ever half written.
fn make(path: &Path, prefix: &[u8; 16]) -> Result<()> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| Error::Key(format!("no random bytes: {error}")))?;
    let der = Zeroizing::new([prefix.as_slice(), secret.as_slice()].concat());
    place(path, &pem("PRIVATE KEY", &der))
}

fn write_public(path: &Path, prefix: &[u8; 12], raw: &[u8; 32]) -> Result<()> {
    let text = pem("PUBLIC KEY", &[prefix.as_slice(), raw].concat());
    if !path.exists() {
        place(path, &text)?;
    }
    if private::read(path)? == text.as_bytes() {
        return Ok(());
    }
    Err(Error::Key(format!("`{}` is not the public half of the private key beside it", path.display())))
}

fn place(path: &Path, text: &str) -> Result<()> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| Error::Key(format!("no random bytes: {error}")))?;
    let beside = path.with_extension(format!("new-{}", hex(&nonce, 8)));
    let mut file = private::create(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| Error::io("write", &beside, &e));
    let linked = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("name", path, &error)),
        _ => Ok(()),
    });
    let _ = fs::remove_file(&beside);
    linked?;
    path.parent().map_or(Ok(()), private::sync_directory)
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
}

fn unwrap_pem(bytes: &[u8], label: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    let body = text.strip_prefix(&format!("-----BEGIN {label}-----")).and_then(|rest| rest.strip_suffix(&format!("-----END {label}-----")));
    let packed: String = body.unwrap_or_default().split_whitespace().collect();
    let der = BASE64.decode(packed).unwrap_or_default();
    if der.is_empty() { Err(Error::Key(format!("`{}` is not a PEM {label}", path.display()))) } else { Ok(Zeroizing::new(der)) }
}

fn read_private(path: &Path, prefix: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>> {
    use std::os::unix::fs::MetadataExt;
    let is = fs::symlink_metadata(path).map_err(|e| Error::io("look at", path, &e))?;
    if is.mode() & 0o077 != 0 {
        return Err(Error::Key(format!("`{}` can be read by others; its mode must be 0600", path.display())));
    }
    let bytes = Zeroizing::new(private::read(path)?);
    let der = unwrap_pem(&bytes, "PRIVATE KEY", path)?;
    let raw = der.strip_prefix(prefix.as_slice()).and_then(|raw| <[u8; 32]>::try_from(raw).ok());
    raw.map(Zeroizing::new).ok_or_else(|| Error::Key(format!("`{}` is not a key of the kind its name says", path.display())))
}
