//! The forward-secure MAC: a key for each batch, each derived from the one before, which is wiped.
//!
//! Whoever takes the machine at some moment finds only the key of that moment. The first key goes, sealed, to the auditor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Label of the sealing; changes with the format.
const SEAL: &[u8] = b"interlock-ledger/1 seal";

/// The key of one epoch.
pub struct EpochKey {
    key: Zeroizing<[u8; 32]>,
    keyed: Hmac<Sha256>,
}

impl EpochKey {
    fn new(key: Zeroizing<[u8; 32]>) -> Result<Self> {
        let keyed = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_slice()).map_err(|_| Error::Key("cannot key the MAC".into()))?;
        Ok(Self { key, keyed })
    }

    /// A fresh K(0).
    ///
    /// # Errors
    /// The kernel's random source failed.
    pub fn fresh() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|error| Error::Key(format!("no random bytes: {error}")))?;
        Self::new(key)
    }

    /// HMAC-SHA-256 over where a frame stands and what it says, so that no frame can be moved.
    #[must_use]
    pub fn seal(&self, segment: u64, offset: u64, header: &[u8], payload: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(&segment.to_be_bytes());
        mac.update(&offset.to_be_bytes());
        mac.update(header);
        mac.update(payload);
        mac.finalize().into_bytes().into()
    }

    /// K(e+1) = HMAC(K(e), "evolve"). The old key is wiped when the old value is dropped.
    ///
    /// # Errors
    /// None in practice; a key of 32 bytes is always taken.
    pub fn evolve(&self) -> Result<Self> {
        let mut mac = self.keyed.clone();
        mac.update(b"evolve");
        Self::new(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    /// This key, readable by the auditor alone: base64 of an ephemeral X25519 public key and ChaCha20-Poly1305 of the key.
    ///
    /// The cipher's key is HKDF-SHA-256(salt = both public keys, secret = X25519, info = label), used once, so the nonce is zero.
    /// `origin` is authenticated: a sealed key cannot be moved to another log.
    ///
    /// # Errors
    /// The auditor's key is of small order, or no random bytes.
    pub fn sealed_to(&self, auditor: &[u8; 32], origin: &str) -> Result<String> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|error| Error::Key(format!("no random bytes: {error}")))?;
        let ephemeral = StaticSecret::from(*secret);
        let public = PublicKey::from(&ephemeral).to_bytes();
        let shared = ephemeral.diffie_hellman(&PublicKey::from(*auditor));
        if !shared.was_contributory() {
            return Err(Error::Key("the auditor's public key is of small order".into()));
        }
        let salt = [public, *auditor].concat();
        let mut cipher_key = Zeroizing::new([0; 32]);
        let failed = |_| Error::Key("cannot seal the MAC key".into());
        Hkdf::<Sha256>::new(Some(&salt), shared.as_bytes()).expand(SEAL, cipher_key.as_mut_slice()).map_err(failed)?;
        let cipher = ChaCha20Poly1305::new_from_slice(cipher_key.as_slice()).map_err(|_| Error::Key("cannot seal the MAC key".into()))?;
        let message = Payload { msg: self.key.as_slice(), aad: origin.as_bytes() };
        let sealed = cipher.encrypt(&[0; 12].into(), message).map_err(|_| Error::Key("cannot seal the MAC key".into()))?;
        Ok(BASE64.encode([public.as_slice(), &sealed].concat()))
    }
}
