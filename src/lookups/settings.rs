use std::time::Duration;

/// The limits of lookups by `ApiKeys` and `Introspection`.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::verifiers::LookupSettings;
///
/// let settings = LookupSettings::new().max_age(Duration::from_secs(30)).timeout(Duration::from_secs(1));
/// ```
///
/// One call answers all requests with the same credential. The answer is remembered, so that most requests need no
/// call. Remembered credentials stay usable while the other service hangs or is down.
///
/// # Failures
///
/// A credential that cannot be looked up gets 503, never 401. Unknown credentials then get 503 at once for a backoff of one
/// second, which doubles up to 4 s. It starts at the first timeout, or after three other failures in a row, since one odd
/// credential may cause one. If the service is overloaded or rejects this client, it starts at once and doubles up to 30 s.
/// After the backoff, one call tries again.
#[derive(Clone, Debug)]
#[must_use]
pub struct LookupSettings {
    pub(super) max_age: Duration,
    pub(super) negative_age: Duration,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) max_in_flight: usize,
    pub(super) max_waiting: usize,
}

impl LookupSettings {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            negative_age: Duration::from_secs(5),
            max_entries: 10_000,
            max_bytes: 16 * 1024 * 1024,
            timeout: Duration::from_secs(2),
            max_in_flight: 32,
            max_waiting: 2000,
        }
    }

    /// Sets how long an accepted credential is remembered. The default is 60 s.
    ///
    /// A credential that is revoked or deleted elsewhere is rejected after this time at the latest. It is never
    /// remembered beyond its own expiry. From three quarters of this time on, a use looks it up again in the
    /// background, so that a credential in use never waits. With zero, every request waits for a call.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Sets how long a rejected credential is remembered. The default is 5 s.
    ///
    /// A new credential that was used too early works after this time.
    pub fn negative_age(self, negative_age: Duration) -> Self {
        Self { negative_age, ..self }
    }

    /// Sets how many credentials are remembered. The default is 10,000.
    ///
    /// The same number of rejected ones is remembered.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { max_entries: entries, ..self }
    }

    /// Sets the maximum memory for accepted credentials. The default is 16 MiB.
    ///
    /// It is in bytes. The size of an entry is estimated, as for [`CacheSettings`](crate::cache::CacheSettings::max_bytes).
    /// The claims of an API key count as 512 bytes, unless they are JSON or their record states a size
    /// (`ApiKeyRecord::claims_bytes`).
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// Sets how long a request waits, and the timeout of each call. The default is 2 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets how many calls may run at once. The default is 32.
    ///
    /// Others wait for their turn. One in four, and at least one, is reserved for remembered credentials that are
    /// looked up again. Values below two count as two.
    pub fn max_in_flight(self, calls: usize) -> Self {
        Self { max_in_flight: calls, ..self }
    }

    /// Sets how many requests may wait at once. The default is 2,000.
    ///
    /// Further requests get 503 at once.
    pub fn max_waiting(self, requests: usize) -> Self {
        Self { max_waiting: requests, ..self }
    }
}

impl Default for LookupSettings {
    fn default() -> Self {
        Self::new()
    }
}
