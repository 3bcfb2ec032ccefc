use std::time::Duration;

/// How much a [`JwtVerifier`](crate::JwtVerifier) remembers of the tokens that it has found good, and for how long.
///
/// A token that comes again is then compared byte for byte with what is remembered, and its signature and claims are
/// not looked at anew. What may change is: the time, so that a token is good from its `nbf` to its `exp` (leeway is
/// granted by the full check, which then follows); and the keys, so that a token whose key is no longer held is not
/// good for its having been remembered. Tokens that are refused are not remembered.
///
/// While there is room, a token is remembered the first time it comes. Once there has been none, it is remembered the
/// second time, so that tokens that come once push out none that come often.
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
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) max_age: Duration,
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
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) evictions: u64,
    pub(super) entries: usize,
    pub(super) bytes: u64,
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

    /// How many were remembered, and then forgotten to make room for others, or were too large to be remembered.
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
