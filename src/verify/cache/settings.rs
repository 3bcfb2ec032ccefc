use std::time::Duration;

/// The settings of the token cache of a [`JwtVerifier`](crate::JwtVerifier).
///
/// Clients send the same token with every request. The verifier checks its signature and reads its claims once, and
/// then caches the claims.
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
///
/// The cache is on by default. [`without_cache`](crate::JwtVerifier::without_cache) turns it off. It uses memory only
/// for the tokens that it contains. Each verifier has its own cache, which its clones share. The verifiers that an
/// `IssuerResolver` finds share one cache.
///
/// # Security
///
/// At every request the verifier still checks:
///
/// - all bytes of the token, which must equal the cached ones
/// - the time: it uses a cached token until its `exp`, without leeway, and only if the clock was not set back
/// - the key, which must still be among the keys, with the same `kid`
/// - [revocations](crate::revocation::Revocations), and the [policy](crate::policy) of the layer or route
///
/// If one of these checks fails, the verifier verifies the token like a new one. Rejected tokens are never cached.
/// Verifiers with different settings do not use each other's verdicts.
///
/// The cache has these consequences:
///
/// - Tokens and claims stay in memory after the response, so a memory dump contains them.
/// - All requests with the same token share one claims value. Do not use a type that a request can change, such as one
///   with a `Mutex` or an atomic.
/// - A cached token is not deserialized again. Turn the cache off if the claims depend on the time, or on anything
///   except the token.
/// - Before a token is cached, its claims are deserialized a second time, to estimate their size.
///
/// # Eviction
///
/// The cache has 16 parts with equal limits, so it may evict a token when it is two thirds full.
///
/// After the first eviction, it caches a new token only when it is sent for the second time. Tokens that are sent once
/// then evict few that are sent often. The cache forgets the first time after about twice
/// [`max_entries`](Self::max_entries) other new tokens.
///
/// Expired tokens are removed from a full cache once a minute.
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheSettings {
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) max_age: Duration,
}

impl CacheSettings {
    /// Creates the default settings: at most 10,000 tokens, 16 MiB and 5 minutes.
    pub fn new() -> Self {
        Self { entries: 10_000, bytes: 16 * 1024 * 1024, max_age: Duration::from_secs(300) }
    }

    /// Sets the maximum number of cached tokens. With 0, none are cached.
    ///
    /// Raise [`max_bytes`](Self::max_bytes) as well. 16 MiB hold 8,000 to 11,000 tokens of 500 to 800 bytes. They hold
    /// 2,000 to 3,500 tokens with an ML-DSA signature.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets the maximum memory in bytes.
    ///
    /// The size of an entry is estimated. It is the sum of:
    ///
    /// - 0.6 KiB
    /// - the size of the claims type
    /// - the length of the token
    /// - the heap memory of the claims: texts, arrays, maps and boxes, as the claims type reads them from the payload. A
    ///   claim that it skips counts nothing.
    ///
    /// The cache uses 0.7 to 1.3 times as much with usual tokens. It uses at most twice as much with `String`, `Vec`, maps,
    /// sets, `Box` and `serde_json::Value`, whatever the tokens contain. A type may use more in these cases:
    ///
    /// - It allocates more than it reads, for example a buffer of fixed capacity or a linked list.
    /// - It has boxes around values that are not larger than a pointer, such as `Box<u64>`.
    /// - It has large values behind `#[serde(flatten)]`, or in an `enum` that is untagged or has a `tag`. Each counts as a
    ///   `serde_json::Value`.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets the maximum time for which a token is cached, unless it expires earlier.
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
    /// Returns the number of lookups that found a valid cached token.
    ///
    /// They include tokens that have been revoked since they were cached.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Returns the number of lookups that found no valid cached token.
    ///
    /// They found none, or one that was no longer valid. A request without a token is neither a hit nor a miss. A
    /// request that waited for a key counts twice.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// Returns the number of tokens that were evicted to make room for others.
    ///
    /// Few evictions do not mean that there is room, because a full cache admits a new token only the second time. If
    /// the misses keep rising and the entries do not, make the cache larger.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Returns the number of cached tokens.
    ///
    /// An expired token counts until it is sent again, evicted or removed.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Returns the part of [`CacheSettings::max_bytes`] that the cached tokens use.
    ///
    /// A token counts as its size or as `max_bytes / max_entries`, whichever is greater. With a small `max_entries`,
    /// the result is far greater than the memory in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
