//! The conditions of a verdict.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::crypto::Fingerprint;
use crate::revocation::Revocable;

/// The conditions under which a token was accepted. The cache checks them again at each hit.
///
/// They are kept beside the claims, so that a hit touches as few cache lines as possible.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// The [ID](unique_id) of the rules that accepted it.
    pub(crate) rules: u64,
    /// The [ID](unique_id) of the key set. In another set, the key is known by `signer`.
    pub(crate) keys: u64,
    /// When it was accepted, since 1970.
    pub(crate) judged_at: Duration,
    /// Its `exp`, since 1970.
    pub(crate) expires_at: Duration,
    /// The key that signed it.
    pub(crate) signer: Fingerprint,
    /// The IDs by which it may be revoked later.
    pub(crate) revocable: Revocable,
}

/// Returns a number that this process has not given out before. It is not 0.
pub(crate) fn unique_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
