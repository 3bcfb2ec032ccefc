use std::time::Duration;

/// The settings of the cache of a [`JwtVerifier`](crate::JwtVerifier): how many verified tokens it holds, and for how long.
///
/// Clients send the same token with every request. The verifier checks its signature and reads its claims once, and caches
/// them. The cache is on by default; [`without_cache`](crate::JwtVerifier::without_cache) turns it off. It uses memory only
/// for the tokens that it holds.
///
/// Each verifier has a cache of its own, which its clones share. Verifiers that an `IssuerResolver` finds share one.
///
/// # Security
///
/// At every request the verifier still checks:
///
/// - all bytes of the token: it is cached only for exactly the same bytes;
/// - the time: a cached token is used until its `exp`, without leeway, and only if the clock was not put back;
/// - its key: it must still be among the keys, under the same `kid`;
/// - [revocations](crate::revocation::Revocations), and the [policy](crate::policy) of the layer or route.
///
/// Where one of these fails, the verifier judges the token as if it were new. Rejected tokens are never cached. Verifiers
/// with other settings do not use each other's verdicts.
///
/// Tokens and claims stay in memory after the response, so that a memory dump holds them. All requests with one token share
/// one object of claims: use no type that a request can change (a `Mutex` or an atomic inside). The claims type is
/// deserialized once: if that depends on the time, or on anything but the token, turn the cache off.
///
/// # Eviction
///
/// The cache is split into 16 parts, each with its share of the bounds, so that it may evict a token when it is two thirds
/// full. Once it has evicted a token, it caches a new one the second time it is sent, if not too many other new ones (about
/// twice [`max_entries`](Self::max_entries)) came in between. Tokens that are sent once therefore evict few that are sent
/// often. Expired tokens are removed from a full cache once a minute.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::cache::CacheSettings;
/// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys)
///     .audience("https://api.example.com")
///     .cache(CacheSettings::new().max_entries(50_000).max_bytes(128 * 1024 * 1024).max_age(Duration::from_secs(60)));
/// assert_eq!(verifier.cache_stats().unwrap().hits(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheSettings {
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) max_age: Duration,
}

impl CacheSettings {
    /// At most 10,000 tokens, 16 MiB and 5 minutes.
    pub fn new() -> Self {
        Self { entries: 10_000, bytes: 16 * 1024 * 1024, max_age: Duration::from_secs(300) }
    }

    /// Sets how many tokens are cached at most. With 0 none is. Raise [`max_bytes`](Self::max_bytes) as well: 16 MiB hold 8,000 to
    /// 11,000 tokens of 500 to 800 bytes, and 1,100 to 2,000 with an ML-DSA signature.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets how many bytes are used at most.
    ///
    /// An entry counts as 0.6 KiB, the size of the claims type, the token, and three quarters of the token's length for what the
    /// claims own. A claims type that is larger in memory (a tree of `serde_json::Value`) uses more, and long tokens use up to
    /// a tenth more.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets for how long a token is cached at most, if it does not expire before.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// Statistics of the cache of a [`JwtVerifier`](crate::JwtVerifier).
#[derive(Clone, Debug)]
pub struct CacheStats {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) evictions: u64,
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl CacheStats {
    /// How many look-ups found a cached token that was still valid. Tokens that were revoked meanwhile are included.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// How many look-ups found none, or one that was no longer valid. A request without a token counts as neither. One that
    /// has waited for a key counts twice.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// How many tokens were evicted to make room for others.
    ///
    /// Few evictions do not mean that there is room: a full cache admits a new token only the second time. If the misses keep
    /// rising and the entries do not, make the cache larger.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many tokens are cached now. An expired token counts until it is sent again or evicted.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// How much of [`CacheSettings::max_bytes`] they use. A token counts as its size or as `max_bytes / max_entries`,
    /// whichever is more. If few entries are allowed, that is far more than the memory in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
