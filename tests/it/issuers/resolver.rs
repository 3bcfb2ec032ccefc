//! Issuers that are looked up: shared lookups, renewal, and outages.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey, WrongAudience};
use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
use tower_jwt_auth::{AuthErrorKind, JwtVerifier, Verdict};

use super::*;
use crate::support::without_deadlock;

pub(super) const TENANT: &str = "https://tenant-1.example.com";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The application's list of tenants. Their issuers begin with `https://tenant-`.
#[derive(Clone)]
pub(super) struct Directory(Arc<State>);

struct State {
    mode: Mutex<Mode>,
    /// The time until a response.
    delay: Mutex<Duration>,
    secret: AtomicU8,
    lookups: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    Up,
    Down,
    Hangs,
    Panics,
    /// No tenant exists.
    Empty,
    /// The verifier requires another issuer.
    MixedUp,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            mode: Mutex::new(Mode::Up),
            delay: Mutex::default(),
            secret: AtomicU8::new(9),
            lookups: AtomicUsize::new(0),
            last: Mutex::default(),
        }))
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.0.mode.lock().unwrap() = mode;
    }

    pub(super) fn delay(&self, delay: Duration) {
        *self.0.delay.lock().unwrap() = delay;
    }

    fn secret(&self, secret: u8) {
        self.0.secret.store(secret, Ordering::SeqCst);
    }

    /// Returns how many lookups have begun since the last call.
    pub(super) fn lookups(&self) -> usize {
        self.0.lookups.swap(0, Ordering::SeqCst)
    }

    pub(super) fn resolver(&self) -> IssuerResolver<Value> {
        let directory = self.clone();
        IssuerResolver::new(move |issuer: String| {
            let state = Arc::clone(&directory.0);
            async move {
                state.lookups.fetch_add(1, Ordering::SeqCst);
                *state.last.lock().unwrap() = Some(Instant::now());
                let (mode, secret) = (*state.mode.lock().unwrap(), state.secret.load(Ordering::SeqCst));
                let delay = *state.delay.lock().unwrap();
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                match mode {
                    Mode::Down => Err("the database is down"),
                    Mode::Hangs => std::future::pending().await,
                    Mode::Panics => panic!("the resolver panics as part of this test"),
                    Mode::Empty => Ok(None),
                    Mode::MixedUp => Ok(Some(verifier(A, secret))),
                    Mode::Up if issuer.starts_with("https://tenant-") => Ok(Some(verifier(&issuer, secret))),
                    Mode::Up => Ok(None),
                }
            }
        })
    }

    pub(super) fn issuers(&self) -> Issuers<Value> {
        resolved(self.resolver())
    }
}

pub(super) fn resolved(resolver: IssuerResolver<Value>) -> Issuers<Value> {
    Issuers::default().resolver(resolver)
}

/// Returns the rejection of a token, if the verdict is ready.
fn at_once(issuers: &Issuers<Value>, token: &str) -> Option<Option<AuthErrorKind>> {
    match issuers.verify(token) {
        Verdict::Ready(result) => Some(result.err().map(|error| error.kind())),
        Verdict::Pending(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn looks_up_each_issuer_once() {
    let directory = Directory::new();
    let issuers = Issuers::new([verifier(A, 1)]).unwrap().resolver(directory.resolver());
    for (name, mode, token, expected, lookups) in [
        ("one that needs no resolver", Mode::Up, token(A, 1), None, 0),
        ("new", Mode::Up, token("https://tenant-1", 9), None, 1),
        ("known", Mode::Up, token("https://tenant-1", 9), None, 0),
        ("known, forged", Mode::Up, token("https://tenant-1", 1), Some(UnknownKey), 0),
        ("another", Mode::Up, token("https://tenant-2", 9), None, 1),
        ("none", Mode::Up, token(B, 2), Some(UnknownKey), 1),
        ("none, known to be", Mode::Up, token(B, 2), Some(UnknownKey), 0),
        ("too long to be one", Mode::Up, token(&"x".repeat(1025), 2), Some(UnknownKey), 0),
        ("as long as one may be", Mode::Up, token(&"x".repeat(1024), 2), Some(UnknownKey), 1),
        ("broken", Mode::Down, token("https://tenant-3", 9), Some(KeysUnavailable), 1),
        ("broken, a moment ago", Mode::Up, token("https://tenant-3", 9), Some(KeysUnavailable), 0),
        ("not the one asked for", Mode::MixedUp, token("https://tenant-4", 9), Some(KeysUnavailable), 1),
        ("a panic", Mode::Panics, token("https://tenant-5", 9), Some(KeysUnavailable), 1),
    ] {
        directory.set(mode);
        assert_eq!(rejection(&issuers, &token).await, expected, "{name}");
        assert_eq!(directory.lookups(), lookups, "{name}");
    }
    directory.set(Mode::Up);
    sleep(Duration::from_secs(1)).await;
    for issuer in ["https://tenant-3", "https://tenant-4", "https://tenant-5"] {
        assert_eq!(
            rejection(&issuers, &token(issuer, 9)).await,
            None,
            "{issuer}: a failure is soon forgotten"
        );
    }
    directory.lookups();
    assert!(issuers.remove("https://tenant-1"));
    assert_eq!(rejection(&issuers, &token("https://tenant-1", 9)).await, None);
    assert_eq!(directory.lookups(), 1);
}

#[tokio::test(start_paused = true)]
async fn remembers_an_absent_issuer_for_a_minute() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    directory.set(Mode::Empty);
    assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, Some(UnknownKey));
    directory.set(Mode::Up);
    sleep(MINUTE - Duration::from_secs(1)).await;
    assert_eq!(at_once(&issuers, &token(TENANT, 9)), Some(Some(UnknownKey)));
    assert!(!issuers.remove(TENANT), "its absence is no longer remembered");
    assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, None);

    directory.set(Mode::Empty);
    assert_eq!(rejection(&issuers, &token(B, 9)).await, Some(UnknownKey));
    directory.lookups();
    sleep(MINUTE).await;
    assert_eq!(rejection(&issuers, &token(B, 9)).await, Some(UnknownKey));
    assert_eq!(directory.lookups(), 1);
}

/// The first request for each issuer has a reserved place.
#[tokio::test(start_paused = true)]
async fn waiting_requests_share_one_lookup_and_are_bounded() {
    for (mode, expected) in
        [(Mode::Up, None), (Mode::Empty, Some(UnknownKey)), (Mode::Down, Some(KeysUnavailable))]
    {
        let directory = Directory::new();
        directory.delay(Duration::from_secs(1));
        directory.set(mode);
        let issuers = resolved(directory.resolver().max_waiting(50));
        for _ in 0..2 {
            let mut tasks = JoinSet::new();
            for _ in 0..51 {
                let issuers = issuers.clone();
                tasks.spawn(async move { rejection(&issuers, &token(TENANT, 9)).await });
            }
            tokio::task::yield_now().await;
            assert_eq!(at_once(&issuers, &token(TENANT, 9)), Some(Some(KeysUnavailable)), "one more");
            // All clients leave. The lookup goes on, and others take their places.
            tasks.abort_all();
            while tasks.join_next().await.is_some() {}
        }
        let waiting: Vec<_> =
            (0..50).map(|_| tokio::spawn(issuers.verify(&token(TENANT, 9)).into_future())).collect();
        for answer in waiting {
            assert_eq!(answer.await.unwrap().err().map(|error| error.kind()), expected, "{mode:?}");
        }
        assert_eq!(directory.lookups(), 1, "{mode:?}");
    }
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn request_waiting_for_keys_frees_its_place() {
    let provider = crate::remote_keys::Provider::new();
    provider.hang();
    let keys = provider.keys();
    let resolver = IssuerResolver::new(move |issuer: String| {
        let verifier = JwtVerifier::<Value>::new(keys.clone()).issuer(issuer).audience(AUDIENCE);
        async {
            sleep(Duration::from_millis(1)).await;
            Ok::<_, ConfigError>(Some(verifier))
        }
    });
    let issuers = resolved(resolver.max_waiting(1));
    let ask = |issuer: &str| {
        tokio::spawn(issuers.verify(&crate::remote_keys::token_from(issuer, "a")).into_future())
    };
    let (first, second) = (ask(A), ask(A));
    let third = issuers.verify(&crate::remote_keys::token_from(A, "a"));
    assert!(matches!(third, Verdict::Ready(Err(_))), "both places are taken");
    sleep(Duration::from_millis(10)).await;
    let (other, another) = (ask(B), ask(B));
    for answer in [first, second, other, another] {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), KeysUnavailable);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        // Each request waited for its keys until the fetch ended, and none waited for a place.
        assert!(!cause.contains("max_waiting"), "{cause}");
    }
}

/// A verifier in constant use is renewed without a wait.
#[tokio::test(start_paused = true)]
async fn renews_early_in_the_background() {
    let directory = Directory::new();
    directory.delay(Duration::from_secs(1));
    let issuers = directory.issuers();
    let token = token(TENANT, 9);
    assert_eq!(rejection(&issuers, &token).await, None);
    let begun = Instant::now();
    while begun.elapsed() < HOUR {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(at_once(&issuers, &token), Some(None), "after {:?}", begun.elapsed());
    }
    let lookups = directory.lookups();
    assert!((7..=10).contains(&lookups), "{lookups} look-ups in an hour, of one in 7 to 9 minutes");
}

/// While the resolver answers, no verifier is older than `max_age`, however rarely it is used.
#[tokio::test(start_paused = true)]
async fn idle_verifier_is_renewed_before_use() {
    let directory = Directory::new();
    directory.delay(Duration::from_millis(100));
    let issuers = directory.issuers();
    let (old, new) = (token(TENANT, 9), token(TENANT, 8));
    assert_eq!(rejection(&issuers, &old).await, None);
    directory.secret(8);
    sleep(HOUR).await;
    directory.lookups();
    let waiting: Vec<_> =
        [&old, &new, &old, &new].map(|token| tokio::spawn(issuers.verify(token).into_future())).into();
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap().err().map(|error| error.kind()));
    }
    assert_eq!(answers, [Some(UnknownKey), None, Some(UnknownKey), None]);
    assert_eq!(directory.lookups(), 1);

    directory.set(Mode::Empty);
    sleep(HOUR).await;
    assert_eq!(rejection(&issuers, &new).await, Some(UnknownKey));
    assert_eq!(at_once(&issuers, &new), Some(Some(UnknownKey)), "as of a moment ago");
}

/// Without room to wait, requests are served as in an outage.
#[tokio::test(start_paused = true)]
async fn requests_waiting_for_renewal_are_bounded() {
    let directory = Directory::new();
    let issuers = resolved(directory.resolver().max_waiting(10));
    let token = token(TENANT, 9);
    assert_eq!(rejection(&issuers, &token).await, None);
    directory.delay(Duration::from_secs(1));
    sleep(HOUR).await;
    let waiting: Vec<_> = (0..11).map(|_| issuers.verify(&token)).collect();
    assert!(waiting.iter().all(|verdict| matches!(verdict, Verdict::Pending(_))));
    assert_eq!(at_once(&issuers, &token), Some(None));
}

#[tokio::test(start_paused = true)]
async fn hanging_lookup_does_not_hold_requests_for_long() {
    let directory = Directory::new();
    directory.set(Mode::Hangs);
    let issuers = directory.issuers();
    let token = token(TENANT, 9);
    let begun = Instant::now();
    let error = issuers.verify(&token).await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (KeysUnavailable, Duration::from_secs(2)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(directory.lookups(), 1);

    // The lookup times out after five seconds.
    sleep(Duration::from_millis(3500)).await;
    directory.set(Mode::Up);
    let error = issuers.verify(&token).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the resolver did not answer within 5 s: see IssuerResolver::lookup_timeout");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(500)), "the next lookup");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(rejection(&issuers, &token).await, None);

    // A slow lookup serves requests that come later.
    let slow = super::token("https://tenant-slow", 9);
    directory.delay(Duration::from_secs(4));
    assert_eq!(rejection(&issuers, &slow).await, Some(KeysUnavailable));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(rejection(&issuers, &slow).await, None);
    assert_eq!(begun.elapsed(), Duration::from_secs(10));

    // A hanging renewal delays requests during its first two seconds.
    directory.set(Mode::Hangs);
    sleep(HOUR).await;
    let begun = Instant::now();
    let (one, another) = (issuers.verify(&slow), issuers.verify(&slow));
    one.await.unwrap();
    another.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(at_once(&issuers, &slow), Some(None), "after {:?}", begun.elapsed());
    }

    // A renewal that failed long ago is waited for again.
    sleep(HOUR).await;
    directory.set(Mode::Empty);
    directory.delay(Duration::from_secs(1));
    assert_eq!(rejection(&issuers, &slow).await, Some(UnknownKey));
}

/// 24 hours are 144 times the maximum age of a verifier.
#[tokio::test(start_paused = true)]
async fn failed_renewals_end_at_the_outage_limit() {
    for mode in [Mode::Down, Mode::Hangs, Mode::Panics, Mode::MixedUp] {
        let directory = Directory::new();
        let issuers = directory.issuers();
        let token = token(TENANT, 9);
        assert_eq!(rejection(&issuers, &token).await, None);
        let begun = Instant::now();
        directory.set(mode);
        while begun.elapsed() < 24 * HOUR - 10 * MINUTE {
            sleep(10 * MINUTE).await;
            let known = issuers.verify(&token).await;
            assert!(known.is_ok(), "{mode:?}, after {:?}", begun.elapsed());
        }
        sleep(10 * MINUTE).await;
        for _ in 0..3 {
            assert_eq!(rejection(&issuers, &token).await, Some(KeysUnavailable), "{mode:?}");
            sleep(MINUTE).await;
        }
        directory.set(Mode::Up);
        sleep(Duration::from_secs(15)).await;
        assert_eq!(rejection(&issuers, &token).await, None, "{mode:?}: the resolver is back");
    }
}

/// Requests do not reach a failing database.
#[tokio::test(start_paused = true)]
async fn retries_failed_renewals_every_ten_seconds() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    let token = token(TENANT, 9);
    assert_eq!(rejection(&issuers, &token).await, None);
    directory.set(Mode::Down);
    sleep(9 * MINUTE).await;
    directory.lookups();
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(at_once(&issuers, &token), Some(None));
    }
    let lookups = directory.lookups();
    assert!((6..=7).contains(&lookups), "{lookups} look-ups in a minute");

    // If no verifier is left, the response says when the next lookup may begin.
    let issuers = resolved(directory.resolver().outage_limit(MINUTE));
    directory.set(Mode::Up);
    assert_eq!(rejection(&issuers, &token).await, None);
    directory.set(Mode::Down);
    sleep(HOUR).await;
    let error = issuers.verify(&token).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (KeysUnavailable, Some(Duration::from_secs(10))));
    sleep(Duration::from_secs(3)).await;
    let error = issuers.verify(&token).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    directory.set(Mode::Up);
    sleep(Duration::from_secs(7)).await;
    assert_eq!(rejection(&issuers, &token).await, None);
}

/// Otherwise a client could keep a replaced secret in use by cancelling the requests that renew it.
#[tokio::test(start_paused = true)]
async fn leaving_clients_do_not_stop_a_renewal() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    let (old, new) = (token(TENANT, 9), token(TENANT, 8));
    assert_eq!(rejection(&issuers, &old).await, None);
    directory.secret(8);
    directory.delay(Duration::from_secs(1));
    sleep(HOUR).await;
    for _ in 0..10 {
        drop(issuers.verify(&old));
    }
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(at_once(&issuers, &old), Some(Some(UnknownKey)));
    assert_eq!(at_once(&issuers, &new), Some(None));
}

#[tokio::test(start_paused = true)]
async fn max_age_of_zero_looks_up_each_request() {
    let directory = Directory::new();
    let issuers = resolved(directory.resolver().max_age(Duration::ZERO));
    for _ in 0..3 {
        assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, None);
        assert_eq!(directory.lookups(), 1);
    }
    directory.set(Mode::Down);
    assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, None, "it keeps serving");
    directory.set(Mode::Up);
    directory.secret(8);
    assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, Some(UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_do_not_overflow() {
    for extreme in [Duration::ZERO, Duration::MAX] {
        let directory = Directory::new();
        let resolver = directory.resolver().max_age(extreme).outage_limit(extreme).max_entries(0);
        let issuers =
            resolved(resolver.lookup_timeout(extreme).wait_timeout(extreme).max_waiting(usize::MAX));
        for _ in 0..3 {
            let _ = rejection(&issuers, &token(TENANT, 9)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn remembers_as_many_tenants_as_max_entries() {
    for tenants in [1, 2, 10, 100, 1000, 10_000] {
        let directory = Directory::new();
        let issuers = resolved(directory.resolver().max_entries(tenants));
        let named: Vec<_> = (0..tenants).map(|n| token(&format!("https://tenant-{n}"), 9)).collect();
        for pass in 0..2 {
            for token in &named {
                assert_eq!(rejection(&issuers, token).await, None);
            }
            let expected = if pass == 0 { tenants } else { 0 };
            assert_eq!(directory.lookups(), expected, "pass {pass} of {tenants}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn remembers_no_more_than_max_entries() {
    let directory = Directory::new();
    let issuers = resolved(directory.resolver().max_entries(10));
    for n in 0..5 {
        assert_eq!(rejection(&issuers, &token(&format!("https://tenant-{n}"), 9)).await, None);
    }
    // Unknown issuers evict no known ones.
    for n in 0..500 {
        assert_eq!(rejection(&issuers, &token(&format!("https://x-{n}"), 9)).await, Some(UnknownKey));
    }
    for n in 0..5 {
        assert_eq!(rejection(&issuers, &token(&format!("https://tenant-{n}"), 9)).await, None);
    }
    assert_eq!(directory.lookups(), 505);
    for n in (0..100).chain(0..100) {
        assert_eq!(rejection(&issuers, &token(&format!("https://tenant-{n}"), 9)).await, None);
    }
    let lookups = directory.lookups();
    assert!(lookups >= 190 - 5, "no more than ten are remembered: {lookups}");
}

/// A lookup in flight began before the removal.
#[tokio::test(start_paused = true)]
async fn removed_issuer_does_not_come_back() {
    for (name, is_known, mode) in [
        ("a first look-up", false, Mode::Up),
        ("a renewal", true, Mode::Up),
        ("a failed renewal", true, Mode::Down),
        ("a renewal that finds nothing", true, Mode::Empty),
    ] {
        let directory = Directory::new();
        let issuers = directory.issuers();
        let (old, new) = (token(TENANT, 9), token(TENANT, 8));
        if is_known {
            assert_eq!(rejection(&issuers, &old).await, None);
            sleep(HOUR).await;
        }
        directory.delay(Duration::from_secs(1));
        directory.set(mode);
        let waiting = tokio::spawn(issuers.verify(&old).into_future());
        tokio::task::yield_now().await;

        // The old secret is compromised.
        directory.secret(8);
        directory.set(Mode::Up);
        directory.delay(Duration::from_millis(100));
        assert_eq!(issuers.remove(TENANT), is_known, "{name}");
        assert_eq!(rejection(&issuers, &new).await, None, "{name}");
        assert!(waiting.await.unwrap().is_err(), "{name}");
        assert_eq!(at_once(&issuers, &new), Some(None), "{name}");
        assert_eq!(at_once(&issuers, &old), Some(Some(UnknownKey)), "{name}");
    }
}

/// A good signature is proof of the issuer, so the reason is given as usual.
#[tokio::test(start_paused = true)]
async fn signed_token_is_rejected_with_the_reason() {
    let issuers = Directory::new().issuers();
    let token = sign(&with_issuer(TENANT, "aud", json!("https://x")), 9);
    for _ in 0..2 {
        assert_eq!(rejection(&issuers, &token).await, Some(WrongAudience));
    }
}

#[test]
fn does_not_panic_without_a_runtime() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    let token = token(TENANT, 9);
    assert_eq!(at_once(&issuers, &token), Some(Some(KeysUnavailable)));
    let run = |future| {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    };
    assert_eq!(run(Box::pin(rejection(&issuers, &token))), None);
    assert_eq!(at_once(&issuers, &token), Some(None), "it is known");

    // A lookup ends with its runtime, and another one begins in the next.
    let other = super::token("https://tenant-2", 9);
    directory.set(Mode::Hangs);
    let is_begun = AtomicBool::new(false);
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        drop(issuers.verify(&other));
        tokio::task::yield_now().await;
        is_begun.store(true, Ordering::SeqCst);
    });
    assert!(is_begun.into_inner());
    directory.set(Mode::Up);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(run(Box::pin(rejection(&issuers, &other))), None);
}

/// Keys whose drop removes an issuer, as an application's cleanup may do.
struct RemovesOnDrop(KeySet, Arc<std::sync::OnceLock<Issuers<Value>>>, String);

impl tower_jwt_auth::keys::KeySource for RemovesOnDrop {
    fn current(&self) -> tower_jwt_auth::keys::KeysRef<'_> {
        (&self.0).into()
    }
}

impl Drop for RemovesOnDrop {
    fn drop(&mut self) {
        if let Some(issuers) = self.1.get() {
            issuers.remove(&self.2);
        }
    }
}

/// An error of the resolver or a store, whose drop removes an issuer too.
struct ErrorRemovesOnDrop(RemovesOnDrop);

impl std::fmt::Debug for ErrorRemovesOnDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.2)
    }
}

impl std::fmt::Display for ErrorRemovesOnDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database is down")
    }
}

impl std::error::Error for ErrorRemovesOnDrop {}

/// Returns issuers that remember one tenant and whose verifiers call back when dropped.
fn calling_back(mode: &Arc<Mutex<Mode>>) -> Issuers<Value> {
    let cell = Arc::new(std::sync::OnceLock::new());
    let (issuers, mode) = (Arc::clone(&cell), Arc::clone(mode));
    let resolver = IssuerResolver::new(move |issuer: String| {
        let (issuers, mode) = (Arc::clone(&issuers), *mode.lock().unwrap());
        async move {
            let keys = KeySet::hmac(Algorithm::HS256, secret::<32>(9)).unwrap();
            let keys = RemovesOnDrop(keys, issuers, issuer.clone());
            match mode {
                Mode::Up => {
                    Ok(Some(JwtVerifier::new(keys).issuer(issuer).audience(AUDIENCE).clock(|| at(NOW))))
                }
                Mode::Empty => Ok(None),
                _ => Err(ErrorRemovesOnDrop(keys)),
            }
        }
    });
    let issuers = resolved(resolver.max_entries(1).max_age(MINUTE).outage_limit(HOUR));
    assert!(cell.set(issuers.clone()).is_ok());
    issuers
}

#[test]
fn dropped_verifiers_and_errors_may_remove_issuers() {
    // Each step drops everything that the previous one has left.
    for (name, first, second) in [
        ("evicted", (TENANT, Mode::Up), ("https://tenant-2.example.com", Mode::Up)),
        ("renewed", (TENANT, Mode::Up), (TENANT, Mode::Up)),
        ("gone", (TENANT, Mode::Up), (TENANT, Mode::Empty)),
        ("failure", (TENANT, Mode::Up), (TENANT, Mode::Down)),
        ("failed tenants", (TENANT, Mode::Down), ("https://tenant-2.example.com", Mode::Down)),
    ] {
        println!("{name}");
        without_deadlock(move || async move {
            let mode = Arc::new(Mutex::new(Mode::Up));
            let issuers = calling_back(&mode);
            for (issuer, is) in [first, second, second, first] {
                *mode.lock().unwrap() = is;
                let _ = rejection(&issuers, &token(issuer, 9)).await;
                // All verifiers are due for renewal.
                sleep(2 * MINUTE).await;
                let _ = rejection(&issuers, &token(issuer, 9)).await;
                sleep(Duration::from_secs(40)).await;
            }
            let _ = issuers.remove(first.0);
            let _ = issuers.remove(second.0);
        });
    }
}

#[test]
fn removed_and_replaced_verifiers_may_remove_issuers() {
    without_deadlock(|| async {
        let mode = Arc::new(Mutex::new(Mode::Up));
        let issuers = calling_back(&mode);
        assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, None);
        assert!(issuers.remove(TENANT));

        // Added verifiers too.
        let cell = Arc::new(std::sync::OnceLock::from(issuers.clone()));
        let keys = || KeySet::hmac(Algorithm::HS256, secret::<32>(9)).unwrap();
        let added = || JwtVerifier::new(RemovesOnDrop(keys(), Arc::clone(&cell), B.to_owned())).issuer(A);
        issuers.add(added()).unwrap();
        issuers.add(added()).unwrap();
        assert!(issuers.remove(A));
    });
}

/// Counts its instances.
struct Counted;

static COUNTED: AtomicUsize = AtomicUsize::new(0);

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        COUNTED.fetch_add(1, Ordering::Relaxed);
        Ok(Self)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNTED.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn tenants_share_one_cache() {
    let resolver = IssuerResolver::new(async |issuer: String| {
        let keys = KeySet::hmac(Algorithm::HS256, secret::<32>(1)).unwrap();
        let verifier = JwtVerifier::<Counted>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
        let verifier = if issuer.ends_with('9') { verifier.without_cache() } else { verifier };
        Ok::<_, std::convert::Infallible>(Some(Arc::new(verifier.issuer(issuer))))
    });
    let issuers = Issuers::default().resolver(resolver.cache(CacheSettings::new().max_entries(40)));
    let tokens: Vec<_> = (0..100).map(|n| token(&format!("https://tenant-{n}"), 1)).collect();
    for token in tokens.iter().flat_map(|token| [token, token]) {
        issuers.verify(token).await.unwrap();
        assert!(COUNTED.load(Ordering::Relaxed) <= 40);
    }
    assert!(COUNTED.load(Ordering::Relaxed) > 30);
}

#[tokio::test]
async fn renewed_verifier_ignores_cached_old_verdicts() {
    let audience = Arc::new(Mutex::new(AUDIENCE));
    let current = Arc::clone(&audience);
    let resolver = IssuerResolver::new(move |issuer: String| {
        let audience = *current.lock().unwrap();
        async move {
            let verifier = JwtVerifier::<Value>::new(KeySet::hmac(Algorithm::HS256, secret::<32>(1))?);
            Ok::<_, ConfigError>(Some(verifier.clock(|| at(NOW)).issuer(issuer).audience(audience)))
        }
    });
    let (issuers, token) = (Issuers::default().resolver(resolver), token(TENANT, 1));
    for _ in 0..2 {
        assert_eq!(rejection(&issuers, &token).await, None);
    }
    *audience.lock().unwrap() = "https://other.example.com";
    assert_eq!(rejection(&issuers, &token).await, None);
    assert!(issuers.remove(TENANT));
    for _ in 0..2 {
        assert_eq!(rejection(&issuers, &token).await, Some(WrongAudience));
    }
}
