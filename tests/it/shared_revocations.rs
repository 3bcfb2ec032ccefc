//! Revocations shared between processes, with a store for tests.

#[cfg(feature = "test-util")]
mod conformance;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::revocation::{
    Revocation, RevocationPage, RevocationStore, RevocationWrite, Revocations, SharedRevocations, StoreFuture,
};
use tower_jwt_auth::{AuthErrorKind, ConfigErrorKind, JwtAuthLayer, JwtVerifier};

use crate::support::*;

/// A log in memory that can be made to fail.
#[derive(Clone, Default)]
struct Store(Arc<Inner>);

#[derive(Default)]
struct Inner {
    log: Mutex<Vec<Revocation>>,
    behaviour: Mutex<Behaviour>,
    writes: AtomicUsize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Behaviour {
    #[default]
    Good,
    Away,
    Hangs,
    Panics,
}

impl Store {
    fn behave(&self, behaviour: Behaviour) {
        *self.0.behaviour.lock().unwrap() = behaviour;
    }

    fn len(&self) -> usize {
        self.0.log.lock().unwrap().len()
    }

    /// Returns the sessions in the log.
    fn names(&self) -> Vec<String> {
        let name = |one: &Revocation| one.sid().unwrap_or_default().to_owned();
        let mut names: Vec<_> = self.0.log.lock().unwrap().iter().map(name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn lists(&self) -> Revocations {
        SharedRevocations::new(self.clone()).start().unwrap()
    }

    fn answer<T: Send + 'static>(&self, good: impl FnOnce(&Inner) -> T + Send + 'static) -> StoreFuture<T> {
        let inner = Arc::clone(&self.0);
        let behaviour = *self.0.behaviour.lock().unwrap();
        Box::pin(async move {
            match behaviour {
                Behaviour::Good => Ok(good(&inner)),
                Behaviour::Away => Err("the store is away".into()),
                Behaviour::Hangs => std::future::pending().await,
                Behaviour::Panics => panic!("the store panics as part of this test"),
            }
        })
    }
}

impl RevocationStore for Store {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        self.answer(move |inner| {
            inner.writes.fetch_add(1, Ordering::Relaxed);
            inner.log.lock().unwrap().extend(revocations);
        })
    }

    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        self.answer(move |inner| {
            let log = inner.log.lock().unwrap();
            let from = position.and_then(|position| position.parse().ok());
            let from = from.filter(|from| *from <= log.len()).unwrap_or(0);
            RevocationPage::last(log[from..].to_vec(), log.len().to_string())
        })
    }
}

/// A time in 2096, because the lists use the system's clock.
const EXPIRY: u64 = 4_000_000_000;

fn end(revocations: &Revocations, sid: &str) -> RevocationWrite {
    revocations.revoke_session(ISSUER, sid, at(EXPIRY))
}

async fn judge(verifier: &JwtVerifier<Value>, sid: &str) -> Option<AuthErrorKind> {
    let mut claims = good_claims();
    claims["sid"] = json!(sid);
    rejection(verifier, &token(&claims)).await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn revocation_reaches_other_processes() {
    let store = Store::default();
    let (first, second) = (store.lists(), store.lists());
    let verifier = verifier().revocations(second.clone());
    second.ready().await.unwrap();
    assert_eq!(judge(&verifier, "a").await, None);
    end(&first, "a").await.unwrap();
    first.revoke_token(ISSUER, "t1", at(EXPIRY)).await.unwrap();
    first.revoke_subject(ISSUER, "u1", at(NOW), at(EXPIRY)).await.unwrap();
    let start = Instant::now();
    while second.len() < 3 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(start.elapsed() < seconds(1), "{:?}", start.elapsed());
    assert_eq!(judge(&verifier, "a").await, Some(Revoked));
    for names in [json!({"jti": "t1"}), json!({"sub": "u1"})] {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
        assert_eq!(rejection(&verifier, &token(&claims)).await, Some(Revoked), "{names}");
    }
    assert_eq!(judge(&verifier, "b").await, None);
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_before_the_store_is_read() {
    let store = Store::default();
    store.behave(Behaviour::Away);
    let revocations = SharedRevocations::new(store.clone()).ready_timeout(seconds(3)).start().unwrap();
    let layer = JwtAuthLayer::new(verifier().revocations(revocations.clone()));
    assert!(!revocations.is_ready());
    let response = ask(&layer, bearer(&good_token())).await;
    assert_rejected("not read", &response, 503, RevocationsUnavailable, &[("retry-after", "1")]);
    assert_eq!(revocations.check_session(ISSUER, "a").unwrap_err().kind(), RevocationsUnavailable);
    let start = Instant::now();
    let error = revocations.ready().await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (RevocationsUnavailable, seconds(3)));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the store is away");
    let stats = revocations.shared_stats().unwrap();
    assert_eq!(
        (stats.age(), stats.last_error().unwrap().to_string()),
        (None, "the store is away".to_owned())
    );
    assert!(stats.failed_reads() >= 5 && stats.failed_writes() == 0, "{stats:?}");

    store.behave(Behaviour::Good);
    revocations.ready().await.unwrap();
    assert!(revocations.is_ready());
    assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn last_error_clears_when_the_store_answers() {
    let store = Picky::default();
    let list = SharedRevocations::new(store.clone()).start().unwrap();
    let last_error = || list.shared_stats().unwrap().last_error().map(|error| error.to_string());
    list.ready().await.unwrap();
    assert_eq!(last_error(), None);

    store.cannot_be_written.store(true, Ordering::Relaxed);
    drop(end(&list, "a"));
    sleep(seconds(2)).await;
    assert_eq!(last_error().as_deref(), Some("no NUL, please"), "reads are good");
    store.store.behave(Behaviour::Away);
    sleep(seconds(2)).await;
    assert_eq!(last_error().as_deref(), Some("the store is away"));
    store.store.behave(Behaviour::Good);
    sleep(seconds(10)).await;
    assert_eq!(last_error().as_deref(), Some("no NUL, please"));
    store.cannot_be_written.store(false, Ordering::Relaxed);
    sleep(seconds(60)).await;
    assert_eq!(last_error(), None);
}

#[tokio::test(start_paused = true)]
async fn list_is_ready_after_reading_all_pages() {
    #[derive(Clone)]
    struct Slow(Arc<Vec<Revocation>>);
    impl RevocationStore for Slow {
        fn write(&self, _: Vec<Revocation>) -> StoreFuture<()> {
            Box::pin(async { Ok(()) })
        }

        fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
            let from = position.map_or(0, |position| position.parse().unwrap());
            let until = (from + 10).min(self.0.len());
            let (page, position) = (self.0[from..until].to_vec(), until.to_string());
            let is_last = until == self.0.len();
            Box::pin(async move {
                sleep(seconds(1)).await;
                Ok(if is_last {
                    RevocationPage::last(page, position)
                } else {
                    RevocationPage::with_more(page, position)
                })
            })
        }
    }
    let session = |n: u64, expiry| Revocation::session(ISSUER, n.to_string(), at(expiry));
    // Half of them expired more than an hour ago.
    let entries = (0..100).map(|n| session(n, if n % 2 == 0 { EXPIRY } else { NOW - 3700 }));
    let store = Slow(Arc::new(entries.collect()));
    let revocations = SharedRevocations::new(store).start().unwrap().clock(|| at(NOW));
    let start = Instant::now();
    sleep(Duration::from_millis(9900)).await;
    assert!(!revocations.is_ready());
    assert_eq!(revocations.len(), 45);
    let verifier = verifier().revocations(revocations.clone());
    assert_eq!(judge(&verifier, "not on it").await, Some(RevocationsUnavailable));
    revocations.ready().await.unwrap();
    assert_eq!(start.elapsed(), seconds(10));
    assert_eq!(revocations.len(), 50);
    assert_eq!(judge(&verifier, "not on it").await, None);
}

#[tokio::test(start_paused = true)]
async fn list_stays_valid_until_the_outage_limit() {
    for (limit, counts_for) in [(None, 60), (Some(seconds(600)), 600), (Some(Duration::ZERO), 2)] {
        for behaviour in [Behaviour::Away, Behaviour::Hangs, Behaviour::Panics] {
            let store = Store::default();
            let shared = SharedRevocations::new(store.clone());
            let shared = match limit {
                Some(limit) => shared.outage_limit(limit),
                None => shared,
            };
            let revocations = shared.start().unwrap();
            let plain = verifier().revocations(revocations.clone());
            let verifiers = [plain.clone(), plain.cache(CacheSettings::new())];
            revocations.ready().await.unwrap();
            end(&revocations, "a").await.unwrap();
            for verifier in &verifiers {
                assert_eq!(judge(verifier, "b").await, None);
            }
            store.behave(behaviour);
            sleep(seconds(counts_for - 1)).await;
            for verifier in &verifiers {
                assert_eq!(judge(verifier, "b").await, None, "within {limit:?}");
            }
            sleep(seconds(2)).await;
            for verifier in &verifiers {
                assert_eq!(judge(verifier, "b").await, Some(RevocationsUnavailable), "after {limit:?}");
                assert_eq!(judge(verifier, "a").await, Some(Revoked), "known revocations stay");
            }
            store.behave(Behaviour::Good);
            // A hanging read times out after five seconds.
            sleep(seconds(6)).await;
            for verifier in &verifiers {
                assert_eq!(judge(verifier, "b").await, None, "it is back");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn revocations_of_an_outage_are_written_later() {
    for behaviour in [Behaviour::Away, Behaviour::Hangs, Behaviour::Panics] {
        let store = Store::default();
        let (first, second) = (store.lists(), store.lists());
        let verifiers = [&first, &second].map(|list| verifier().revocations(list.clone()));
        second.ready().await.unwrap();
        store.behave(behaviour);
        let start = Instant::now();
        let error = end(&first, "a").await.unwrap_err();
        assert_eq!(start.elapsed(), seconds(2));
        let text = "the shared store has not confirmed the revocation; it applies in this process only";
        assert_eq!(error.to_string(), text);
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(judge(&verifiers[0], "a").await, Some(Revoked), "it takes effect at once in this process");
        assert_eq!(judge(&verifiers[1], "a").await, None);
        assert!(error.will_retry());
        let stats = first.shared_stats().unwrap();
        assert_eq!((stats.waiting(), stats.oldest_waiting()), (1, Some(seconds(2))));
        let later = end(&first, "b");
        store.behave(Behaviour::Good);
        sleep(seconds(6)).await;
        assert_eq!(later.await.map_err(|error| error.to_string()), Ok(()));
        for sid in ["a", "b"] {
            assert_eq!(judge(&verifiers[1], sid).await, Some(Revoked), "{sid}");
        }
        let stats = first.shared_stats().unwrap();
        assert_eq!((stats.waiting(), stats.oldest_waiting()), (0, None));
    }
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_write_up_to_the_timeout() {
    let store = Store::default();
    store.behave(Behaviour::Hangs);
    for limit in [0, 1, 10].map(seconds) {
        let list = SharedRevocations::new(store.clone()).write_timeout(limit).start().unwrap();
        let start = Instant::now();
        assert!(end(&list, "a").await.unwrap_err().will_retry());
        assert_eq!(start.elapsed(), limit);
    }
}

#[test]
fn revocation_takes_effect_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let list = {
        let _inside = runtime.enter();
        Store::default().lists()
    };
    let error = futures_util::FutureExt::now_or_never(end(&list, "a")).unwrap().unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "no tokio runtime: awaiting the write needs one"
    );
    assert!(error.will_retry());
    let verifier = verifier().revocations(list);
    assert_eq!(runtime.block_on(judge(&verifier, "a")), Some(Revoked));
}

/// Rejects NUL, as PostgreSQL does, and everything while it cannot be written.
#[derive(Clone, Default)]
struct Picky {
    store: Store,
    cannot_be_written: Arc<AtomicBool>,
}

impl RevocationStore for Picky {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        let is_rejected =
            revocations.iter().any(|one| serde_json::to_string(one).unwrap().contains("\\u0000"));
        if is_rejected || self.cannot_be_written.load(Ordering::Relaxed) {
            return Box::pin(async { Err("no NUL, please".into()) });
        }
        self.store.write(revocations)
    }

    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        self.store.read(position)
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_entry_does_not_block_others() {
    let picky = Picky::default();
    let store = &picky.store;
    let revocations = SharedRevocations::new(picky.clone()).start().unwrap();
    let rejected = end(&revocations, "\0");
    let others: Vec<_> = (0..1000).map(|n| end(&revocations, &n.to_string())).collect();
    for other in others {
        other.await.unwrap();
    }
    let error = rejected.await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no NUL, please");
    assert_eq!(revocations.shared_stats().unwrap().waiting(), 1);
    end(&revocations, "later").await.unwrap();
    assert!(revocations.is_ready());

    // Retries of the rejected entry cause no other writes.
    sleep(seconds(20)).await;
    let writes = store.0.writes.load(Ordering::Relaxed);
    sleep(seconds(120)).await;
    assert_eq!(store.0.writes.load(Ordering::Relaxed), writes);

    // Entries lost in an outage are still rewritten.
    for outage in [5, 100] {
        end(&revocations, "last").await.unwrap();
        store.behave(Behaviour::Away);
        store.0.log.lock().unwrap().clear();
        sleep(seconds(outage)).await;
        store.behave(Behaviour::Good);
        sleep(seconds(15)).await;
        assert_eq!(store.names(), ["last"], "entries written within a minute, {outage} s");
        sleep(seconds(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_entries_do_not_block_later_ones() {
    let store = Picky::default();
    let revocations = SharedRevocations::new(store.clone()).start().unwrap();
    for n in 0..7000 {
        drop(end(&revocations, &format!("\0{n}")));
        if n % 250 == 0 {
            sleep(seconds(3)).await;
            drop(end(&revocations, &n.to_string()));
        }
    }
    sleep(seconds(60)).await;
    drop(end(&revocations, "later"));
    sleep(seconds(30)).await;
    assert!(store.store.names().contains(&"later".to_owned()));
    assert_eq!(store.store.names().len(), 7000 / 250 + 1);
    assert_eq!(revocations.shared_stats().unwrap().waiting(), 7000, "all are retried");
}

#[tokio::test(start_paused = true)]
async fn rejected_entry_is_dropped_after_expiry() {
    let revocations = SharedRevocations::new(Picky::default()).start().unwrap();
    let ago = |hours: u64| SystemTime::now() - seconds(3600 * hours);
    for (sid, hours, waiting) in [("\0a", 2, 0), ("\0b", 0, 1), ("\0c", 2, 1)] {
        drop(revocations.revoke_session(ISSUER, sid, ago(hours)));
        sleep(seconds(60)).await;
        assert_eq!(revocations.shared_stats().unwrap().waiting(), waiting, "{sid}");
    }
}

/// The store is back, and later entries are never accepted.
#[tokio::test(start_paused = true)]
async fn failed_entries_do_not_wait_for_rejected_ones() {
    let picky = Picky::default();
    let revocations = SharedRevocations::new(picky.clone()).start().unwrap();
    revocations.ready().await.unwrap();
    picky.store.behave(Behaviour::Away);
    drop(end(&revocations, "good"));
    sleep(seconds(10)).await;
    for n in 0..200 {
        drop(end(&revocations, &format!("\0{n}")));
        sleep(Duration::from_millis(100)).await;
    }
    picky.store.behave(Behaviour::Good);
    sleep(seconds(15)).await;
    assert_eq!(picky.store.names(), ["good"]);
}

/// A process that ends during an outage waits a while for the store.
#[tokio::test(start_paused = true)]
async fn lost_entries_are_rewritten_at_shutdown() {
    for expected in [&["lately", "meanwhile"][..], &["lately"]] {
        let store = Store::default();
        let revocations = store.lists();
        end(&revocations, "lately").await.unwrap();
        store.behave(Behaviour::Away);
        store.0.log.lock().unwrap().clear();
        if expected.len() == 2 {
            drop(end(&revocations, "meanwhile"));
        }
        sleep(seconds(5)).await;
        drop(revocations);
        sleep(seconds(5)).await;
        store.behave(Behaviour::Good);
        sleep(seconds(15)).await;
        assert_eq!(store.names(), expected);
        assert_eq!(Arc::strong_count(&store.0), 1, "the task has ended");
    }
}

/// The store fails again before it has saved the rewritten entries.
#[tokio::test(start_paused = true)]
async fn entries_lost_twice_are_rewritten_twice() {
    let store = Store::default();
    let revocations = store.lists();
    end(&revocations, "lately").await.unwrap();
    for n in 0..3 {
        store.behave(Behaviour::Away);
        store.0.log.lock().unwrap().clear();
        sleep(seconds(100)).await;
        store.behave(Behaviour::Good);
        sleep(seconds(15)).await;
        end(&revocations, &format!("new {n}")).await.unwrap();
        assert!(store.names().contains(&"lately".to_owned()), "{n}");
    }
}

/// The store accepts fewer entries at once than there are, and does not report it.
#[tokio::test(start_paused = true)]
async fn lost_entries_are_rewritten_in_smaller_batches() {
    #[derive(Clone, Default)]
    struct Slow(Store, Arc<AtomicBool>);
    impl RevocationStore for Slow {
        fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
            match revocations.len() > 100 && self.1.load(Ordering::Relaxed) {
                true => Box::pin(std::future::pending()),
                false => self.0.write(revocations),
            }
        }

        fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
            self.0.read(position)
        }
    }
    let slow = Slow::default();
    let revocations = SharedRevocations::new(slow.clone()).start().unwrap();
    for n in 0..1000 {
        drop(end(&revocations, &n.to_string()));
    }
    sleep(seconds(5)).await;
    assert_eq!(slow.0.len(), 1000);
    slow.0.behave(Behaviour::Away);
    slow.0.0.log.lock().unwrap().clear();
    slow.1.store(true, Ordering::Relaxed);
    sleep(seconds(5)).await;
    slow.0.behave(Behaviour::Good);
    sleep(seconds(300)).await;
    assert_eq!(slow.0.names().len(), 1000);
    // Then the rewriting ends.
    let writes = slow.0.0.writes.load(Ordering::Relaxed);
    sleep(seconds(300)).await;
    assert_eq!(slow.0.0.writes.load(Ordering::Relaxed), writes);
    assert!(slow.0.len() < 2000, "{}", slow.0.len());
}

/// A failed entry is not known to be rejected forever.
#[tokio::test(start_paused = true)]
async fn all_failed_entries_are_written_after_an_outage() {
    let store = Store::default();
    let revocations = store.lists();
    revocations.ready().await.unwrap();
    store.behave(Behaviour::Away);
    for n in 0..6000 {
        drop(end(&revocations, &n.to_string()));
    }
    sleep(seconds(1000)).await;
    store.behave(Behaviour::Good);
    sleep(Duration::from_millis(600)).await;
    store.behave(Behaviour::Away);
    sleep(seconds(20)).await;
    store.behave(Behaviour::Good);
    sleep(seconds(3)).await;
    assert_eq!(store.names().len(), 6000);
    assert_eq!(revocations.shared_stats().unwrap().waiting(), 0);
}

/// The store is back, but its first writes fail. They keep failing for longer than recent entries are
/// remembered.
#[tokio::test(start_paused = true)]
async fn failed_rewrite_of_lost_entries_is_retried() {
    let picky = Picky::default();
    let store = &picky.store;
    let revocations = SharedRevocations::new(picky.clone()).start().unwrap();
    end(&revocations, "lately").await.unwrap();
    store.behave(Behaviour::Away);
    store.0.log.lock().unwrap().clear();
    sleep(seconds(5)).await;
    picky.cannot_be_written.store(true, Ordering::Relaxed);
    store.behave(Behaviour::Good);
    sleep(seconds(100)).await;
    picky.cannot_be_written.store(false, Ordering::Relaxed);
    end(&revocations, "new").await.unwrap();
    sleep(seconds(15)).await;
    assert_eq!(store.names(), ["lately", "new"]);
}

#[tokio::test(start_paused = true)]
async fn hanging_store_does_not_delay_new_entries() {
    /// Responds only to the quick entry.
    #[derive(Clone, Default)]
    struct Slow(Store);
    impl RevocationStore for Slow {
        fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
            let is_quick = |one: &Revocation| serde_json::to_value(one).unwrap()["sid"] == "quick";
            match &revocations[..] {
                [one] if is_quick(one) => self.0.write(revocations),
                _ => Box::pin(std::future::pending()),
            }
        }

        fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
            self.0.read(position)
        }
    }
    let store = Slow::default();
    let revocations = SharedRevocations::new(store.clone()).start().unwrap();
    revocations.ready().await.unwrap();
    for n in 0..300 {
        drop(end(&revocations, &n.to_string()));
    }
    // Entries are now written one by one, which would take ten minutes.
    sleep(seconds(10)).await;
    drop(end(&revocations, "quick"));
    sleep(seconds(20)).await;
    assert!(store.0.len() >= 1, "the quick entry does not wait for the others");
    let start = Instant::now();
    drop(revocations);
    while Arc::strong_count(&store.0.0) > 1 {
        sleep(seconds(1)).await;
    }
    assert!(start.elapsed() < seconds(45), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn flapping_store_is_not_flooded() {
    let store = Store::default();
    let revocations = store.lists();
    for n in 0..5000 {
        drop(end(&revocations, &n.to_string()));
    }
    sleep(seconds(1)).await;
    assert_eq!(store.len(), 5000);
    for _ in 0..100 {
        store.behave(Behaviour::Away);
        sleep(Duration::from_millis(400)).await;
        store.behave(Behaviour::Good);
        sleep(Duration::from_millis(400)).await;
    }
    // In 80 seconds: at most once every ten.
    assert!(store.len() <= 10 * 5000, "{}", store.len());
    sleep(seconds(15)).await;
    assert!(store.len() >= 2 * 5000, "{}", store.len());
}

/// A store such as Redis may confirm entries before it saves them.
#[tokio::test(start_paused = true)]
async fn recent_entries_are_rewritten_after_an_outage() {
    let store = Store::default();
    let revocations = store.lists();
    revocations.ready().await.unwrap();
    end(&revocations, "long ago").await.unwrap();
    sleep(seconds(100)).await;
    end(&revocations, "lately").await.unwrap();
    // The store loses everything, and is away for a long time.
    store.behave(Behaviour::Away);
    store.0.log.lock().unwrap().clear();
    sleep(seconds(600)).await;
    let lost_in_between = end(&revocations, "meanwhile");
    store.behave(Behaviour::Good);
    lost_in_between.await.unwrap();
    sleep(seconds(2)).await;
    assert_eq!(store.names(), ["lately", "meanwhile"]);
    // Running processes still know the lost entries. Those that start later do not.
    let started = store.lists();
    started.ready().await.unwrap();
    for (list, expected) in [(&revocations, Some(Revoked)), (&started, None)] {
        assert_eq!(judge(&verifier().revocations(list.clone()), "long ago").await, expected);
    }
    drop(started);

    // Without an outage nothing is written twice.
    let writes = store.0.writes.load(Ordering::Relaxed);
    sleep(seconds(100)).await;
    assert_eq!(store.0.writes.load(Ordering::Relaxed), writes);
}

#[tokio::test(start_paused = true)]
async fn waiting_entries_are_bounded() {
    let store = Store::default();
    store.behave(Behaviour::Away);
    let revocations = store.lists();
    for n in 0..100_600 {
        drop(end(&revocations, &n.to_string()));
    }
    let error = end(&revocations, "one more").await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "too many revocations are waiting for the store");
    assert!(!error.will_retry());
    assert!(revocations.shared_stats().unwrap().waiting() <= 100_500);
    store.behave(Behaviour::Good);
    revocations.ready().await.unwrap();
    assert_eq!(
        judge(&verifier().revocations(revocations), "one more").await,
        Some(Revoked),
        "in this process"
    );
}

#[tokio::test(start_paused = true)]
async fn last_handle_writes_the_rest_then_ends() {
    let store = Store::default();
    let revocations = store.lists();
    for n in 0..1200 {
        drop(end(&revocations, &n.to_string()));
    }
    drop(revocations);
    sleep(seconds(1)).await;
    assert_eq!(store.len(), 1200);
    assert_eq!(Arc::strong_count(&store.0), 1, "the task has ended");

    // The task also ends if the store is away.
    let revocations = store.lists();
    revocations.ready().await.unwrap();
    store.behave(Behaviour::Away);
    let recorded = end(&revocations, "a");
    drop(revocations);
    sleep(seconds(60)).await;
    assert!(recorded.await.is_err());
    assert_eq!(Arc::strong_count(&store.0), 1, "the task has ended");
}

/// Delays each write, and hangs on a session named "hangs".
#[derive(Clone)]
struct Slow(Store, Duration);

impl RevocationStore for Slow {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        let hangs = revocations.iter().any(|one| one.sid() == Some("hangs"));
        let time = if hangs { seconds(60) } else { self.1 };
        let written = self.0.write(revocations);
        Box::pin(async move {
            sleep(time).await;
            written.await
        })
    }

    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        self.0.read(position)
    }
}

#[tokio::test(start_paused = true)]
async fn slow_store_gets_everything_after_the_last_handle() {
    let store = Store::default();
    let revocations =
        SharedRevocations::new(Slow(store.clone(), Duration::from_millis(900))).start().unwrap();
    for n in 0..25_000 {
        drop(end(&revocations, &n.to_string()));
    }
    drop(revocations);
    sleep(seconds(120)).await;
    assert_eq!(store.names().len(), 25_000);
    assert_eq!(Arc::strong_count(&store.0), 1, "the task has ended");
}

#[tokio::test(start_paused = true)]
async fn halving_finds_the_entry_that_hangs_a_store() {
    for position in [0, 250, 499] {
        let store = Store::default();
        let revocations = SharedRevocations::new(Slow(store.clone(), Duration::ZERO)).start().unwrap();
        revocations.ready().await.unwrap();
        for n in 0..500 {
            drop(end(&revocations, &if n == position { "hangs".to_owned() } else { n.to_string() }));
        }
        // Nine halvings of two seconds each.
        sleep(seconds(20)).await;
        assert_eq!(store.names().len(), 499, "{position}");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_writes_are_limited_to_twenty_per_second() {
    let store = Picky::default();
    store.cannot_be_written.store(true, Ordering::Relaxed);
    let revocations = SharedRevocations::new(store.clone()).start().unwrap();
    for n in 0..1000 {
        drop(end(&revocations, &n.to_string()));
    }
    sleep(seconds(60)).await;
    let failed = revocations.shared_stats().unwrap().failed_writes();
    // In addition to the first attempt for each entry.
    assert!((60..60 * 20 + 1100).contains(&failed), "{failed}");
    store.cannot_be_written.store(false, Ordering::Relaxed);
    sleep(seconds(5)).await;
    assert_eq!(store.store.names().len(), 1000);
}

#[test]
fn list_becomes_outdated_without_its_runtime() {
    let error = SharedRevocations::new(Store::default()).start().unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::NoRuntime);
    let text =
        "no tokio runtime: the background task needs one; call SharedRevocations::start inside a runtime";
    assert_eq!(error.to_string(), text);

    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let first = runtime();
    let revocations = first.block_on(async {
        let revocations = SharedRevocations::new(Store::default()).outage_limit(seconds(2)).start().unwrap();
        revocations.ready().await.unwrap();
        revocations
    });
    let unread = first.block_on(async { SharedRevocations::new(Store::default()).start().unwrap() });
    drop(first);
    let verifier = verifier().revocations(revocations.clone());
    runtime().block_on(async {
        let error = end(&revocations, "a").await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the tokio runtime of the background task has shut down");
        assert!(!error.will_retry());
        // No task is left to report it.
        sleep(seconds(5)).await;
        assert_eq!(judge(&verifier, "b").await, Some(RevocationsUnavailable));
    });
    // Reading the error needs no runtime.
    let answer = pin!(unread.ready()).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.kind(), RevocationsUnavailable);
}

#[tokio::test]
async fn list_of_one_process_is_always_ready() {
    let revocations = Revocations::new();
    assert!(revocations.is_ready() && revocations.shared_stats().is_none());
    revocations.ready().await.unwrap();
    end(&revocations, "a").await.unwrap();
}

#[cfg(feature = "redis")]
#[test]
fn redis_url_is_checked_and_never_shown() {
    use tower_jwt_auth::revocation::RedisStore;
    let plain = "invalid Redis URL: it needs the form redis://user:password@host:6379";
    let tls = if cfg!(feature = "redis-tls") {
        "invalid Redis URL: it needs the form rediss://user:password@host:6379"
    } else {
        "invalid Redis URL: `rediss://` needs TLS; enable the feature `redis-tls`"
    };
    for (url, expected) in [
        ("", plain),
        ("127.0.0.1:6379", plain),
        ("http://:secret@host", plain),
        ("redis://:secret@host:65536", plain),
        ("redis://:secret@host/database", plain),
        ("rediss://:secret@host:65536", tls),
        ("REDISS://:secret@host:65536", tls),
        ("valkeys://:secret@host:65536", tls),
    ] {
        assert_eq!(RedisStore::new(url).unwrap_err().to_string(), expected, "{url}");
    }
    assert_eq!(RedisStore::new("rediss://:secret@host").is_ok(), cfg!(feature = "redis-tls"));
    let insecure = RedisStore::new("rediss://:secret@host/#insecure").unwrap_err().to_string();
    let text = "invalid Redis URL: it must not end in `#insecure`; any certificate would be accepted";
    assert_eq!(insecure, if cfg!(feature = "redis-tls") { text } else { tls });
    let store = RedisStore::new("redis://user:secret@host:6379/1").unwrap();
    let text = format!("{store:?} {:?}", SharedRevocations::new(store.clone()));
    assert!(!text.contains("secret"), "{text}");
}

#[cfg(feature = "redis-tls")]
#[test]
fn checks_root_certificates() {
    use crate::keys::fixture;
    use tower_jwt_auth::revocation::RedisStore;

    let none = "the certificates cannot be read: no certificate in PEM found; \
                it needs to begin with `-----BEGIN CERTIFICATE-----`";
    let damaged = "the certificates cannot be read: a certificate is damaged; copy it again";
    let url = "invalid Redis URL: root certificates need a `rediss://` URL";
    let ca = fixture("tls-ca.pem");
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    for (address, pem, expected) in [
        ("rediss://host", ca.clone(), None),
        ("rediss://host", format!("{ca}{ca}"), None),
        ("rediss://host", String::new(), Some(none)),
        ("rediss://host", fixture("p256.public.pem"), Some(none)),
        ("rediss://host", other.clone(), Some(damaged)),
        ("rediss://host", format!("{ca}{other}"), Some(damaged)),
        ("redis://host", ca, Some(url)),
    ] {
        let rejected = RedisStore::new(address).unwrap().root_certificates(&pem).err();
        assert_eq!(rejected.map(|error| error.to_string()).as_deref(), expected, "{address} {pem}");
    }
}
