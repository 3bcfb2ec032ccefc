//! The background task, and its statistics.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey};
use tower_jwt_auth::JwtVerifier;
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::keys::{KeyLookup, KeySource, KeysRef, Refresh};

use super::{Provider, at_once, key_set, pass, rejection, seconds, token, verifier};

#[tokio::test(start_paused = true)]
async fn fetches_nothing_before_first_use() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys().cooldown(seconds(10));
    let _verifier = verifier(&keys);
    pass(1000).await;
    assert_eq!(provider.requests(), 0);
    assert!(!keys.is_ready());
    pass(1).await;
    assert!(keys.is_ready());
}

#[tokio::test(start_paused = true)]
async fn task_ends_with_the_last_handle() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, None);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    drop(keys);
    pass(10_000).await;
    assert!(provider.requests() > 10);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);

    let requests = provider.requests();
    drop(verifier);
    pass(10_000).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    assert_eq!((provider.requests(), Arc::strong_count(&provider.0)), (requests, 1));
}

#[tokio::test(start_paused = true)]
async fn hanging_fetch_ends_with_the_last_handle() {
    let provider = Provider::new();
    provider.hang();
    let keys = provider.keys();
    assert!(!keys.is_ready());
    pass(1).await;
    assert_eq!((provider.requests(), Handle::current().metrics().num_alive_tasks()), (1, 1));
    drop(keys);
    pass(1).await;
    assert_eq!((Handle::current().metrics().num_alive_tasks(), Arc::strong_count(&provider.0)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn stats_count_fetches_lookups_and_stale_uses() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys().refresh_between(seconds(60), seconds(60));
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, None);
    for _ in 0..2 {
        assert_eq!(rejection(&verifier, "b").await, Some(UnknownKey));
    }
    provider.fail();
    pass(65).await;
    assert_eq!(rejection(&verifier, "a").await, None);
    let stats = keys.stats();
    assert!(stats.fetches() > 1 && stats.failures() == stats.fetches() - 2, "{stats:?}");
    // The first token found no key. The second one found another key and caused a fetch, the third one hit
    // the cooldown, and the fourth one used stale keys.
    assert_eq!(
        (stats.unknown_keys(), stats.cooldown_hits(), stats.rejected_waiters()),
        (3, 1, 0),
        "{stats:?}"
    );
    assert_eq!((stats.stale_uses(), stats.keys(), stats.skipped()), (1, 1, 0), "{stats:?}");
    assert_eq!(stats.age(), Some(seconds(65)), "{stats:?}");
    // A readiness probe verifies no token.
    assert!(keys.is_ready());
    assert_eq!(keys.clone().stats().fetches(), stats.fetches());
}

#[test]
fn seeded_keys_serve_without_a_runtime() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert!(!keys.is_ready());
    keys.purge();
    assert_eq!(at_once(verifier.verify(&token("a"))).err(), Some(KeysUnavailable));
    let seeded = provider.keys().seed(key_set(&["a"]));
    assert!(at_once(super::verifier(&seeded).verify(&token("a"))).is_ok());
    let old = provider.keys().seed(key_set(&["a"])).outage_limit(Duration::ZERO);
    std::thread::sleep(Duration::from_millis(110));
    assert_eq!(at_once(super::verifier(&old).verify(&token("a"))).err(), Some(KeysUnavailable));
    assert_eq!(provider.requests(), 0);
}

#[test]
fn decides_settled_tokens_without_a_runtime() {
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    let verifier = verifier(&keys);
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    // The first fetch, and a lookup of this key.
    for _ in 0..2 {
        assert_eq!(runtime.block_on(rejection(&verifier, "b")), Some(UnknownKey));
    }
    assert_eq!(at_once(verifier.verify(&token("b"))).err(), Some(UnknownKey));
    assert_eq!(at_once(verifier.verify(&token("c"))).err(), Some(KeysUnavailable), "no runtime for a lookup");
}

#[tokio::test(start_paused = true)]
async fn outdated_seed_never_serves() {
    let provider = Provider::new();
    let keys = provider.keys().seed(key_set(&["a"])).outage_limit(seconds(1000));
    pass(1001).await;
    assert_eq!(rejection(&verifier(&keys), "a").await, Some(KeysUnavailable));
}

/// Keys that are fetched just after the held ones were read.
struct JustFetched(RemoteKeys);

impl KeySource for JustFetched {
    fn current(&self) -> KeysRef<'_> {
        self.0.current()
    }

    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        let keys = self.0.clone();
        let ready = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(keys.ready())
        });
        ready.join().unwrap().unwrap();
        self.0.refresh(lookup)
    }
}

#[test]
fn key_fetched_just_after_a_lookup_is_used() {
    let provider = Provider::of(&["a"]);
    let just_fetched = JustFetched(provider.keys());
    let verifier = JwtVerifier::<serde_json::Value>::new(just_fetched)
        .issuer(crate::support::ISSUER)
        .audience(crate::support::AUDIENCE)
        .clock(|| crate::support::at(crate::support::NOW));
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
}

#[test]
fn keys_outlive_their_runtime() {
    let runtime = || Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let provider = Provider::of(&["a"]);
    let keys = provider.keys();
    let verifier = verifier(&keys);
    runtime().block_on(async {
        assert_eq!(rejection(&verifier, "a").await, None);
        provider.hang();
        pass(605).await;
    });
    // Its last fetch was interrupted. The next request starts a new task.
    assert!(at_once(verifier.verify(&token("a"))).is_ok());
    provider.serve(&["b"]);
    runtime().block_on(async {
        assert!(at_once(verifier.verify(&token("a"))).is_ok());
        // Paused time in the other runtime was not real, so it has yet to pass here.
        pass(700).await;
        assert_eq!(rejection(&verifier, "b").await, None);
    });
    drop(verifier);
    assert_eq!(keys.current().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn client_panic_counts_as_a_failure() {
    let provider = Provider::new();
    provider.answer(|_| panic!("a bug in the application"));
    let keys = provider.keys();
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    for _ in 0..100 {
        assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
    }
    assert_eq!((provider.requests(), keys.stats().failures()), (1, 1));
    assert_eq!(keys.last_error().unwrap().to_string(), "the HTTP client panicked");
    provider.serve(&["a"]);
    keys.ready().await.unwrap();
    assert_eq!(rejection(&verifier, "a").await, None);
}
