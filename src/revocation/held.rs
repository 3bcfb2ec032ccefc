//! What is revoked, as fingerprints in a table of many parts, so that growing one holds up nobody for long.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use siphasher::sip128::{Hash128, SipHasher13};
use smallvec::SmallVec;

use super::{Identity, Name};

/// A name of a token, hashed with a key that nobody outside knows, so that no two can be made to have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fingerprint(u64, u64);

impl Fingerprint {
    /// Of a name that a token has not.
    const NONE: Self = Self(0, 0);
}

type Table<V> = HashMap<Fingerprint, V, BuildHasherDefault<AsItIs>>;

/// All names of a token by which it may have been revoked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Revocable {
    token: Fingerprint,
    session: Fingerprint,
    subject: Fingerprint,
    /// In milliseconds since 1970; 0 if it is not known.
    issued_at: u64,
}

pub(crate) struct Held {
    /// A hasher that has been given its key.
    keyed: SipHasher13,
    parts: Box<[RwLock<Part>]>,
    /// How many entries there are of each sort, so that where there are none nothing has to be hashed or looked up.
    counts: [AtomicUsize; 3],
    /// How much longer than the tokens that they name entries stay, in seconds.
    beyond_expiry: AtomicU64,
    /// The part that is looked through next for what has expired.
    next: AtomicUsize,
}

#[derive(Default)]
struct Part {
    /// Until when they are held, in seconds since 1970.
    tokens: Table<u32>,
    sessions: Table<u32>,
    /// Up to which `iat`, in milliseconds since 1970; and the same.
    subjects: Table<(u64, u32)>,
    /// When it was looked through last.
    looked_through: u32,
}

/// With a million entries each has four thousand, which are copied in some 30 us when it grows.
const PARTS: usize = 256;

/// How often a part is looked through at most, in seconds.
const PAUSE: u32 = 60;

impl Held {
    pub(super) fn new() -> Self {
        // Keyed by the operating system's random numbers.
        let random = || RandomState::new().build_hasher().finish();
        Self {
            keyed: SipHasher13::new_with_keys(random(), random()),
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            counts: Default::default(),
            // More than clocks are apart: a list is read, as a rule, before there is a verifier with a leeway.
            beyond_expiry: AtomicU64::new(3600),
            next: AtomicUsize::new(0),
        }
    }

    pub(super) fn hold_beyond_expiry(&self, seconds: u64) {
        self.beyond_expiry.fetch_max(seconds, Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn revoke_token(&self, issuer: &str, jti: &str, expiry: u32, now: u32) {
        let token = self.fingerprint(issuer, Name::Token, jti);
        self.change(self.part_of(&token), |part| prolong(&mut part.tokens, token, expiry));
        self.forget_some(now);
    }

    pub(super) fn revoke_session(&self, issuer: &str, sid: &str, expiry: u32, now: u32) {
        let session = self.fingerprint(issuer, Name::Session, sid);
        self.change(self.part_of(&session), |part| prolong(&mut part.sessions, session, expiry));
        self.forget_some(now);
    }

    pub(super) fn revoke_subject(&self, issuer: &str, sub: &str, until: u64, expiry: u32, now: u32) {
        let subject = self.fingerprint(issuer, Name::Subject, sub);
        self.change(self.part_of(&subject), |part| {
            let held = part.subjects.entry(subject).or_default();
            *held = (until.max(held.0), expiry.max(held.1));
        });
        self.forget_some(now);
    }

    /// Of a token that may be asked about later.
    pub(super) fn revocable(&self, identity: &Identity<'_>) -> Revocable {
        self.fingerprints(identity, |_| true)
    }

    /// Of a token that is asked about now: what nothing is held of is not hashed.
    #[inline]
    pub(super) fn has(&self, identity: &Identity<'_>) -> bool {
        Name::ALL.into_iter().any(|name| self.holds(name))
            && self.has_revocable(&self.fingerprints(identity, |name| self.holds(name)))
    }

    #[inline]
    pub(super) fn has_revocable(&self, token: &Revocable) -> bool {
        self.has_name(Name::Token, &token.token, |part| part.tokens.contains_key(&token.token))
            || self.has_name(Name::Session, &token.session, |part| part.sessions.contains_key(&token.session))
            || self.has_name(Name::Subject, &token.subject, |part| {
                part.subjects.get(&token.subject).is_some_and(|(until, _)| token.issued_at <= *until)
            })
    }

    #[inline]
    fn has_name(&self, name: Name, fingerprint: &Fingerprint, held: impl FnOnce(&Part) -> bool) -> bool {
        self.holds(name)
            && *fingerprint != Fingerprint::NONE
            && held(&self.part_of(fingerprint).read().unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    fn holds(&self, name: Name) -> bool {
        self.counts[name as usize].load(Ordering::Relaxed) > 0
    }

    fn fingerprints(&self, identity: &Identity<'_>, is_wanted: impl Fn(Name) -> bool) -> Revocable {
        let of = |name, value: Option<&str>| {
            let value = value.filter(|_| is_wanted(name));
            value.map_or(Fingerprint::NONE, |value| self.fingerprint(identity.issuer, name, value))
        };
        Revocable {
            token: of(Name::Token, identity.token),
            session: of(Name::Session, identity.session),
            subject: of(Name::Subject, identity.subject),
            issued_at: identity
                .issued_at
                .map_or(0, |date| date.since_epoch().as_millis().try_into().unwrap_or(u64::MAX)),
        }
    }

    fn fingerprint(&self, issuer: &str, name: Name, value: &str) -> Fingerprint {
        // Hashed at once, which is twice as fast as part by part.
        let mut text = SmallVec::<[u8; 256]>::with_capacity(issuer.len() + 2 + value.len());
        text.extend_from_slice(issuer.as_bytes());
        // No string has it, so that no other issuer and value are written alike.
        text.extend_from_slice(&[0xff, name as u8]);
        text.extend_from_slice(value.as_bytes());
        let Hash128 { h1, h2 } = self.keyed.hash(&text);
        Fingerprint(h1, h2)
    }

    fn part_of(&self, fingerprint: &Fingerprint) -> &RwLock<Part> {
        &self.parts[fingerprint.1 as usize % PARTS]
    }

    fn change(&self, part: &RwLock<Part>, change: impl FnOnce(&mut Part)) {
        let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
        let before = part.lens();
        change(&mut part);
        for ((count, before), after) in self.counts.iter().zip(before).zip(part.lens()) {
            // The difference wraps around where there are fewer, and so does the sum.
            count.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// Looks through one part, each in its turn, for entries whose tokens have expired.
    fn forget_some(&self, now: u32) {
        let beyond = self.beyond_expiry.load(Ordering::Relaxed);
        let is_needed = |expiry: u32| u64::from(expiry).saturating_add(beyond) >= u64::from(now);
        let part = self.next.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.change(&self.parts[part], |part| {
            if part.looked_through.abs_diff(now) >= PAUSE {
                part.tokens.retain(|_, expiry| is_needed(*expiry));
                part.sessions.retain(|_, expiry| is_needed(*expiry));
                part.subjects.retain(|_, (_, expiry)| is_needed(*expiry));
                part.looked_through = now;
            }
        });
    }
}

impl Part {
    /// In the order of [`Name`].
    fn lens(&self) -> [usize; 3] {
        [self.tokens.len(), self.sessions.len(), self.subjects.len()]
    }
}

fn prolong(table: &mut Table<u32>, fingerprint: Fingerprint, expiry: u32) {
    let held = table.entry(fingerprint).or_default();
    *held = expiry.max(*held);
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The other half has chosen the part already.
        state.write_u64(self.0);
    }
}

/// A hasher for what has been hashed.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 << 8 | u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
