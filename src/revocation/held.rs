//! What is revoked, as fingerprints in a table of many parts, so that growing one holds up nobody for long.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use super::entry::{Revocation, Target, millis};
use super::marks::{Mark, Marks, PARTS};
use super::names::{Fingerprint, Identity, Name, Print, Printer};
use super::seconds;
use crate::observe;
use crate::sync::RwLock;

type Table<V> = HashMap<Fingerprint, V, BuildHasherDefault<AsItIs>>;

/// All names of a token by which it may have been revoked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Revocable {
    prints: [Option<Print>; Name::ALL.len()],
    /// In milliseconds since 1970.
    issued_at: u64,
}

pub(crate) struct Held {
    printer: Printer,
    marks: Marks,
    parts: Box<[RwLock<Part>]>,
    /// How many entries there are of each sort, so that where there are none nothing has to be looked up.
    counts: [AtomicUsize; Name::ALL.len()],
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
    /// Which of the part's marks is its.
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

impl Held {
    pub(super) fn new() -> Self {
        Self {
            printer: Printer::new(),
            marks: Marks::default(),
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
        let (name, value) = revocation.name();
        let print = self.printer.print(revocation.issuer(), name, value);
        let entry = Entry { expiry: seconds(revocation.expires_at()), bit: print.mark.bit() };
        self.change(print.mark.part(), |part| {
            match revocation.target() {
                Target::Token { .. } => prolong(&mut part.tokens, print.fingerprint, entry),
                Target::Session { .. } => prolong(&mut part.sessions, print.fingerprint, entry),
                Target::Subject { issued_until, .. } => {
                    let until = millis(*issued_until);
                    let held =
                        part.subjects.entry(print.fingerprint).or_insert(SubjectEntry { entry, until });
                    *held = SubjectEntry { entry: held.entry.or_later(entry), until: until.max(held.until) };
                }
            }
            // While the part is locked, or whoever clears up its marks could miss this one.
            self.marks.add(print.mark);
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
        u64::from(seconds(revocation.expires_at())).saturating_add(beyond) < u64::from(now)
    }

    /// Of a token that may be asked about later.
    pub(super) fn revocable(&self, identity: &Identity<'_>) -> Revocable {
        let print = |name| Some(self.printer.print(identity.issuer, name, identity.value(name)?));
        Revocable { prints: Name::ALL.map(print), issued_at: identity.issued_at_millis() }
    }

    /// Of a token that is asked about now: what is certainly not held is not hashed.
    #[inline]
    pub(super) fn has(&self, identity: &Identity<'_>) -> bool {
        // All places first, so that the processor fetches them together.
        let marks = Name::ALL.map(|name| {
            let value = identity.value(name).filter(|_| self.holds(name))?;
            Some(self.printer.mark(name, value))
        });
        let is_marked = |mark: Option<Mark>| mark.is_some_and(|mark| self.marks.has(mark));
        let [token, session, subject] = marks.map(is_marked);
        (token | session | subject) && self.has_revocable(&self.revocable(identity))
    }

    #[inline]
    pub(super) fn has_revocable(&self, token: &Revocable) -> bool {
        Name::ALL.into_iter().zip(token.prints).any(|(name, print)| {
            print.is_some_and(|print| {
                self.holds(name) && self.marks.has(print.mark) && self.has_print(name, print, token.issued_at)
            })
        })
    }

    /// Whether it is really held.
    #[cold]
    fn has_print(&self, name: Name, print: Print, issued_at: u64) -> bool {
        let part = self.parts[print.mark.part()].read().unwrap_or_else(PoisonError::into_inner);
        match name {
            Name::Token => part.tokens.contains_key(&print.fingerprint),
            Name::Session => part.sessions.contains_key(&print.fingerprint),
            Name::Subject => {
                part.subjects.get(&print.fingerprint).is_some_and(|held| issued_at <= held.until)
            }
        }
    }

    #[inline]
    fn holds(&self, name: Name) -> bool {
        self.counts[name as usize].load(Ordering::Relaxed) > 0
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
                self.marks.leave(index, part.bits());
            }
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        observe::revocations_held(-(self.len() as isize));
    }
}

impl Part {
    /// In the order of [`Name`].
    fn lens(&self) -> [usize; Name::ALL.len()] {
        [self.tokens.len(), self.sessions.len(), self.subjects.len()]
    }

    /// The marks of all its entries.
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
