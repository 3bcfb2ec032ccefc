//! The list of revoked tokens.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::entry::{Revocation, Target, after_epoch};
use super::fingerprint::{Fingerprint, IdHasher, TokenIds};
use super::seconds;
use super::slower_clock::SlowerClock;
use super::table::Table;
use crate::sync::RwLock;

/// The hashed IDs by which a token may be revoked. The default has none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Revocable {
    token: Option<Fingerprint>,
    session: Option<Fingerprint>,
    subject: Option<Fingerprint>,
    /// In milliseconds since 1970.
    issued_at: u64,
}

impl Revocable {
    /// Returns true if the token can be revoked by one of its IDs.
    pub(crate) fn has_id(&self) -> bool {
        self.token.is_some() || self.session.is_some() || self.subject.is_some()
    }

    /// Returns the `iat` of the token. A token without `iat` counts as the oldest.
    pub(crate) fn issued_at(&self) -> SystemTime {
        after_epoch(Duration::from_millis(self.issued_at))
    }
}

pub(crate) struct RevocationList {
    hasher: IdHasher,
    tokens: Table<()>,
    sessions: Table<()>,
    /// Maps each subject to its latest revoked `iat`, in milliseconds since 1970.
    subjects: Table<u64>,
    /// How long entries stay after they have expired, in seconds.
    beyond_expiry: AtomicU64,
    /// A clock that jumps ahead for a while must not remove entries.
    slower_clock: SlowerClock,
    /// Replaces the system's clock.
    clock: RwLock<Option<Clock>>,
}

pub(crate) type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

impl RevocationList {
    pub(super) fn new() -> Self {
        Self {
            hasher: IdHasher::new(),
            tokens: Table::default(),
            sessions: Table::default(),
            subjects: Table::default(),
            // Longer than clocks differ: a list is usually read before there is a verifier with a leeway.
            beyond_expiry: AtomicU64::new(3600),
            slower_clock: SlowerClock::start(),
            clock: RwLock::default(),
        }
    }

    pub(super) fn hold_beyond_expiry(&self, seconds: u64) {
        self.beyond_expiry.fetch_max(seconds, Ordering::Relaxed);
    }

    pub(super) fn set_clock(&self, clock: Clock) {
        *self.clock.write().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }

    /// Returns the time in seconds since 1970.
    pub(super) fn now(&self) -> u32 {
        seconds(self.set_time().unwrap_or_else(|| self.slower_clock.now()))
    }

    /// Returns the time of the clock, for the times in new entries.
    pub(super) fn time(&self) -> SystemTime {
        self.set_time().unwrap_or_else(SystemTime::now)
    }

    fn set_time(&self) -> Option<SystemTime> {
        self.clock.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|clock| clock())
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len() + self.sessions.len() + self.subjects.len()
    }

    /// Adds an entry, and removes some that have expired.
    ///
    /// The entry is held for an hour at least. It seems to have expired if the clock was ahead when the process began.
    pub(super) fn add(&self, revocation: &Revocation, now: u32) {
        let hasher = self.hasher.with_issuer(revocation.issuer());
        let expiry = revocation.expiry_second().max(now);
        match revocation.target() {
            Target::Token { jti } => self.tokens.insert(hasher.fingerprint(jti), expiry, ()),
            Target::Session { sid } => self.sessions.insert(hasher.fingerprint(sid), expiry, ()),
            Target::Subject { sub, issued_until } => {
                self.subjects.insert(hasher.fingerprint(sub), expiry, *issued_until);
            }
        }
        let oldest = self.oldest_expiry(now);
        self.tokens.sweep(now, oldest);
        self.sessions.sweep(now, oldest);
        self.subjects.sweep(now, oldest);
    }

    /// Adds an entry from the store, unless it no longer matters.
    #[cfg(feature = "shared-revocations")]
    pub(super) fn add_unless_over(&self, revocation: &Revocation, now: u32) {
        if !self.is_over(revocation, now) {
            self.add(revocation, now);
        }
    }

    /// Returns true if an entry no longer matters.
    #[cfg(feature = "shared-revocations")]
    pub(super) fn is_over(&self, revocation: &Revocation, now: u32) -> bool {
        revocation.expiry_second() < self.oldest_expiry(now)
    }

    /// Returns the limit: entries that expired earlier no longer matter.
    fn oldest_expiry(&self, now: u32) -> u32 {
        let beyond = self.beyond_expiry.load(Ordering::Relaxed);
        now.saturating_sub(beyond.try_into().unwrap_or(u32::MAX))
    }

    /// Hashes the IDs of a token.
    pub(super) fn revocable(&self, ids: &TokenIds<'_>) -> Revocable {
        let hasher = self.hasher.with_issuer(ids.issuer);
        let hash = |id: &str| hasher.fingerprint(id);
        Revocable {
            token: ids.token.map(hash),
            session: ids.session.map(hash),
            subject: ids.subject.map(hash),
            issued_at: ids.issued_at_millis(),
        }
    }

    /// Returns true if the entry revokes this token.
    pub(super) fn is_about(&self, revocation: &Revocation, token: &Revocable) -> bool {
        let hasher = self.hasher.with_issuer(revocation.issuer());
        let is = |id: &str, held: Option<Fingerprint>| held == Some(hasher.fingerprint(id));
        match revocation.target() {
            Target::Token { jti } => is(jti, token.token),
            Target::Session { sid } => is(sid, token.session),
            Target::Subject { sub, issued_until } => {
                is(sub, token.subject) && token.issued_at <= *issued_until
            }
        }
    }

    #[inline]
    pub(super) fn contains(&self, token: &Revocable) -> bool {
        token.token.is_some_and(|id| self.tokens.contains(id, ()))
            || token.session.is_some_and(|id| self.sessions.contains(id, ()))
            || token.subject.is_some_and(|id| self.subjects.contains(id, token.issued_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each cached token has one, so its size matters.
    #[test]
    fn revocable_is_small() {
        assert_eq!(size_of::<Revocable>(), 56);
    }
}
