use std::time::Duration;

/// The settings of the cache of a [`JwtVerifier`](crate::JwtVerifier): how many verified tokens it remembers, and for how long.
///
/// They hold no tokens: each verifier that is given them has a cache of its own, which its clones share.
///
/// A token that comes again is then compared byte for byte with what is remembered, and its signature and claims are
/// not looked at anew. What may change is: the time, so that a token is good from the moment it was found good to its
/// `exp` (what comes before, if the clock was put back, or later, gets the full check, which grants leeway); and the
/// keys, so that a token whose key is no longer held is not good for its having been remembered. Tokens that are refused
/// are not remembered. What the claims type looks at while it is deserialised is not looked at again either: if that
/// depends on the time or on anything else that changes, do it behind the layer.
///
/// A token is remembered the first time it comes. Where one has had to make room for another within the last
/// [`max_age`](Self::max_age), it is remembered when it comes again before too many others have (some four times
/// [`max_entries`](Self::max_entries)), so that tokens that come once push out none that come often. The room is split into
/// parts, so that the first may have to go when two thirds of it are used.
///
/// The tokens and their claims stay in memory, and the claims of one token are shared by its requests. A look that is in
/// vain costs 1 to 5 % of the check of a secret, and one that is not saves three quarters of it; of the check of a
/// public key it saves nearly all.
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
///     .cache(CacheSettings::new().max_entries(50_000).max_bytes(64 * 1024 * 1024).max_age(Duration::from_secs(60)));
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

    /// Sets how many tokens are remembered at most. With none, the cache is of no use.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets how many bytes are used at most: 0.6 KiB a token and more, with the size of the claims type; the token
    /// itself; and its claims, which are taken to be as large as the token's payload. A claims type that blows its
    /// payload up (a tree of `serde_json::Value`, say) uses more, and long tokens use up to a tenth more.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets for how long a token is remembered at most, if it does not expire before.
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
    /// How often a token was looked for, and was remembered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// How often it was not, or no longer, whether it turned out to be good or not. A request with no token counts as
    /// neither; one that has waited for a key is looked for twice.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// How many were remembered, and then forgotten to make room for others.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many are remembered now. One that has expired counts until it is asked for, or has to make room.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// How much of [`CacheSettings::max_bytes`] they take up. A token takes its size or its share, `bytes / entries`,
    /// whichever is more: where few are allowed, that is far more than the memory in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
