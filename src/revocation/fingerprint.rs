//! The names that a token can be revoked by, and what is held in place of them.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use siphasher::sip128::{Hash128, SipHasher13};
use smallvec::SmallVec;

use super::bit_filter::Mark;
use crate::registered::NumericDate;

/// What a token can be revoked by.
#[derive(Debug, Default)]
pub(crate) struct Identity<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) issued_at: Option<NumericDate>,
}

/// Which claim names a token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Token,
    Session,
    Subject,
}

impl Name {
    pub(crate) const ALL: [Self; 3] = [Self::Token, Self::Session, Self::Subject];
}

impl Identity<'_> {
    pub(super) fn value(&self, name: Name) -> Option<&str> {
        match name {
            Name::Token => self.token,
            Name::Session => self.session,
            Name::Subject => self.subject,
        }
    }

    /// In milliseconds since 1970. A token that does not say when it was issued may be as old as any.
    pub(super) fn issued_at_millis(&self) -> u64 {
        self.issued_at.map_or(0, |date| date.since_epoch().as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// A name of a token, hashed with a key that nobody outside knows, so that no two can be made to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(2))]
pub(super) struct Fingerprint(u64, u64);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// What is held of a name: by the mark most are told apart, by the fingerprint all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Print {
    pub(super) mark: Mark,
    pub(super) fingerprint: Fingerprint,
}

/// What makes prints of names, and no other makes the same.
pub(super) struct Printer {
    /// A hasher that has been given its key.
    keyed: SipHasher13,
    seed: u64,
}

impl Printer {
    pub(super) fn new() -> Self {
        // Keyed by the operating system's random numbers.
        let random = || RandomState::new().build_hasher().finish();
        Self { keyed: SipHasher13::new_with_keys(random(), random()), seed: random() }
    }

    pub(super) fn print(&self, issuer: &str, name: Name, value: &str) -> Print {
        Print { mark: self.mark(name, value), fingerprint: self.fingerprint(issuer, name, value) }
    }

    #[inline]
    pub(super) fn mark(&self, name: Name, value: &str) -> Mark {
        Mark::of(self.seed ^ name as u64, value.as_bytes())
    }

    pub(super) fn fingerprint(&self, issuer: &str, name: Name, value: &str) -> Fingerprint {
        // Hashed at once, which is twice as fast as part by part.
        let mut text = SmallVec::<[u8; 256]>::with_capacity(issuer.len() + 2 + value.len());
        text.extend_from_slice(issuer.as_bytes());
        // No string has it, so that no other issuer and value are written alike.
        text.extend_from_slice(&[0xff, name as u8]);
        text.extend_from_slice(value.as_bytes());
        let Hash128 { h1, h2 } = self.keyed.hash(&text);
        Fingerprint(h1, h2)
    }
}
