//! The conditions under which a token was accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::crypto::Fingerprint;
use crate::observe::About;
use crate::revocation::Revocable;

/// The conditions under which a token was accepted. The cache checks them again at each hit.
///
/// They are next to the claims in memory, so that a hit touches few cache lines.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// The [ID](unique_id) of the rules that accepted the token.
    pub(crate) rules: u64,
    /// The [ID](unique_id) of the key set. `signer` identifies the key in other sets.
    pub(crate) keys: u64,
    /// The time of the verdict, since 1970.
    pub(crate) judged_at: Duration,
    /// The `exp` of the token, since 1970.
    pub(crate) expires_at: Duration,
    /// The key that signed the token, or the stored hash of an API key.
    pub(crate) signer: Fingerprint,
    /// The estimated size of the heap data of the claims. It is set when they are cached.
    pub(crate) heap_bytes: u32,
    /// The IDs by which the token may be revoked later.
    pub(crate) revocable: Revocable,
    /// The facts for logs, if they are not those of the [`TokenInfo`](crate::token::TokenInfo).
    pub(crate) about: About,
}

/// Returns a nonzero number that is unique in this process.
pub(crate) fn unique_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
