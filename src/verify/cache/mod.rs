//! The tokens that a verifier has found good, remembered.

mod count;
mod recent;
mod settings;

use std::fmt::{self, Formatter};
use std::hash::{Hash, Hasher, RandomState};
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use self::count::Count;
use self::recent::Recent;
pub use self::settings::{CacheStats, TokenCache};
use super::crypto::Fingerprint;
use super::key_set::KeySet;
use super::rules::Judged;
use crate::claims::Claims;

/// The tokens that one verifier has found good by its rules.
pub(crate) struct Store<C> {
    settings: TokenCache,
    tokens: Cache<Token, Remembered<C>, Weigh, RandomState, Evictions>,
    evictions: Evictions,
    /// Whether a token may be among them is asked first: most of those that are not are told at once.
    recent: Recent,
    /// Those that were told at once.
    strangers: Count,
    /// Those that were found, but are no longer good for that.
    stale: AtomicU64,
}

impl<C> Store<C> {
    pub(crate) fn new(settings: TokenCache) -> Self {
        // More than there is of memory, and still far from overflowing where weights are summed up.
        let bytes = settings.bytes.min(usize::MAX / 4);
        let options = OptionsBuilder::new()
            .weight_capacity(bytes as u64)
            // This sets the number of shards, each with its lock and its share of the room: enough of them that
            // threads seldom meet, and so few that the largest token fits.
            .estimated_items_capacity(settings.entries.min(bytes / USUAL_WEIGHT))
            .shards(64)
            // Of a few tokens, none has to prove itself first.
            .hot_allocation(if settings.entries < 32 { 1.0 } else { 0.97 })
            .build()
            .expect("both capacities are set");
        let least = bytes / settings.entries.max(1);
        let weigh = Weigh { least: least.max(1) as u64 };
        let evictions = Evictions::default();
        Self {
            tokens: Cache::with_options(options, weigh, RandomState::new(), evictions.clone()),
            evictions,
            recent: Recent::with_room_for(settings.entries.min(bytes / USUAL_WEIGHT)),
            strangers: Count::default(),
            stale: AtomicU64::new(0),
            settings,
        }
    }

    /// A new one with the same settings.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.settings.clone())
    }

    /// The claims of a token that is remembered and still good.
    #[inline]
    pub(crate) fn find(&self, token: &[u8], keys: &KeySet, now: impl Fn() -> Duration) -> Option<Claims<C>> {
        if !self.recent.has(token) {
            self.strangers.add(token);
            return None;
        }
        let (remembered, now) = (self.tokens.get(&Presented(token))?, now());
        if remembered.is_good(keys, now) {
            return Some(remembered.claims);
        }
        self.stale.fetch_add(1, Ordering::Relaxed);
        self.tokens.remove_if(&Presented(token), |remembered| !remembered.is_good(keys, now));
        None
    }

    /// Remembers a token that was found good: while there is room at once, then when it comes the second time, so that
    /// tokens that come once push out none that come often.
    pub(crate) fn keep(&self, token: &[u8], judged: &Judged<'_, C>) {
        let until = judged.expiry.since_epoch().min(judged.now.saturating_add(self.settings.max_age));
        if self.settings.entries == 0 || until <= judged.now {
            return;
        }
        if !self.recent.has(token) {
            self.recent.add(token);
            if self.evictions.any() {
                return;
            }
        }
        let remembered = Remembered {
            claims: judged.claims.clone(),
            signer: *judged.signer.fingerprint(),
            since: judged.now,
            until,
        };
        self.tokens.insert(Token(token.into()), remembered);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let stale = self.stale.load(Ordering::Relaxed);
        CacheStats {
            hits: self.tokens.hits().saturating_sub(stale),
            misses: self.tokens.misses() + self.strangers.sum() + stale,
            evictions: self.evictions.count(),
            entries: self.tokens.len(),
            bytes: self.tokens.weight(),
        }
    }
}

impl<C> fmt::Debug for Store<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// What an ordinary token weighs.
const USUAL_WEIGHT: usize = 2048;

/// What the fields of a good token became.
struct Remembered<C> {
    claims: Claims<C>,
    signer: Fingerprint,
    /// When it was found good: its `nbf` has been reached since then, unless the clock is put back.
    since: Duration,
    /// Its `exp`, or before.
    until: Duration,
}

impl<C> Remembered<C> {
    /// Looks at all that may have changed since.
    #[inline]
    fn is_good(&self, keys: &KeySet, now: Duration) -> bool {
        (self.since..self.until).contains(&now) && keys.still_holds(&self.signer, self.claims.kid())
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

impl<C> Weighter<Token, Remembered<C>> for Weigh {
    fn weight(&self, token: &Token, _: &Remembered<C>) -> u64 {
        // A slot of the table, which may be twice as large as it has to be; its part of `Recent`; what the claims are
        // held in; the token; and what is in the claims.
        let slots = 2 * (size_of::<Token>() + size_of::<Remembered<C>>() + 48) + recent::BYTES_EACH;
        let bytes = slots + Claims::<C>::HELD_BYTES + token.0.len() + token.0.len() / 4 * 3;
        self.least.max(bytes as u64)
    }
}

/// Counts what is evicted, and has it dropped when the lock is free again.
#[derive(Clone, Default)]
struct Evictions(Arc<AtomicU64>);

impl Evictions {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether there has been no more room, ever.
    fn any(&self) -> bool {
        self.count() > 0
    }
}

impl<C> Lifecycle<Token, Remembered<C>> for Evictions {
    type RequestState = SmallVec<[(Token, Remembered<C>); 2]>;

    fn on_evict(&self, evicted: &mut Self::RequestState, token: Token, remembered: Remembered<C>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        evicted.push((token, remembered));
    }
}
