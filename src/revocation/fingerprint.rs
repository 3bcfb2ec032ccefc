//! The IDs that tokens can be revoked by, and their fingerprints.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroU64;

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use crate::registered::NumericDate;

/// The claims that a token can be revoked by.
#[derive(Debug, Default)]
pub(crate) struct TokenIds<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) issued_at: Option<NumericDate>,
}

impl TokenIds<'_> {
    /// Returns `iat` in milliseconds since 1970. A token without `iat` counts as the oldest.
    pub(super) fn issued_at_millis(&self) -> u64 {
        self.issued_at.map_or(0, |date| date.since_epoch().as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// An issuer and an ID, hashed to 128 bits with a secret random key, so that nobody can construct a collision.
///
/// Aligned to 4 bytes, so that an entry of the list needs no padding. Never zero, so that `None` needs no space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Fingerprint(NonZeroU64, u64);

impl Fingerprint {
    /// Selects one of `count` shards, by bits that the table inside the shard does not use.
    pub(super) fn shard(self, count: usize) -> usize {
        (self.1 % count as u64) as usize
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.get());
    }
}

/// Hashes IDs with a random key. Each list has a different one.
pub(super) struct IdHasher(SipHasher13);

impl IdHasher {
    pub(super) fn new() -> Self {
        // A new `RandomState` draws on the operating system's random numbers.
        let random = || RandomState::new().build_hasher().finish();
        Self(SipHasher13::new_with_keys(random(), random()))
    }

    /// Hashes the issuer once for all IDs of a token.
    pub(super) fn with_issuer(&self, issuer: &str) -> Self {
        let mut hasher = self.0;
        hasher.write(issuer.as_bytes());
        // No string contains this byte, so it separates the issuer from the ID.
        hasher.write_u8(0xff);
        Self(hasher)
    }

    pub(super) fn fingerprint(&self, id: &str) -> Fingerprint {
        let mut hasher = self.0;
        hasher.write(id.as_bytes());
        let Hash128 { h1, h2 } = hasher.finish128();
        Fingerprint(NonZeroU64::new(h1).unwrap_or(NonZeroU64::MIN), h2)
    }
}
