//! The keys of clients, so that a key is parsed once.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::binding::Thumbprint;
use crate::verify::key::Key;

/// Keys of proofs by their thumbprint, up to 8 MiB.
pub(super) struct KnownKeys(Cache<Thumbprint, Arc<KnownKey>, Bytes>);

/// A key with the header that presents it. A client sends the same header with every proof.
pub(super) struct KnownKey {
    /// In base64url.
    header: Box<[u8]>,
    key: Key,
}

const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Estimated size of an entry without the header.
const KEY_BYTES: u64 = 1024;
/// The estimated number of entries.
const USUAL_KEYS: usize = 4096;
/// The header of a proof by an RSA key of 4096 bits has about 1,000 characters.
const LONGEST_HEADER: usize = 1536;

impl KnownKeys {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(USUAL_KEYS, MAX_BYTES, Bytes))
    }

    /// Returns the key with this thumbprint, if the last proof with it had the same header.
    pub(super) fn get(&self, thumbprint: &Thumbprint, header: &[u8]) -> Option<Arc<KnownKey>> {
        self.0.get(thumbprint).filter(|known| *known.header == *header)
    }

    /// Remembers a key after it has verified a signature.
    pub(super) fn insert(&self, thumbprint: Thumbprint, known: Arc<KnownKey>) {
        if known.header.len() <= LONGEST_HEADER {
            self.0.insert(thumbprint, known);
        }
    }
}

impl KnownKey {
    pub(super) fn new(header: &[u8], key: Key) -> Self {
        Self { header: header.into(), key }
    }

    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.key.verify(signed, signature)
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Thumbprint, Arc<KnownKey>> for Bytes {
    fn weight(&self, _: &Thumbprint, known: &Arc<KnownKey>) -> u64 {
        known.header.len() as u64 + KEY_BYTES
    }
}
