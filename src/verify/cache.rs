use std::fmt::{self, Formatter};
use std::hash::{Hash, Hasher, RandomState};
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use super::crypto::Fingerprint;
use super::key_set::KeySet;
use super::rules::Judged;
use crate::claims::Claims;

/// How much a [`JwtVerifier`](crate::JwtVerifier) remembers of the tokens that it has found good, and for how long.
///
/// A token that comes again is then compared byte for byte with what is remembered, and its signature and claims are
/// not looked at anew. What may change is: the time, so that a token is good from its `nbf` to its `exp` (leeway is
/// granted by the full check, which then follows); and the keys, so that a token whose key is no longer held is not
/// good for its having been remembered. Tokens that are refused are not remembered.
///
/// The tokens and their claims stay in memory, and the claims of one token are shared by its requests. It pays for
/// public keys, whose check takes ten to a hundred times as long as a look into the cache, and for secrets where more
/// than half of the requests bring a token that is remembered.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims, TokenCache};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys)
///     .audience("https://api.example.com")
///     .cache(TokenCache::new().entries(50_000).bytes(64 * 1024 * 1024).max_age(Duration::from_secs(60)));
/// assert_eq!(verifier.cache_stats().unwrap().hits(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenCache {
    entries: usize,
    bytes: usize,
    max_age: Duration,
}

impl TokenCache {
    /// At most 10,000 tokens, 16 MiB and 5 minutes.
    pub fn new() -> Self {
        Self { entries: 10_000, bytes: 16 * 1024 * 1024, max_age: Duration::from_secs(300) }
    }

    /// Sets how many tokens are remembered at most. With none, the cache is of no use.
    pub fn entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets how many bytes are used at most: about 0.4 KiB a token, the token itself, and its claims, which are taken
    /// to be as large as the token's payload. A claims type that blows its payload up (a tree of
    /// `serde_json::Value`, say) uses more.
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets for how long a token is remembered at most, if it does not expire before.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

/// What has come of a [`TokenCache`] so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    hits: u64,
    misses: u64,
    evictions: u64,
    entries: usize,
    bytes: u64,
}

impl CacheStats {
    /// How many tokens were found to be remembered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// How many were not, or no longer, whether they turned out to be good or not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// How many were forgotten to make room for others, or were too large to be remembered.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many are remembered now. One that has expired counts until it is asked for, or has to make room.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// How many bytes they use, as [`TokenCache::bytes`] counts them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The tokens that one verifier has found good by its rules.
pub(crate) struct Store<C> {
    settings: TokenCache,
    tokens: Cache<Token, Remembered<C>, Weigh, RandomState, Evictions>,
    evictions: Evictions,
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
        let tokens = Cache::with_options(options, weigh, RandomState::new(), evictions.clone());
        Self { settings, tokens, evictions, stale: AtomicU64::new(0) }
    }

    /// A new one with the same settings.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.settings.clone())
    }

    /// The claims of a token that is remembered and still good.
    #[inline]
    pub(crate) fn find(&self, token: &[u8], keys: &KeySet, now: impl Fn() -> Duration) -> Option<Claims<C>> {
        let (remembered, now) = (self.tokens.get(&Presented(token))?, now());
        if remembered.is_good(keys, now) {
            return Some(remembered.claims);
        }
        self.stale.fetch_add(1, Ordering::Relaxed);
        self.tokens.remove_if(&Presented(token), |remembered| !remembered.is_good(keys, now));
        None
    }

    /// Remembers a token that was found good.
    pub(crate) fn keep(&self, token: &[u8], judged: &Judged<'_, C>) {
        let until = judged.expiry.since_epoch().min(judged.now.saturating_add(self.settings.max_age));
        if self.settings.entries == 0 || until <= judged.now {
            return;
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
            misses: self.tokens.misses() + stale,
            evictions: self.evictions.0.load(Ordering::Relaxed),
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
        // A slot of the table, which may be twice as large as it has to be; what the claims are held in; the token; and
        // what is in the claims.
        let slots = 2 * (size_of::<Token>() + size_of::<Remembered<C>>() + 48);
        let bytes = slots + Claims::<C>::HELD_BYTES + token.0.len() + token.0.len() / 4 * 3;
        self.least.max(bytes as u64)
    }
}

/// Counts what is evicted, and has it dropped when the lock is free again.
#[derive(Clone, Default)]
struct Evictions(Arc<AtomicU64>);

impl<C> Lifecycle<Token, Remembered<C>> for Evictions {
    type RequestState = SmallVec<[(Token, Remembered<C>); 2]>;

    fn on_evict(&self, evicted: &mut Self::RequestState, token: Token, remembered: Remembered<C>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        evicted.push((token, remembered));
    }
}
