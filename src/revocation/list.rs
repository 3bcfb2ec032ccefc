//! The list of what is revoked: fingerprints in a table of many parts, so that growing one part blocks nobody for long.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use super::bit_filter::{BitFilter, FilterBit, PARTS};
use super::entry::{Revocation, Target};
use super::fingerprint::{Fingerprint, HashedId, IdHasher, IdKind, TokenIds};
use super::seconds;
use crate::observe;
use crate::sync::RwLock;

type Table<V> = HashMap<Fingerprint, V, BuildHasherDefault<AsItIs>>;

/// The hashed IDs of a token, by any of which it may be revoked later.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Revocable {
    ids: [Option<HashedId>; IdKind::ALL.len()],
    /// In milliseconds since 1970.
    issued_at: u64,
}

pub(crate) struct RevocationList {
    hasher: IdHasher,
    filter: BitFilter,
    parts: Box<[RwLock<Part>]>,
    /// How many entries there are of each sort, so that where there are none nothing has to be looked up.
    counts: [AtomicUsize; IdKind::ALL.len()],
    /// How much longer than the tokens that they name entries stay, in seconds.
    beyond_expiry: AtomicU64,
    /// The part that is looked through next for what has expired.
    next: AtomicUsize,
    /// When it was made, by two clocks.
    began: (SystemTime, Instant),
    /// In place of the system's clock.
    clock: RwLock<Option<Clock>>,
}

pub(crate) type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

#[derive(Default)]
struct Part {
    tokens: Table<Entry>,
    sessions: Table<Entry>,
    subjects: Table<SubjectEntry>,
    /// When it was looked through last.
    looked_through: u32,
}

/// Packed, or a third of a table would be padding.
#[derive(Clone, Copy)]
#[repr(Rust, packed(2))]
struct Entry {
    /// Until when it is held, in seconds since 1970.
    expiry: u32,
    /// Its bit within the part.
    bit: u16,
}

/// The same, with the `iat` up to which the subject is revoked, in milliseconds since 1970.
#[derive(Clone, Copy)]
#[repr(Rust, packed(2))]
struct SubjectEntry {
    entry: Entry,
    until: u64,
}

/// How often a part is looked through at most, in seconds.
const PAUSE: u32 = 60;

impl RevocationList {
    pub(super) fn new() -> Self {
        Self {
            hasher: IdHasher::new(),
            filter: BitFilter::default(),
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            counts: Default::default(),
            // More than clocks are apart: a list is read, as a rule, before there is a verifier with a leeway.
            beyond_expiry: AtomicU64::new(3600),
            next: AtomicUsize::new(0),
            began: (SystemTime::now(), Instant::now()),
            clock: RwLock::default(),
        }
    }

    pub(super) fn hold_beyond_expiry(&self, seconds: u64) {
        self.beyond_expiry.fetch_max(seconds, Ordering::Relaxed);
    }

    pub(super) fn set_clock(&self, clock: Clock) {
        *self.clock.write().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }

    /// In seconds since 1970. Never later than what has passed since the list was made: a clock that is put ahead for a while must
    /// not have anything forgotten.
    pub(super) fn now(&self) -> u32 {
        match &*self.clock.read().unwrap_or_else(PoisonError::into_inner) {
            Some(clock) => seconds(clock()),
            None => seconds(SystemTime::now().min(self.began.0 + self.began.1.elapsed())),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn add(&self, revocation: &Revocation, now: u32) {
        let (kind, value) = revocation.id();
        let id = self.hasher.hash(revocation.issuer(), kind, value);
        let entry = Entry { expiry: revocation.expiry_second(), bit: id.filter_bit.bit() };
        self.change(id.filter_bit.part(), |part| {
            match revocation.target() {
                Target::Token { .. } => prolong(&mut part.tokens, id.fingerprint, entry),
                Target::Session { .. } => prolong(&mut part.sessions, id.fingerprint, entry),
                Target::Subject { issued_until, .. } => {
                    let until = *issued_until;
                    let held = part.subjects.entry(id.fingerprint).or_insert(SubjectEntry { entry, until });
                    *held = SubjectEntry { entry: held.entry.or_later(entry), until: until.max(held.until) };
                }
            }
            // While the part is locked, or clearing its bits could miss this one.
            self.filter.add(id.filter_bit);
        });
        self.forget_some(now);
    }

    /// The same for what comes from elsewhere, where it may lie about for longer than it matters.
    #[cfg(feature = "shared-revocations")]
    pub(super) fn add_unless_over(&self, revocation: &Revocation, now: u32) {
        if !self.is_over(revocation, now) {
            self.add(revocation, now);
        }
    }

    /// Whether an entry does not matter any more.
    #[cfg(feature = "shared-revocations")]
    pub(super) fn is_over(&self, revocation: &Revocation, now: u32) -> bool {
        let beyond = self.beyond_expiry.load(Ordering::Relaxed);
        u64::from(revocation.expiry_second()).saturating_add(beyond) < u64::from(now)
    }

    /// Of a token that may be asked about later.
    pub(super) fn revocable(&self, ids: &TokenIds<'_>) -> Revocable {
        let id = |kind| Some(self.hasher.hash(ids.issuer, kind, ids.value(kind)?));
        Revocable { ids: IdKind::ALL.map(id), issued_at: ids.issued_at_millis() }
    }

    /// Of a token that is asked about now: what is certainly not held is not hashed.
    #[inline]
    pub(super) fn contains(&self, ids: &TokenIds<'_>) -> bool {
        // All places first, so that the processor fetches them together.
        let bits = IdKind::ALL.map(|kind| {
            let value = ids.value(kind).filter(|_| self.holds(kind))?;
            Some(self.hasher.filter_bit(kind, value))
        });
        let is_set = |bit: Option<FilterBit>| bit.is_some_and(|bit| self.filter.contains(bit));
        let [token, session, subject] = bits.map(is_set);
        (token | session | subject) && self.has_revocable(&self.revocable(ids))
    }

    #[inline]
    pub(super) fn has_revocable(&self, token: &Revocable) -> bool {
        IdKind::ALL.into_iter().zip(token.ids).any(|(kind, id)| {
            id.is_some_and(|id| {
                self.holds(kind)
                    && self.filter.contains(id.filter_bit)
                    && self.holds_id(kind, id, token.issued_at)
            })
        })
    }

    /// Whether it is really held.
    #[cold]
    fn holds_id(&self, kind: IdKind, id: HashedId, issued_at: u64) -> bool {
        let part = self.parts[id.filter_bit.part()].read().unwrap_or_else(PoisonError::into_inner);
        match kind {
            IdKind::Token => part.tokens.contains_key(&id.fingerprint),
            IdKind::Session => part.sessions.contains_key(&id.fingerprint),
            IdKind::Subject => part.subjects.get(&id.fingerprint).is_some_and(|held| issued_at <= held.until),
        }
    }

    #[inline]
    fn holds(&self, kind: IdKind) -> bool {
        self.counts[kind as usize].load(Ordering::Relaxed) > 0
    }

    fn change(&self, part: usize, change: impl FnOnce(&mut Part)) {
        let mut part = self.parts[part].write().unwrap_or_else(PoisonError::into_inner);
        let before = part.lens();
        change(&mut part);
        let mut more_in_all = 0_usize;
        for ((count, before), after) in self.counts.iter().zip(before).zip(part.lens()) {
            // The difference wraps around where there are fewer, and so does the sum.
            let more = after.wrapping_sub(before);
            count.fetch_add(more, Ordering::Relaxed);
            more_in_all = more_in_all.wrapping_add(more);
        }
        drop(part);
        observe::revocations_held(more_in_all as isize);
    }

    /// Looks through one part, each in its turn, for entries whose tokens have expired.
    fn forget_some(&self, now: u32) {
        let beyond = self.beyond_expiry.load(Ordering::Relaxed);
        let is_needed = |entry: Entry| u64::from(entry.expiry).saturating_add(beyond) >= u64::from(now);
        let index = self.next.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.change(index, |part| {
            if part.looked_through.abs_diff(now) >= PAUSE {
                retain(&mut part.tokens, |entry| is_needed(*entry));
                retain(&mut part.sessions, |entry| is_needed(*entry));
                retain(&mut part.subjects, |held| is_needed(held.entry));
                part.looked_through = now;
                self.filter.leave(index, part.bits());
            }
        });
    }
}

impl Drop for RevocationList {
    fn drop(&mut self) {
        observe::revocations_held(-(self.len() as isize));
    }
}

impl Part {
    /// In the order of [`IdKind`].
    fn lens(&self) -> [usize; IdKind::ALL.len()] {
        [self.tokens.len(), self.sessions.len(), self.subjects.len()]
    }

    /// The bits of all its entries.
    fn bits(&self) -> impl Iterator<Item = u16> {
        let subjects = self.subjects.values().map(|held| held.entry);
        self.tokens.values().chain(self.sessions.values()).copied().chain(subjects).map(|entry| entry.bit)
    }
}

impl Entry {
    fn or_later(self, other: Self) -> Self {
        if other.expiry > self.expiry { other } else { self }
    }
}

/// Drops the others, and the room that they took.
fn retain<V>(table: &mut Table<V>, is_needed: impl Fn(&V) -> bool) {
    table.retain(|_, value| is_needed(value));
    if table.len() < table.capacity() / 4 {
        table.shrink_to(2 * table.len());
    }
}

fn prolong(table: &mut Table<Entry>, fingerprint: Fingerprint, entry: Entry) {
    let held = table.entry(fingerprint).or_insert(entry);
    *held = held.or_later(entry);
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
