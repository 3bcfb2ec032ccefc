//! Measurements, by the facade `metrics`.

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
const STORE_CALLS: &str = "jwt_auth_revocation_store_calls_total";

/// Tells the recorder that is installed what the measurements are and in which units: for the `HELP` lines of Prometheus, say.
///
/// Call it once, after the recorder was installed. The measurements come without it, too.
pub fn describe_metrics() {
    describe_counter!(REQUESTS, Unit::Count, "Requests that a JwtAuthLayer has decided about.");
    describe_counter!(REJECTIONS, Unit::Count, "Rejections that were answered, whatever part decided.");
    describe_histogram!(
        VERIFICATION,
        Unit::Seconds,
        "How long judging a token took, with any wait for keys."
    );
    describe_counter!(CACHE_LOOKUPS, Unit::Count, "Looks into a cache of tokens.");
    describe_counter!(FETCHES, Unit::Count, "Attempts to fetch keys that have ended.");
    describe_gauge!(
        LAST_SUCCESS,
        Unit::Seconds,
        "Unix time at which the keys were last found to be the provider's."
    );
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
        "Requests rejected because as many as RemoteKeys::max_waiting allows were waiting for keys."
    );
    describe_counter!(
        STALE_USES,
        Unit::Count,
        "Looks at keys that should have been fetched anew, and could not be."
    );
    describe_gauge!(REVOCATIONS, Unit::Count, "Revocations that are held, in all lists of the process.");
    describe_counter!(STORE_CALLS, Unit::Count, "Calls of a store of revocations that have ended.");
}

pub(crate) fn request_accepted() {
    counter!(REQUESTS, "outcome" => "accepted", "kind" => "none").increment(1);
}

/// Let pass, without claims.
pub(crate) fn request_passed(kind: AuthErrorKind) {
    counter!(REQUESTS, "outcome" => "passed", "kind" => kind.name()).increment(1);
}

pub(crate) fn request_refused(kind: AuthErrorKind) {
    counter!(REQUESTS, "outcome" => "rejected", "kind" => kind.name()).increment(1);
}

pub(super) fn refusal_answered(kind: AuthErrorKind) {
    counter!(REJECTIONS, "kind" => kind.name()).increment(1);
}

/// What measures how long a token takes.
pub(crate) struct Timer(Instant);

impl Timer {
    #[inline]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn stop<T, E>(self, judged: &Result<T, E>) {
        // Labels that are literals make a static key, so that nothing is allocated.
        let seconds = match judged {
            Ok(_) => histogram!(VERIFICATION, "outcome" => "accepted"),
            Err(_) => histogram!(VERIFICATION, "outcome" => "rejected"),
        };
        seconds.record(self.0.elapsed());
    }

    /// Stops when the verdict is there.
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

/// How many keys one `RemoteKeys` holds, and how many it skips, until it is not used any more.
pub(crate) struct HeldKeys {
    keys: Told,
    skipped: Told,
}

impl HeldKeys {
    pub(crate) fn new(provider: &Arc<str>) -> Self {
        Self { keys: Told::new(KEYS, provider), skipped: Told::new(SKIPPED, provider) }
    }

    pub(crate) fn are(&self, keys: impl FnOnce() -> usize, skipped: impl FnOnce() -> usize) {
        self.keys.tell(|| keys() as isize);
        self.skipped.tell(|| skipped() as isize);
    }

    pub(crate) fn end(&self) {
        self.keys.tell(|| ENDED);
        self.skipped.tell(|| ENDED);
    }
}

/// What one `RemoteKeys` adds to a gauge.
struct Told {
    gauge: &'static str,
    provider: Arc<str>,
    /// How many it has told, or `NOTHING` yet, or that it has `ENDED`; changed under the lock of the sums.
    told: AtomicIsize,
}

const NOTHING: isize = -1;
const ENDED: isize = -2;

/// By gauge and provider, of all who have told: none of them is to hide the others' keys.
static SUMS: Mutex<BTreeMap<(&'static str, Arc<str>), isize>> = Mutex::new(BTreeMap::new());

impl Told {
    fn new(gauge: &'static str, provider: &Arc<str>) -> Self {
        Self { gauge, provider: Arc::clone(provider), told: AtomicIsize::new(NOTHING) }
    }

    /// `count` looks under the lock of the sums, so that of two threads the one that looks later tells later.
    fn tell(&self, count: impl FnOnce() -> isize) {
        let mut sums = Self::sums();
        let before = self.told.load(Ordering::Relaxed);
        if before == ENDED {
            return;
        }
        let count = count();
        self.told.store(count, Ordering::Relaxed);
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
        until_it_is_so(now, sum, |sum| {
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

/// So many more than before, or fewer.
pub(crate) fn revocations_held(more: isize) {
    static HELD: AtomicIsize = AtomicIsize::new(0);
    if more == 0 {
        return;
    }
    let held = HELD.fetch_add(more, Ordering::SeqCst) + more;
    until_it_is_so(|| HELD.load(Ordering::SeqCst), held, |held| gauge!(REVOCATIONS).set(held as f64));
}

/// Tells how much there is until what was told last is how it is, whoever else counts meanwhile; with no lock held.
fn until_it_is_so(count: impl Fn() -> isize, mut held: isize, tell: impl Fn(isize)) {
    loop {
        tell(held);
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

fn shared(text: &Arc<str>) -> SharedString {
    SharedString::from_shared(Arc::clone(text))
}
