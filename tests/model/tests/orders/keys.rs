//! Fetched keys: concurrent requests share one fetch, and each gets a response.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use shuttle::future::{self, block_on, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use tower_jwt_auth::jwks::{ClientFuture, HttpClient, RemoteKeys};
use tower_jwt_auth::keys::{KeyLookup, KeySource, Refresh};
use tower_jwt_auth::{AuthErrorKind, JwtVerifier, RegisteredClaims};

use crate::{ISSUER, NEW, OLD, Signed, ask, explore, later, until};

/// So long that nothing is scheduled.
const NEVER: Duration = Duration::from_secs(1_000_000_000);

/// The set that is served, and the fetches so far.
#[derive(Default)]
struct Provider {
    /// `None` if the provider is down.
    jwks: Mutex<Option<&'static str>>,
    hangs: bool,
    is_in_flight: AtomicBool,
    fetches: AtomicUsize,
}

impl Provider {
    fn of(signed: &'static Signed) -> Arc<Self> {
        let provider = Self::default();
        provider.serve(signed);
        Arc::new(provider)
    }

    fn serve(&self, signed: &'static Signed) {
        *self.jwks.lock().unwrap() = Some(&signed.jwks);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

struct Client(Arc<Provider>);

impl HttpClient for Client {
    fn fetch(&self, _: Request<Vec<u8>>, _: usize) -> ClientFuture {
        let provider = Arc::clone(&self.0);
        Box::pin(async move {
            let _in_flight = InFlight::begin(&provider);
            for _ in 0..thread_rng().gen_range(0..3) {
                yield_now().await;
            }
            let jwks = *provider.jwks.lock().unwrap();
            for _ in 0..thread_rng().gen_range(0..3) {
                yield_now().await;
            }
            if provider.hangs {
                pending::<()>().await;
            }
            Ok(Response::new(jwks.ok_or("down")?.into()))
        })
    }
}

/// A fetch in flight. There is never a second one.
struct InFlight<'a>(&'a Provider);

impl<'a> InFlight<'a> {
    fn begin(provider: &'a Provider) -> Self {
        provider.fetches.fetch_add(1, Ordering::Relaxed);
        assert!(!provider.is_in_flight.swap(true, Ordering::Relaxed), "two fetches at once");
        Self(provider)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.is_in_flight.store(false, Ordering::Relaxed);
    }
}

/// Returns keys that are fetched only on demand.
fn keys_of(provider: &Arc<Provider>) -> RemoteKeys {
    let keys =
        RemoteKeys::jwks_with("https://id.example.com/jwks.json", Client(Arc::clone(provider))).unwrap();
    keys.cooldown(NEVER).refresh_between(NEVER, NEVER).retry_between(NEVER, NEVER).outage_limit(NEVER)
}

fn verifier(keys: &RemoteKeys) -> JwtVerifier<RegisteredClaims> {
    JwtVerifier::new(keys.clone()).issuer(ISSUER)
}

/// Verifies these tokens, each in its own thread.
fn ask_at_once(keys: &RemoteKeys, tokens: &[&'static Signed]) -> Vec<Result<(), AuthErrorKind>> {
    let threads: Vec<_> = tokens
        .iter()
        .map(|signed| {
            let (verifier, signed) = (verifier(keys), *signed);
            thread::spawn(move || ask(&verifier, signed))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn first_requests_share_one_fetch() {
    explore(|| {
        let provider = Provider::of(&OLD);
        let keys = keys_of(&provider);
        assert_eq!(ask_at_once(&keys, &[&OLD, &OLD, &OLD]), [Ok(()); 3]);
        assert_eq!(provider.fetches(), 1);
    });
}

#[test]
fn concurrent_requests_share_a_failure() {
    explore(|| {
        let provider = Arc::new(Provider::default());
        let keys = keys_of(&provider);
        let answers = ask_at_once(&keys, &[&OLD, &OLD, &OLD]);
        assert_eq!(answers, [Err(AuthErrorKind::KeysUnavailable); 3]);
        assert_eq!(provider.fetches(), 1);
    });
}

#[test]
fn finds_new_key_while_old_one_ends() {
    explore(|| {
        let provider = Provider::of(&OLD);
        let keys = keys_of(&provider).cooldown(Duration::ZERO);
        assert_eq!(ask(&verifier(&keys), &OLD), Ok(()));

        provider.serve(&NEW);
        let answers = ask_at_once(&keys, &[&NEW, &OLD, &NEW]);
        assert_eq!((answers[0], answers[2]), (Ok(()), Ok(())));
        assert!(matches!(answers[1], Ok(()) | Err(AuthErrorKind::UnknownKey)), "{answers:?}");
    });
}

#[test]
fn fetch_in_flight_does_not_restore_purged_keys() {
    explore(|| {
        let provider = Provider::of(&OLD);
        let keys = keys_of(&provider);
        let asking = thread::spawn({
            let verifier = verifier(&keys);
            move || ask(&verifier, &OLD)
        });
        later();
        provider.serve(&NEW);
        keys.purge();
        block_on(keys.ready()).unwrap();
        assert_eq!(ask(&verifier(&keys), &OLD), Err(AuthErrorKind::UnknownKey));
        assert_eq!(ask(&verifier(&keys), &NEW), Ok(()));

        // It gets some response.
        let _ = asking.join().unwrap();
        // One before, unless the purge came first; one after; and one that looks for the purged key.
        assert!((1..=3).contains(&provider.fetches()), "{}", provider.fetches());
    });
}

#[test]
fn waiting_place_is_freed_after_each_request() {
    explore(|| {
        let provider = Provider::of(&OLD);
        let keys = keys_of(&provider).cooldown(Duration::ZERO).max_waiting(1);
        let answers = ask_at_once(&keys, &[&OLD, &OLD, &OLD]);
        assert!(answers.contains(&Ok(())), "{answers:?}");
        // A request that found no place may still see that the keys have arrived.
        let rejected = answers.iter().filter(|answer| **answer != Ok(())).count() as u64;
        assert!(rejected <= keys.stats().rejected_waiters(), "{answers:?}");

        provider.serve(&NEW);
        // A rejected request may have left a fetch in flight, which began earlier.
        let _ = ask(&verifier(&keys), &NEW);
        assert_eq!(ask(&verifier(&keys), &NEW), Ok(()));
    });
}

#[test]
fn cancelled_request_does_not_affect_others() {
    explore(|| {
        let provider = Provider::of(&OLD);
        let keys = keys_of(&provider).max_waiting(2);
        let given_up = future::spawn({
            let verifier = verifier(&keys);
            async move { verifier.verify(&OLD.token).await.map(|_| ()) }
        });
        let asking = thread::spawn({
            let verifier = verifier(&keys);
            move || ask(&verifier, &OLD)
        });
        later();
        given_up.abort();
        assert_eq!(asking.join().unwrap(), Ok(()));
        assert_eq!(provider.fetches(), 1);
    });
}

#[test]
fn last_handle_ends_the_task_and_wakes_waiters() {
    explore(|| {
        let provider = Arc::new(Provider { hangs: true, ..Provider::default() });
        let keys = keys_of(&provider);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let Refresh::Pending(refreshed) = keys.refresh(KeyLookup::missing(None)) else {
                    panic!("no key is held")
                };
                thread::spawn(move || block_on(refreshed).unwrap_err().kind())
            })
            .collect();
        later();
        let other = keys.clone();
        let dropping = thread::spawn(move || drop(other));
        drop(keys);
        dropping.join().unwrap();
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), AuthErrorKind::KeysUnavailable);
        }
        until(|| Arc::strong_count(&provider) == 1);
    });
}
