//! A cache of verified tokens.
//!
//! The key of an entry is the whole token, compared byte for byte. The value is the claims, which contain the
//! [`Conditions`](crate::conditions::Conditions) of the verdict. Each hit checks them again. Lookups of other credentials
//! use the same cache, with a hash or an ID as the key.

mod counts;
mod doorkeeper;
mod settings;

use std::cell::RefCell;
use std::hash::{Hash, Hasher, RandomState};
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use self::counts::Counts;
use self::doorkeeper::Doorkeeper;
pub use self::settings::{CacheSettings, CacheStats};
use crate::claims::Claims;

/// The cache of one verifier and its clones.
pub(crate) struct TokenCache<C> {
    /// Verifiers with other rules may share it.
    store: Arc<Store<C>>,
    max_age: Duration,
}

/// The result of a lookup.
pub(crate) enum Found<C> {
    Good(Claims<C>),
    /// The token was cached, but its conditions no longer hold. It has been removed.
    Stale,
    Nothing,
}

impl<C> TokenCache<C> {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        Self { max_age: settings.max_age, store: Arc::new(Store::new(settings)) }
    }

    /// Returns an empty cache with the same settings.
    pub(crate) fn emptied(&self) -> Self {
        Self { max_age: self.max_age, store: Arc::new(Store::new(self.store.settings.clone())) }
    }

    /// Uses the store of another cache. The maximum age stays.
    #[cfg(feature = "remote-keys-core")]
    pub(crate) fn share(&mut self, other: &Self) {
        self.store = Arc::clone(&other.store);
    }

    /// Looks up the claims of a token. `still_holds` checks the conditions of the verdict, except the time.
    #[inline]
    pub(crate) fn find(
        &self,
        token: &[u8],
        now: impl Fn() -> Duration,
        still_holds: impl Fn(&Claims<C>) -> bool,
    ) -> Found<C> {
        let Some(Table { tokens, counts }) = self.store.table.get() else {
            self.store.early_misses.fetch_add(1, Ordering::Relaxed);
            return Found::Nothing;
        };
        let Some(claims) = tokens.get(&Presented(token)) else {
            counts.add(false);
            return Found::Nothing;
        };
        let now = now();
        let is_good = |claims: &Claims<C>| self.is_in_time(claims, now) && still_holds(claims);
        let is_hit = is_good(&claims);
        counts.add(is_hit);
        if is_hit {
            return Found::Good(claims);
        }
        // Another thread may have cached the token again.
        tokens.remove_if(&Presented(token), |claims| !is_good(claims));
        Found::Stale
    }

    /// Caches a token that has just been accepted, or only remembers that it was seen: see [`Store::admits`].
    ///
    /// `heap_bytes` estimates the heap memory of the claims. It is called only for a token that is cached.
    pub(crate) fn keep(
        &self,
        token: &[u8],
        claims: &mut Claims<C>,
        heap_bytes: impl FnOnce() -> usize,
        was_cached: bool,
    ) {
        let now = claims.conditions().judged_at;
        if self.end(claims) > now {
            self.store.sweep(now);
            if self.store.admits(token, was_cached) {
                claims.set_heap_bytes(heap_bytes());
                self.store.insert(token, claims);
            }
        }
    }

    /// Caches the answer of a lookup, always. The caller drops the returned claims after it has released its locks.
    #[cfg(any(feature = "api-keys", feature = "introspection"))]
    pub(crate) fn keep_answer(&self, key: &[u8], claims: &Claims<C>) -> Displaced<C> {
        let is_usable = self.end(claims) > claims.conditions().judged_at;
        if is_usable { self.store.insert(key, claims) } else { self.remove(key).into_iter().collect() }
    }

    /// Looks up an answer without removing one that has ended, and without counting.
    #[cfg(any(feature = "api-keys", feature = "introspection"))]
    pub(crate) fn peek(&self, key: &[u8], now: Duration) -> Option<Claims<C>> {
        let claims = self.store.table.get()?.tokens.get(&Presented(key))?;
        self.is_in_time(&claims, now).then_some(claims)
    }

    /// Removes expired answers, like [`keep`](Self::keep).
    #[cfg(any(feature = "api-keys", feature = "introspection"))]
    pub(crate) fn sweep(&self, now: Duration) {
        self.store.sweep(now);
    }

    /// Removes an entry. The caller drops it after it has released its locks.
    #[cfg(any(feature = "api-keys", feature = "introspection"))]
    pub(crate) fn remove(&self, key: &[u8]) -> Option<(Token, Claims<C>)> {
        self.store.table.get()?.tokens.remove(&Presented(key))
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.store.stats()
    }

    /// Returns true between the verdict and the end of the entry.
    #[inline]
    fn is_in_time(&self, claims: &Claims<C>, now: Duration) -> bool {
        // `nbf` had passed at the time of the verdict. It still has, unless the clock was set back.
        (claims.conditions().judged_at..self.end(claims)).contains(&now)
    }

    /// Returns when the entry ends: at `exp`, without leeway, or at the maximum age.
    #[inline]
    fn end(&self, claims: &Claims<C>) -> Duration {
        end(claims, self.max_age)
    }
}

fn end<C>(claims: &Claims<C>, max_age: Duration) -> Duration {
    let conditions = claims.conditions();
    conditions.expires_at.min(conditions.judged_at.saturating_add(max_age))
}

impl<C> Clone for TokenCache<C> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), max_age: self.max_age }
    }
}

/// Verified tokens within a common limit on memory.
pub(crate) struct Store<C> {
    settings: CacheSettings,
    /// Created for the first token.
    table: OnceLock<Table<C>>,
    /// Created at the first eviction.
    doorkeeper: OnceLock<Doorkeeper>,
    /// The last removal of expired entries, in seconds since 1970.
    swept_at: AtomicU64,
    evictions: AtomicU64,
    /// Lookups before the table existed.
    early_misses: AtomicU64,
}

struct Table<C> {
    tokens: Tokens<C>,
    counts: Counts,
}

type Tokens<C> = Cache<Token, Claims<C>, Weigh, RandomState, Evicted>;

impl<C> Store<C> {
    fn new(settings: CacheSettings) -> Self {
        Self {
            settings,
            table: OnceLock::new(),
            doorkeeper: OnceLock::new(),
            swept_at: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            early_misses: AtomicU64::new(0),
        }
    }

    /// Returns true if a token may be cached, and remembers it.
    ///
    /// After the first eviction, a new token is cached only when it is seen for the second time. Tokens that are sent
    /// once then evict none that are sent often. Inserting and evicting costs half of an HS256 check.
    fn admits(&self, token: &[u8], was_cached: bool) -> bool {
        self.settings.entries > 0
            && (was_cached
                || self.doorkeeper.get().is_none_or(|doorkeeper| doorkeeper.admits(&Presented(token))))
    }

    /// Caches a token, and returns the evicted entries.
    fn insert(&self, token: &[u8], claims: &Claims<C>) -> Displaced<C> {
        let mut evicted = SmallVec::new();
        if self.settings.entries == 0 {
            return evicted;
        }
        let table = || Table { tokens: tokens(&self.settings), counts: Counts::new() };
        let Table { tokens, .. } = self.table.get_or_init(table);
        tokens.insert_with_lifecycle(Token(token.into()), claims.clone(), &mut evicted);
        // `evicted` contains this token if another thread has just cached it, or if it is too large.
        let others = evicted.iter().filter(|(other, _)| *other.0 != *token).count();
        if others > 0 {
            self.evictions.fetch_add(others as u64, Ordering::Relaxed);
            self.doorkeeper.get_or_init(|| Doorkeeper::new(most_entries::<C>(&self.settings)));
        }
        evicted
    }

    /// Removes expired entries once a minute from a cache that has been full.
    ///
    /// Clients do not send expired tokens again. Eviction would find them late, and new tokens would share the small
    /// rest.
    fn sweep(&self, now: Duration) {
        let (second, last) = (now.as_secs(), self.swept_at.load(Ordering::Relaxed));
        let (Some(Table { tokens, .. }), Some(_)) = (self.table.get(), self.doorkeeper.get()) else {
            return;
        };
        if second.abs_diff(last) < SWEEP_PAUSE
            || self.swept_at.compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        // Claims contain values of the application, so they are dropped without holding a lock.
        let ended = RefCell::new(Vec::new());
        tokens.retain(|_, claims| {
            let is_needed = end(claims, self.settings.max_age) > now;
            if !is_needed {
                ended.borrow_mut().push(claims.clone());
            }
            is_needed
        });
    }

    fn stats(&self) -> CacheStats {
        let (tokens, counts) = self.table.get().map(|Table { tokens, counts }| (tokens, counts)).unzip();
        CacheStats {
            hits: counts.map_or(0, Counts::hits),
            misses: self.early_misses.load(Ordering::Relaxed) + counts.map_or(0, Counts::misses),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: tokens.map_or(0, Cache::len),
            bytes: tokens.map_or(0, Cache::weight),
        }
    }
}

/// Each shard has a lock and an equal part of the capacity. More shards would fill less evenly.
const SHARDS: usize = 16;

/// The minimum time between two sweeps, in seconds.
const SWEEP_PAUSE: u64 = 60;

/// The weight of a typical token in bytes.
const USUAL_WEIGHT: usize = 2048;

fn tokens<C>(settings: &CacheSettings) -> Tokens<C> {
    let bytes = capacity(settings);
    let options = OptionsBuilder::new()
        .weight_capacity(bytes as u64)
        // Determines the number of shards and of tracked evicted tokens.
        .estimated_items_capacity(settings.entries.min(bytes / USUAL_WEIGHT))
        .shards(SHARDS)
        // The rest is for new tokens until they are seen again. A very small cache has no room for it.
        .hot_allocation(if settings.entries < 32 { 1.0 } else { 0.97 })
        .build()
        .expect("both capacities are set");
    let weigh = Weigh { least: bytes.div_ceil(settings.entries.max(1)).max(1) as u64 };
    Cache::with_options(options, weigh, RandomState::new(), Evicted)
}

/// Returns the capacity in bytes: a multiple of the number of shards, and small enough that sums of weights do not
/// overflow.
fn capacity(settings: &CacheSettings) -> usize {
    settings.bytes.min(usize::MAX / 4) / SHARDS * SHARDS
}

fn most_entries<C>(settings: &CacheSettings) -> usize {
    settings.entries.min(capacity(settings) / Weigh::bytes_of::<C>())
}

/// The key of an entry.
#[derive(PartialEq, Eq)]
pub(crate) struct Token(Box<[u8]>);

/// Evicted entries.
pub(crate) type Displaced<C> = SmallVec<[(Token, Claims<C>); 2]>;

/// The token of a request.
struct Presented<'a>(&'a [u8]);

impl Equivalent<Token> for Presented<'_> {
    fn equivalent(&self, cached: &Token) -> bool {
        *self.0 == *cached.0
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Presented(&self.0).hash(state);
    }
}

impl Hash for Presented<'_> {
    /// Hashes two groups of 16 bytes, at least one of which belongs to the signature and is effectively random.
    ///
    /// With most algorithms it is the last group. ML-DSA signatures end in counts, but have at least 3,227 characters,
    /// so the first group is inside them. A forged token with the same bytes finds the same entry and then fails the
    /// full comparison.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let end = &self.0[self.0.len() - (self.0.len() / 4).min(3000)..];
        match (end.first_chunk::<16>(), end.last_chunk::<16>()) {
            (Some(first), Some(last)) => [*first, *last].as_flattened().hash(state),
            _ => self.0.hash(state),
        }
    }
}

/// Weighs an entry in bytes.
#[derive(Clone, Copy)]
struct Weigh {
    /// The minimum weight, which limits the number of entries.
    least: u64,
}

impl Weigh {
    /// Returns the size of an entry, except the key and the heap data of the claims.
    fn bytes_of<C>() -> usize {
        // The table has up to two slots for each entry.
        let slots = 2 * (size_of::<Token>() + size_of::<Claims<C>>() + 48) + doorkeeper::BYTES_EACH;
        slots + Claims::<C>::HELD_BYTES
    }
}

impl<C> Weighter<Token, Claims<C>> for Weigh {
    fn weight(&self, token: &Token, claims: &Claims<C>) -> u64 {
        let bytes = Self::bytes_of::<C>() + token.0.len() + claims.conditions().heap_bytes as usize;
        self.least.max(bytes as u64)
    }
}

/// Returns evicted entries to the caller, which drops them without holding the lock.
#[derive(Clone)]
struct Evicted;

impl<C> Lifecycle<Token, Claims<C>> for Evicted {
    type RequestState = Displaced<C>;

    fn on_evict(&self, evicted: &mut Self::RequestState, token: Token, claims: Claims<C>) {
        evicted.push((token, claims));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn hashes_bytes_that_differ_between_signatures() {
        let hasher = RandomState::new();
        // The lengths of the signed part, of the random part of the signature, and of its constant end.
        for (signed, random, end) in [
            (400, 43, 0),
            (60, 86, 0),
            (2000, 342, 0),
            (400, 3100, 120),
            (6000, 6000, 120),
            (14_000, 3100, 120),
        ] {
            let hashes: HashSet<_> = (0..1000_u32)
                .map(|n| {
                    let digest = format!("{:016x}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    let signature: String = digest.chars().cycle().take(random).collect();
                    let token = format!("{}{signature}{}", "h".repeat(signed), "0".repeat(end));
                    hasher.hash_one(Presented(token.as_bytes()))
                })
                .collect();
            assert_eq!(hashes.len(), 1000, "{signed}, {random}, {end}");
        }
        for short in [&b""[..], b"a", b"a.b.c"] {
            hasher.hash_one(Presented(short));
        }
    }
}
