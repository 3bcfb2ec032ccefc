//! Metrics, through the facade `metrics`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use metrics::{
    SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::kind::AuthErrorKind;

const REQUESTS: &str = "jwt_auth_requests_total";
const REJECTIONS: &str = "jwt_auth_rejections_total";
const VERIFICATION: &str = "jwt_auth_verification_duration_seconds";
const CACHE_LOOKUPS: &str = "jwt_auth_cache_lookups_total";
const FETCHES: &str = "jwt_auth_jwks_fetches_total";
const LAST_SUCCESS: &str = "jwt_auth_jwks_last_success_timestamp_seconds";
const KEYS: &str = "jwt_auth_jwks_keys";
const SKIPPED: &str = "jwt_auth_jwks_skipped_keys";
const COOLDOWN_HITS: &str = "jwt_auth_jwks_cooldown_hits_total";
const REJECTED_WAITERS: &str = "jwt_auth_jwks_rejected_waiters_total";
const STALE_USES: &str = "jwt_auth_jwks_stale_uses_total";
const REVOCATIONS: &str = "jwt_auth_revocations";
const LOOKUPS: &str = "jwt_auth_lookups_total";
const STORE_CALLS: &str = "jwt_auth_revocation_store_calls_total";
const FILE_READS: &str = "jwt_auth_file_reads_total";

/// Describes the metrics and their units to the installed recorder.
///
/// Prometheus shows the descriptions in `HELP` lines.
///
/// Call it once, after you have installed the recorder. The metrics are recorded without it as well.
pub fn describe_metrics() {
    describe_counter!(
        REQUESTS,
        Unit::Count,
        "Requests that a JwtAuthLayer has accepted, passed or rejected."
    );
    describe_counter!(REJECTIONS, Unit::Count, "Rejections, by any part of the crate.");
    describe_histogram!(
        VERIFICATION,
        Unit::Seconds,
        "Duration of token verification, including the wait for keys."
    );
    describe_counter!(CACHE_LOOKUPS, Unit::Count, "Lookups in a cache of verified tokens.");
    describe_counter!(FETCHES, Unit::Count, "Completed attempts to fetch keys.");
    describe_gauge!(LAST_SUCCESS, Unit::Seconds, "Unix time at which the provider last confirmed the keys.");
    describe_gauge!(KEYS, Unit::Count, "Keys of the provider that are held.");
    describe_gauge!(SKIPPED, Unit::Count, "Keys of the provider that cannot be used.");
    describe_counter!(
        COOLDOWN_HITS,
        Unit::Count,
        "Tokens with an unknown key or a bad signature that caused no fetch, because of the cooldown."
    );
    describe_counter!(
        REJECTED_WAITERS,
        Unit::Count,
        "Requests rejected because too many were waiting for keys (RemoteKeys::max_waiting)."
    );
    describe_counter!(STALE_USES, Unit::Count, "Uses of keys whose refresh was overdue and had failed.");
    describe_gauge!(REVOCATIONS, Unit::Count, "Entries in all revocation lists of the process.");
    describe_counter!(
        LOOKUPS,
        Unit::Count,
        "Lookups of API keys and opaque tokens, and requests rejected without one."
    );
    describe_counter!(STORE_CALLS, Unit::Count, "Completed reads and writes of the revocation store.");
    describe_counter!(FILE_READS, Unit::Count, "Reads of followed files.");
}

pub(crate) fn request_accepted() {
    counter!(REQUESTS, "outcome" => "accepted", "kind" => "none").increment(1);
}

/// Counts a request that passed without claims.
pub(crate) fn request_passed(kind: AuthErrorKind) {
    counter!(REQUESTS, "outcome" => "passed", "kind" => kind.name()).increment(1);
}

pub(crate) fn request_refused(kind: AuthErrorKind) {
    counter!(REQUESTS, "outcome" => "rejected", "kind" => kind.name()).increment(1);
}

pub(super) fn refusal_answered(kind: AuthErrorKind) {
    counter!(REJECTIONS, "kind" => kind.name()).increment(1);
}

pub(super) fn looked_up(service: &'static str, outcome: &'static str) {
    counter!(LOOKUPS, "service" => service, "outcome" => outcome).increment(1);
}

/// Measures the duration of a verification.
pub(crate) struct Timer(Instant);

impl Timer {
    #[inline]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn stop<T, E>(self, judged: &Result<T, E>) {
        // Literal labels make a static key, which needs no allocation.
        let seconds = match judged {
            Ok(_) => histogram!(VERIFICATION, "outcome" => "accepted"),
            Err(_) => histogram!(VERIFICATION, "outcome" => "rejected"),
        };
        seconds.record(self.0.elapsed());
    }

    /// Stops when the verdict is ready.
    pub(crate) fn until<T: 'static, E: 'static>(self, verdict: Waiting<T, E>) -> Waiting<T, E> {
        Box::pin(async move {
            let judged = verdict.await;
            self.stop(&judged);
            judged
        })
    }
}

type Waiting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

pub(crate) fn cache_looked_up(is_hit: bool) {
    let lookups = match is_hit {
        true => counter!(CACHE_LOOKUPS, "result" => "hit"),
        false => counter!(CACHE_LOOKUPS, "result" => "miss"),
    };
    lookups.increment(1);
}

pub(super) fn keys_fetched(provider: &Arc<str>) {
    counter!(FETCHES, "provider" => shared(provider), "outcome" => "succeeded").increment(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(LAST_SUCCESS, "provider" => shared(provider)).set(now);
}

pub(super) fn fetch_failed(provider: &Arc<str>) {
    counter!(FETCHES, "provider" => shared(provider), "outcome" => "failed").increment(1);
}

/// The key gauges of one `RemoteKeys`, until it is dropped.
pub(crate) struct HeldKeys {
    keys: GaugeShare,
    skipped: GaugeShare,
}

impl HeldKeys {
    pub(crate) fn new(provider: &Arc<str>) -> Self {
        Self { keys: GaugeShare::new(KEYS, provider), skipped: GaugeShare::new(SKIPPED, provider) }
    }

    pub(crate) fn are(&self, keys: impl FnOnce() -> usize, skipped: impl FnOnce() -> usize) {
        self.keys.publish(|| keys() as isize);
        self.skipped.publish(|| skipped() as isize);
    }

    pub(crate) fn end(&self) {
        self.keys.publish(|| ENDED);
        self.skipped.publish(|| ENDED);
    }
}

/// The share of one `RemoteKeys` in a gauge.
struct GaugeShare {
    gauge: &'static str,
    provider: Arc<str>,
    /// The published count, `NOTHING` or `ENDED`. Changed under the lock of `SUMS`.
    published: AtomicIsize,
}

const NOTHING: isize = -1;
const ENDED: isize = -2;

/// Sums by gauge and provider: several `RemoteKeys` of one provider share a gauge.
static SUMS: Mutex<BTreeMap<(&'static str, Arc<str>), isize>> = Mutex::new(BTreeMap::new());

impl GaugeShare {
    fn new(gauge: &'static str, provider: &Arc<str>) -> Self {
        Self { gauge, provider: Arc::clone(provider), published: AtomicIsize::new(NOTHING) }
    }

    /// Updates the share. `count` runs under the lock, so that the latest count wins between threads.
    fn publish(&self, count: impl FnOnce() -> isize) {
        let mut sums = Self::sums();
        let before = self.published.load(Ordering::Relaxed);
        if before == ENDED {
            return;
        }
        let count = count();
        self.published.store(count, Ordering::Relaxed);
        if count == ENDED && before == NOTHING {
            return;
        }
        let key = (self.gauge, Arc::clone(&self.provider));
        let sum = sums.get(&key).copied().unwrap_or(0) + count.max(0) - before.max(0);
        match sum {
            0 => sums.remove(&key),
            sum => sums.insert(key.clone(), sum),
        };
        drop(sums);
        let now = || Self::sums().get(&key).copied().unwrap_or(0);
        publish_until_stable(now, sum, |sum| {
            gauge!(self.gauge, "provider" => shared(&self.provider)).set(sum as f64)
        });
    }

    fn sums() -> MutexGuard<'static, BTreeMap<(&'static str, Arc<str>), isize>> {
        SUMS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn cooldown_hit(provider: &Arc<str>) {
    counter!(COOLDOWN_HITS, "provider" => shared(provider)).increment(1);
}

pub(crate) fn rejected_waiter(provider: &Arc<str>) {
    counter!(REJECTED_WAITERS, "provider" => shared(provider)).increment(1);
}

pub(crate) fn stale_use(provider: &Arc<str>) {
    counter!(STALE_USES, "provider" => shared(provider)).increment(1);
}

/// Adds to the number of revocations. `more` may be negative.
pub(crate) fn revocations_held(more: isize) {
    static HELD: AtomicIsize = AtomicIsize::new(0);
    if more == 0 {
        return;
    }
    let held = HELD.fetch_add(more, Ordering::SeqCst) + more;
    publish_until_stable(|| HELD.load(Ordering::SeqCst), held, |held| gauge!(REVOCATIONS).set(held as f64));
}

/// Publishes the gauge, repeating until the published value matches the counter. Holds no lock.
fn publish_until_stable(count: impl Fn() -> isize, mut held: isize, publish: impl Fn(isize)) {
    loop {
        publish(held);
        match count() {
            now if now == held => return,
            now => held = now,
        }
    }
}

pub(super) fn store_answered(call: &'static str) {
    counter!(STORE_CALLS, "call" => call, "outcome" => "succeeded").increment(1);
}

pub(super) fn store_failed(call: &'static str) {
    counter!(STORE_CALLS, "call" => call, "outcome" => "failed").increment(1);
}

pub(super) fn file_read(path: &Arc<str>) {
    counter!(FILE_READS, "file" => shared(path), "outcome" => "succeeded").increment(1);
}

pub(super) fn file_failed(path: &Arc<str>) {
    counter!(FILE_READS, "file" => shared(path), "outcome" => "failed").increment(1);
}

fn shared(text: &Arc<str>) -> SharedString {
    SharedString::from_shared(Arc::clone(text))
}
