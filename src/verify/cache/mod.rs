//! The tokens that a verifier has found good, remembered.

mod count;
mod settings;
mod tag_filter;

use std::hash::{Hash, Hasher, RandomState};
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use self::count::Count;
pub use self::settings::{CacheSettings, CacheStats};
use self::tag_filter::TagFilter;
use super::key_set::KeySet;
use super::rules::Judged;
use crate::claims::Claims;
use crate::crypto::Fingerprint;
use crate::registered::NumericDate;
use crate::revocation::Revocable;

/// The tokens that one verifier has found good by its rules.
pub(crate) struct Store<C> {
    settings: CacheSettings,
    tokens: Cache<Token, Remembered<C>, Weigh, RandomState, Displaced>,
    /// How many have had to make room for others.
    evictions: AtomicU64,
    /// Tags of those tokens, asked before them: for most others it says no with no lock taken.
    kept: TagFilter,
    /// How many it said no to.
    strangers: Count,
    /// How many were found, but were no longer good for that.
    stale: AtomicU64,
    /// Tags of all tokens that were found good lately, remembered or not.
    recent: TagFilter,
    /// Until when, in seconds since 1970, only what comes again is remembered.
    full_until: AtomicU64,
}

impl<C> Store<C> {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        // At most more than there is of memory, and still far from overflowing where weights are summed up; and what
        // shards can have equal shares of.
        let bytes = settings.bytes.min(usize::MAX / 4) / SHARDS * SHARDS;
        let weigh = Weigh { least: bytes.div_ceil(settings.entries.max(1)).max(1) as u64 };
        let most = settings.entries.min(bytes / Weigh::bytes_of::<C>(0));
        let options = OptionsBuilder::new()
            .weight_capacity(bytes as u64)
            // Shards have a lock and a share of the room each: as many that threads seldom meet, but, by what is
            // expected, so few that each has room for some.
            .estimated_items_capacity(settings.entries.min(bytes / USUAL_WEIGHT))
            .shards(SHARDS)
            // A part of the room is for newcomers, who have to prove themselves. Of a few tokens, none has to.
            .hot_allocation(if settings.entries < 32 { 1.0 } else { 0.97 })
            .build()
            .expect("both capacities are set");
        Self {
            tokens: Cache::with_options(options, weigh, RandomState::new(), Displaced),
            evictions: AtomicU64::new(0),
            kept: TagFilter::with_room_for(most),
            strangers: Count::default(),
            stale: AtomicU64::new(0),
            recent: TagFilter::with_room_for(most),
            full_until: AtomicU64::new(0),
            settings,
        }
    }

    /// A new one with the same settings.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.settings.clone())
    }

    /// The claims of a token that is remembered and still good, and what it may have been revoked by since.
    #[inline]
    pub(crate) fn find(
        &self,
        token: &[u8],
        keys: &KeySet,
        now: impl Fn() -> Duration,
    ) -> Option<(Claims<C>, Revocable)> {
        if !self.kept.has(token) {
            self.strangers.add(token);
            return None;
        }
        let (remembered, now) = (self.tokens.get(&Presented(token))?, now());
        if remembered.is_good(keys, now) {
            return Some((remembered.claims, remembered.revocable));
        }
        self.stale.fetch_add(1, Ordering::Relaxed);
        self.tokens.remove_if(&Presented(token), |remembered| !remembered.is_good(keys, now));
        None
    }

    /// Remembers a token that was found good: at once, unless others had to make room not long ago; then when it comes
    /// again, so that tokens that come once push out none that come often.
    pub(crate) fn keep(&self, token: &[u8], judged: &Judged<'_, C>) {
        let expiry = judged.expiry.map_or(Duration::MAX, NumericDate::since_epoch);
        let until = expiry.min(judged.now.saturating_add(self.settings.max_age));
        if self.settings.entries == 0 || until <= judged.now {
            return;
        }
        let came_before = self.recent.add(token);
        if !came_before && judged.now.as_secs() < self.full_until.load(Ordering::Relaxed) {
            return;
        }
        let remembered = Remembered {
            claims: judged.claims.clone(),
            signer: *judged.signer.fingerprint(),
            revocable: judged.revocable,
            since: judged.now,
            until,
        };
        self.kept.add(token);
        let mut displaced = SmallVec::new();
        self.tokens.insert_with_lifecycle(Token(token.into()), remembered, &mut displaced);
        // The token itself is there if somebody else has just remembered it, or if it is too large.
        let others = displaced.iter().filter(|(other, _)| *other.0 != *token).count();
        if others > 0 {
            self.evictions.fetch_add(others as u64, Ordering::Relaxed);
            // By then, all that was in the way has been forgotten.
            let end = judged.now.saturating_add(self.settings.max_age);
            self.full_until.store(end.as_secs(), Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let stale = self.stale.load(Ordering::Relaxed);
        CacheStats {
            hits: self.tokens.hits().saturating_sub(stale),
            misses: self.tokens.misses() + self.strangers.sum() + stale,
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: self.tokens.len(),
            bytes: self.tokens.weight(),
        }
    }
}

/// How many shards there are at most.
const SHARDS: usize = 64;

/// What an ordinary token weighs.
const USUAL_WEIGHT: usize = 2048;

/// What is kept of a good token.
struct Remembered<C> {
    claims: Claims<C>,
    signer: Fingerprint,
    revocable: Revocable,
    /// When it was found good: its `nbf` had been reached by then, leeway included, and has been since, unless the clock
    /// was put back.
    since: Duration,
    /// Its `exp`, if it has one, or before.
    until: Duration,
}

impl<C> Remembered<C> {
    /// Looks at all that may have changed since.
    #[inline]
    fn is_good(&self, keys: &KeySet, now: Duration) -> bool {
        (self.since..self.until).contains(&now) && keys.still_trusts(&self.signer, self.claims.token().kid())
    }
}

impl<C> Clone for Remembered<C> {
    fn clone(&self) -> Self {
        Self { claims: self.claims.clone(), ..*self }
    }
}

/// A token that is remembered.
#[derive(PartialEq, Eq)]
struct Token(Box<[u8]>);

/// A token that a request brings.
struct Presented<'a>(&'a [u8]);

impl Equivalent<Token> for Presented<'_> {
    fn equivalent(&self, remembered: &Token) -> bool {
        *self.0 == *remembered.0
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Presented(&self.0).hash(state);
    }
}

impl Hash for Presented<'_> {
    /// Of the last bytes, which are the signature's, and as good as random. What ends like a good token without being
    /// one finds that token, and differs from it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.last_chunk::<32>().map_or(self.0, |end| end));
    }
}

/// How much of the room a token takes.
#[derive(Clone, Copy)]
struct Weigh {
    /// What keeps their number within its bound.
    least: u64,
}

impl Weigh {
    /// How many bytes a token of this length takes.
    fn bytes_of<C>(token: usize) -> usize {
        // A slot of the table with what it is found by, of which there may be twice as many as there have to be; its
        // part of the tags; what the claims are held in; the token; and what is in the claims.
        let slots = 2 * (size_of::<Token>() + size_of::<Remembered<C>>() + 48) + 2 * tag_filter::BYTES_EACH;
        slots + Claims::<C>::HELD_BYTES + token + token / 4 * 3
    }
}

impl<C> Weighter<Token, Remembered<C>> for Weigh {
    fn weight(&self, token: &Token, _: &Remembered<C>) -> u64 {
        self.least.max(Self::bytes_of::<C>(token.0.len()) as u64)
    }
}

/// Hands out what an insertion has displaced, so that it is dropped when the lock is free again.
#[derive(Clone)]
struct Displaced;

impl<C> Lifecycle<Token, Remembered<C>> for Displaced {
    type RequestState = SmallVec<[(Token, Remembered<C>); 2]>;

    fn on_evict(&self, displaced: &mut Self::RequestState, token: Token, remembered: Remembered<C>) {
        displaced.push((token, remembered));
    }
}
