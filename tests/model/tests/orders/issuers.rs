//! Issuers that are looked up: concurrent requests share one lookup, and each gets a response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use shuttle::future::{self, block_on, yield_now};
use shuttle::thread;
use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
use tower_jwt_auth::{AuthErrorKind, JwtVerifier, KeySet, RegisteredClaims};

use crate::{NEW, OLD, Signed, explore, later};

/// The application's list of issuers, which counts its lookups.
#[derive(Default)]
struct Directory {
    is_down: bool,
    is_in_flight: AtomicBool,
    lookups: AtomicUsize,
}

impl Directory {
    fn resolver(self: &Arc<Self>) -> IssuerResolver<RegisteredClaims> {
        let directory = Arc::clone(self);
        IssuerResolver::new(move |issuer: String| {
            let directory = Arc::clone(&directory);
            async move {
                let _in_flight = InFlight::begin(&directory);
                yield_now().await;
                yield_now().await;
                if directory.is_down {
                    return Err("down");
                }
                let keys = KeySet::from(OLD.key.clone());
                Ok(Some(JwtVerifier::new(keys).issuer(issuer)))
            }
        })
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

/// A lookup in flight. There is never a second one for the same issuer.
struct InFlight<'a>(&'a Directory);

impl<'a> InFlight<'a> {
    fn begin(directory: &'a Directory) -> Self {
        directory.lookups.fetch_add(1, Ordering::Relaxed);
        assert!(!directory.is_in_flight.swap(true, Ordering::Relaxed), "two lookups at once");
        Self(directory)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.is_in_flight.store(false, Ordering::Relaxed);
    }
}

fn issuers(resolver: IssuerResolver<RegisteredClaims>) -> Issuers<RegisteredClaims> {
    Issuers::default().resolver(resolver)
}

fn ask(issuers: &Issuers<RegisteredClaims>) -> Result<(), AuthErrorKind> {
    ask_with(issuers, &OLD)
}

fn ask_with(issuers: &Issuers<RegisteredClaims>, signed: &Signed) -> Result<(), AuthErrorKind> {
    match block_on(issuers.verify(&signed.token).into_future()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

fn ask_at_once(issuers: &Issuers<RegisteredClaims>, requests: usize) -> Vec<Result<(), AuthErrorKind>> {
    let threads: Vec<_> = (0..requests)
        .map(|_| {
            let issuers = issuers.clone();
            thread::spawn(move || ask(&issuers))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn concurrent_requests_share_one_lookup() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        assert_eq!(ask_at_once(&issuers(directory.resolver()), 3), [Ok(()); 3]);
        assert_eq!(directory.lookups(), 1);
    });
}

#[test]
fn concurrent_requests_share_a_failure() {
    explore(|| {
        let directory = Arc::new(Directory { is_down: true, ..Directory::default() });
        let answers = ask_at_once(&issuers(directory.resolver()), 3);
        assert_eq!(answers, [Err(AuthErrorKind::KeysUnavailable); 3]);
        assert_eq!(directory.lookups(), 1);
    });
}

/// Each request waits for a renewal, because the maximum age is zero.
#[test]
fn renewals_are_shared_and_never_overlap() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        let issuers = issuers(directory.resolver().max_age(Duration::ZERO));
        assert_eq!(ask(&issuers), Ok(()));
        assert_eq!(ask_at_once(&issuers, 3), [Ok(()); 3]);
        assert!((2..=4).contains(&directory.lookups()), "{}", directory.lookups());
    });
}

#[test]
fn leaving_client_does_not_stop_a_renewal() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        let issuers = issuers(directory.resolver().max_age(Duration::ZERO).max_waiting(1));
        assert_eq!(ask(&issuers), Ok(()));
        leave(&issuers, 1);
        assert_eq!(ask(&issuers), Ok(()));
    });
}

#[test]
fn leaving_clients_free_their_places() {
    explore(|| {
        let directory = Arc::new(Directory::default());
        let issuers = issuers(directory.resolver().max_waiting(1));
        leave(&issuers, 2);
        assert_eq!(ask(&issuers), Ok(()));
        assert_eq!(directory.lookups(), 1);
    });
}

/// Cancels this many requests, each at any point of its progress.
fn leave(issuers: &Issuers<RegisteredClaims>, requests: usize) {
    let requests: Vec<_> = (0..requests)
        .map(|_| {
            let issuers = issuers.clone();
            future::spawn(async move { issuers.verify(&OLD.token).await.map(|_| ()) })
        })
        .collect();
    later();
    for request in requests {
        request.abort();
        let _ = block_on(request);
    }
}

/// A lookup in flight has read the old key before it was replaced.
#[test]
fn removed_issuer_does_not_come_back() {
    for max_age in [Duration::MAX, Duration::ZERO] {
        explore(move || {
            let is_replaced = Arc::new(AtomicBool::new(false));
            let current = Arc::clone(&is_replaced);
            let resolver = IssuerResolver::new(move |issuer: String| {
                let signed: &Signed = if current.load(Ordering::SeqCst) { &NEW } else { &OLD };
                let verifier = JwtVerifier::new(KeySet::from(signed.key.clone())).issuer(issuer);
                async move {
                    yield_now().await;
                    yield_now().await;
                    Ok::<_, &str>(Some(verifier))
                }
            });
            let issuers = issuers(resolver.max_age(max_age));
            let asking = thread::spawn({
                let issuers = issuers.clone();
                move || ask_at_once(&issuers, 2)
            });
            later();
            is_replaced.store(true, Ordering::SeqCst);
            issuers.remove(crate::ISSUER);
            assert_eq!(ask_with(&issuers, &NEW), Ok(()));
            assert_eq!(ask_with(&issuers, &OLD), Err(AuthErrorKind::UnknownKey));
            let _ = asking.join().unwrap();
            assert_eq!(ask_with(&issuers, &OLD), Err(AuthErrorKind::UnknownKey));
            assert_eq!(ask_with(&issuers, &NEW), Ok(()));
        });
    }
}
