//! Caching verified tokens: which work is saved, and which checks run on every hit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{ServiceExt, service_fn};
use tower_jwt_auth::cache::{CacheSettings, CacheStats};
use tower_jwt_auth::keys::KeyStore;
use tower_jwt_auth::{
    Algorithm, AuthErrorKind, Claims, JwtAuthLayer, JwtVerifier, Key, KeySet, RegisteredClaims,
};
use tower_layer::Layer;

use crate::support::{
    AUDIENCE, ISSUER, NOW, SECRET, at, base64url, bearer, claims_with, for_oracle, good_claims, good_token,
    rejection, token, token_of, verifier,
};

mod memory;

/// A clock that tests set forward and back.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    fn drive(&self, verifier: JwtVerifier<Value>) -> JwtVerifier<Value> {
        let seconds = Arc::clone(&self.0);
        verifier.clock(move || at(seconds.load(Ordering::Relaxed)))
    }
}

#[track_caller]
fn stats<C>(verifier: &JwtVerifier<C>) -> CacheStats {
    verifier.cache_stats().unwrap()
}

#[track_caller]
fn assert_hits_and_misses(verifier: &JwtVerifier<Value>, hits: u64, misses: u64) {
    let stats = stats(verifier);
    assert_eq!((stats.hits(), stats.misses()), (hits, misses));
}

#[tokio::test]
async fn caches_unless_turned_off() {
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<Value>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    for hits in [0, 1] {
        verifier.verify(&good_token()).await.unwrap();
        assert_hits_and_misses(&verifier, hits, 1);
    }
    let verifier = verifier.without_cache();
    let first = verifier.verify(&good_token()).await.unwrap();
    let second = verifier.verify(&good_token()).await.unwrap();
    assert!(!std::ptr::eq(&*first, &*second));
    assert!(verifier.cache_stats().is_none());
}

#[test]
fn idle_verifier_costs_at_most_4_kib() {
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let mut verifiers = Vec::with_capacity(10);
    let used = allocation_counter::measure(|| {
        for keys in std::iter::repeat_n(keys, 10) {
            verifiers.push(JwtVerifier::<Value>::new(keys).audience(AUDIENCE).issuer(ISSUER));
        }
    });
    assert!(used.bytes_current < 10 * 4096, "{}", used.bytes_current);
}

#[tokio::test]
async fn repeated_token_is_cached_and_shares_claims() {
    let verifier = verifier().cache(CacheSettings::new());
    let first = verifier.verify(&good_token()).await.unwrap();
    assert_hits_and_misses(&verifier, 0, 1);
    let second = verifier.clone().verify(&good_token()).await.unwrap();
    assert_hits_and_misses(&verifier, 1, 1);
    assert!(std::ptr::eq(&*first, &*second));
    assert_eq!(second.token().expires_at(), Some(at(NOW + 300)));
    assert_eq!(second.token().issuer(), Some(ISSUER));
    assert_eq!(stats(&verifier).entries(), 1);
}

#[tokio::test]
async fn finds_cached_tokens_of_every_key() {
    let mut keys: Vec<_> =
        (0..6).map(|n| Key::hmac(Algorithm::HS256, secret(n)).unwrap().with_kid(n.to_string())).collect();
    keys.push(Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("k1"));
    let verifier = JwtVerifier::<Value>::new(KeySet::new(keys)).audience(AUDIENCE).clock(|| at(NOW));
    let verifier = verifier.cache(CacheSettings::new());
    let token = token_of(r#"{"alg":"HS256","kid":"k1"}"#, &good_claims().to_string());
    for hits in 0..3 {
        assert_eq!(rejection(&verifier, &token).await, None);
        assert_hits_and_misses(&verifier, hits, 1);
    }
}

#[tokio::test]
async fn rejects_cached_token_with_a_changed_byte() {
    let (verifier, good) = (verifier().cache(CacheSettings::new()), good_token());
    verifier.verify(&good).await.unwrap();
    for place in 0..good.len() {
        for other in [b'A', b'B', b'.', b'='] {
            let mut bytes = good.clone().into_bytes();
            if std::mem::replace(&mut bytes[place], other) == other {
                continue;
            }
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verifier.verify(&changed).await.is_err(), "{changed}");
        }
    }
    for changed in [format!("A{good}"), format!("{good}A"), good[1..].to_owned(), good[..9].to_owned()] {
        assert!(verifier.verify(&changed).await.is_err(), "{changed}");
    }
    assert_eq!(stats(&verifier).hits(), 0);
    verifier.verify(&good).await.unwrap();
    assert_hits_and_misses(&verifier, 1, stats(&verifier).misses());
}

#[tokio::test]
async fn rejects_other_claims_with_cached_signature() {
    let (verifier, good) = (verifier().cache(CacheSettings::new()), good_token());
    verifier.verify(&good).await.unwrap();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let other = claims_with("sub", json!("43")).to_string();
    assert_eq!(base64url(&other).len(), payload.len());
    let forged = format!("{header}.{}.{signature}", base64url(other));
    assert_eq!(rejection(&verifier, &forged).await, Some(AuthErrorKind::InvalidSignature));
}

#[tokio::test]
async fn rejected_tokens_are_not_cached() {
    let verifier = verifier().cache(CacheSettings::new());
    let expired = token(&claims_with("exp", json!(NOW - 300)));
    let forged = format!("{}A", &good_token()[..good_token().len() - 1]);
    for bad in [&expired, &forged, "garbage"] {
        for _ in 0..2 {
            assert!(verifier.verify(bad).await.is_err());
        }
    }
    assert_eq!(stats(&verifier).entries(), 0);
    assert_hits_and_misses(&verifier, 0, 6);
}

#[tokio::test]
async fn every_hit_checks_the_time() {
    let clock = Clock::new();
    let verifier = clock.drive(verifier()).cache(CacheSettings::new().max_age(Duration::from_secs(3600)));
    let mut claims = good_claims();
    claims["nbf"] = json!(NOW - 100);
    let token = token(&claims);
    for (moment, expected, is_hit) in [
        (NOW, None, false),
        (NOW + 299, None, true),
        // Only the full check grants leeway.
        (NOW + 300, None, false),
        (NOW + 359, None, false),
        (NOW + 360, Some(AuthErrorKind::Expired), false),
        (NOW, None, false),
        (NOW + 1, None, true),
        // The clock is set back.
        (NOW - 160, None, false),
        (NOW - 161, Some(AuthErrorKind::NotYetValid), false),
    ] {
        clock.set(moment);
        let hits = stats(&verifier).hits();
        assert_eq!(rejection(&verifier, &token).await, expected, "{moment}");
        assert_eq!(stats(&verifier).hits() - hits, u64::from(is_hit), "{moment}");
    }
}

#[tokio::test]
async fn cached_token_lives_no_longer_than_max_age() {
    let clock = Clock::new();
    let verifier = clock.drive(verifier()).cache(CacheSettings::new().max_age(Duration::from_secs(10)));
    for (moment, hits) in [(NOW, 0), (NOW + 9, 1), (NOW + 10, 1), (NOW + 19, 2), (NOW + 20, 2)] {
        clock.set(moment);
        verifier.verify(&good_token()).await.unwrap();
        assert_eq!(stats(&verifier).hits(), hits, "{moment}");
    }
}

#[tokio::test]
async fn lookup_evicts_an_expired_token() {
    let clock = Clock::new();
    let verifier = clock.drive(verifier()).cache(CacheSettings::new());
    verifier.verify(&good_token()).await.unwrap();
    assert_eq!(stats(&verifier).entries(), 1);
    clock.set(NOW + 400);
    assert_eq!(rejection(&verifier, &good_token()).await, Some(AuthErrorKind::Expired));
    assert_eq!(stats(&verifier).entries(), 0);
    assert_eq!(stats(&verifier).bytes(), 0);
}

/// Returns a token signed with a secret of [`secret`] and named after it.
fn token_by(n: u8, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(for_oracle(Algorithm::HS256)) };
    jsonwebtoken::encode(&header, &good_claims(), &EncodingKey::from_secret(&secret(n)).unwrap()).unwrap()
}

fn secret(n: u8) -> [u8; 32] {
    crate::support::secret(n)
}

fn key(n: u8) -> Key {
    Key::hmac(Algorithm::HS256, secret(n)).unwrap()
}

#[tokio::test]
async fn withdrawn_key_ends_its_cached_tokens_at_once() {
    let keys = KeyStore::new(KeySet::new([key(1).with_kid("1"), key(2).with_kid("2")]));
    let verifier = JwtVerifier::<Value>::new(keys.clone())
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        .cache(CacheSettings::new());
    let (first, second) = (token_by(1, Some("1")), token_by(2, Some("2")));
    for token in [&first, &second, &first, &second] {
        verifier.verify(token).await.unwrap();
    }
    assert_hits_and_misses(&verifier, 2, 2);

    // The second key is unchanged after the reload.
    keys.replace(KeySet::new([key(2).with_kid("2"), key(3).with_kid("3")]));
    assert_eq!(rejection(&verifier, &first).await, Some(AuthErrorKind::UnknownKey));
    assert_eq!(rejection(&verifier, &second).await, None);
    assert_hits_and_misses(&verifier, 3, 3);

    // The same key under another name does not match the token's `kid`.
    keys.replace(KeySet::new([key(2).with_kid("other")]));
    assert_eq!(rejection(&verifier, &second).await, Some(AuthErrorKind::UnknownKey));
    // Another key under the same name.
    keys.replace(KeySet::new([key(4).with_kid("2")]));
    assert_eq!(rejection(&verifier, &second).await, Some(AuthErrorKind::InvalidSignature));
    assert_eq!(stats(&verifier).entries(), 0);
}

#[tokio::test]
async fn different_settings_share_no_verdicts() {
    let cached = verifier().cache(CacheSettings::new());
    cached.verify(&good_token()).await.unwrap();

    for (name, changed, expected) in [
        ("audience", cached.clone().audience("https://other.example.com"), AuthErrorKind::WrongAudience),
        ("issuer", cached.clone().issuer("https://other.example.com"), AuthErrorKind::WrongIssuer),
        ("claim", cached.clone().require_claim("client_id", "x"), AuthErrorKind::WrongClaim),
        ("type", cached.clone().access_tokens_only(), AuthErrorKind::WrongTokenType),
        ("limit", cached.clone().max_token_bytes(100), AuthErrorKind::TokenTooLarge),
        ("clock", cached.clone().clock(|| at(NOW + 3600)), AuthErrorKind::Expired),
    ] {
        assert_eq!(rejection(&changed, &good_token()).await, Some(expected), "{name}");
        assert_eq!(stats(&changed).hits(), 0, "{name}");
    }
    assert_eq!(rejection(&cached, &good_token()).await, None);
    assert_hits_and_misses(&cached, 1, 1);
}

/// Returns different good tokens.
fn tokens(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| token(&claims_with("sub", json!(n.to_string()))))
}

#[tokio::test]
async fn cache_stays_within_max_entries() {
    for most in [0, 1, 2, 31, 32, 33, 100, 1000] {
        let verifier = verifier().cache(CacheSettings::new().max_entries(most));
        let tokens: Vec<_> = tokens(3 * most + 10).collect();
        for token in &tokens {
            // A token is cached at once while there is room, and the second time if there is none.
            for _ in 0..2 {
                verifier.verify(token).await.unwrap();
                assert!(stats(&verifier).entries() <= most, "{most}");
            }
        }
        let stats = stats(&verifier);
        assert!(stats.entries() >= most * 9 / 10, "{most}: {}", stats.entries());
        assert!(most == 0 || stats.evictions() as usize + stats.entries() == tokens.len(), "{most}");
        assert_eq!(stats.hits() + stats.misses(), 2 * tokens.len() as u64, "{most}");
    }
}

#[tokio::test]
async fn accepts_extreme_cache_settings() {
    for entries in [0, 1, usize::MAX] {
        for bytes in [0, 1, 100, usize::MAX] {
            for age in [Duration::ZERO, Duration::MAX] {
                let cache = CacheSettings::new().max_entries(entries).max_bytes(bytes).max_age(age);
                let verifier = verifier().cache(cache);
                for token in tokens(3) {
                    assert_eq!(rejection(&verifier, &token).await, None);
                    assert_eq!(rejection(&verifier, &token).await, None);
                }
                let stats = stats(&verifier);
                let is_room = entries > 0 && bytes == usize::MAX && age == Duration::MAX;
                // Each token comes twice. With room for one, the third token would hit only on its third use.
                let hits = match entries {
                    1 => 2,
                    _ => 3,
                };
                assert_eq!(stats.hits(), if is_room { hits } else { 0 }, "{entries}, {bytes}, {age:?}");
            }
        }
    }
}

#[tokio::test]
async fn cache_bounds_are_exact() {
    for (entries, bytes) in [(1023, 1_047_551), (1025, 1_000_001), (2049, 2 * 1024 * 1024)] {
        let verifier = verifier().cache(CacheSettings::new().max_entries(entries).max_bytes(bytes));
        let tokens: Vec<_> = tokens(entries * 2).collect();
        for token in tokens.iter().flat_map(|token| [token, token]) {
            verifier.verify(token).await.unwrap();
        }
        let stats = stats(&verifier);
        assert!(stats.entries() <= entries && stats.bytes() <= bytes as u64, "{stats:?}");
    }
}

#[tokio::test]
async fn finds_nearly_all_cached_tokens() {
    for (cache, count) in [
        (CacheSettings::new(), 7_000),
        (CacheSettings::new().max_entries(1_000_000), 9_800),
        (CacheSettings::new().max_entries(4_096).max_bytes(usize::MAX), 2_000),
    ] {
        // The size of a `Value` depends on features of serde_json, which other crates enable.
        let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
        let verifier = JwtVerifier::<RegisteredClaims>::new(keys);
        let verifier = verifier.issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW)).cache(cache);
        let tokens: Vec<_> = tokens(count).collect();
        for token in tokens.iter().chain(&tokens) {
            verifier.verify(token).await.unwrap();
        }
        let misses = stats(&verifier).misses() as usize;
        assert!(misses - count < count / 50, "{:?}", stats(&verifier));
    }
}

#[tokio::test]
async fn small_cache_keeps_recent_and_repeated_tokens() {
    let verifier = verifier().cache(CacheSettings::new().max_entries(1));
    for (number, token) in tokens(4).enumerate() {
        for _ in 0..3 {
            verifier.verify(&token).await.unwrap();
        }
        assert_eq!(stats(&verifier).entries(), 1, "{number}");
    }
    // The first token is cached at once, and so is the second. Later ones are cached when they are
    // repeated.
    assert_hits_and_misses(&verifier, 2 + 2 + 1 + 1, 1 + 1 + 2 + 2);
}

#[tokio::test]
async fn one_time_tokens_do_not_evict_frequent_ones() {
    let verifier = verifier().cache(CacheSettings::new().max_entries(100));
    let mut tokens = tokens(5_000);
    let often: Vec<_> = tokens.by_ref().take(50).collect();
    for token in often.iter().chain(&often) {
        verifier.verify(token).await.unwrap();
    }
    let used = allocation_counter::measure(|| {
        for token in tokens {
            assert!(matches!(verifier.verify(&token), tower_jwt_auth::Verdict::Ready(Ok(_))));
        }
    });
    let after = stats(&verifier);
    assert!(after.entries() <= 100 && after.evictions() < 10, "{after:?}");
    assert!(used.bytes_current < 200_000, "{}", used.bytes_current);
    for token in &often {
        verifier.verify(token).await.unwrap();
    }
    assert!(stats(&verifier).hits() >= after.hits() + 45, "{:?}", stats(&verifier));
    assert_eq!(stats(&verifier).evictions(), after.evictions());
}

#[tokio::test]
async fn cycling_through_many_tokens_keeps_entries_in_use() {
    for (room, count) in [(3, 200), (100, 10_000)] {
        let verifier = verifier().cache(CacheSettings::new().max_entries(room));
        let tokens: Vec<_> = tokens(count).collect();
        for _ in 0..3 {
            for token in &tokens {
                verifier.verify(token).await.unwrap();
            }
        }
        let stats = stats(&verifier);
        assert!(stats.hits() as usize >= 2 * stats.entries() * 9 / 10, "{stats:?}");
    }
}

#[tokio::test]
async fn full_cache_renews_its_entries_at_once() {
    let clock = Clock::new();
    let verifier =
        clock.drive(verifier()).cache(CacheSettings::new().max_entries(100).max_age(Duration::from_secs(10)));
    let often = good_token();
    for token in tokens(500) {
        verifier.verify(&often).await.unwrap();
        verifier.verify(&token).await.unwrap();
    }
    for round in 1..5 {
        clock.set(NOW + 10 * round);
        let before = stats(&verifier).hits();
        for _ in 0..3 {
            verifier.verify(&often).await.unwrap();
        }
        assert_eq!(stats(&verifier).hits() - before, 2, "{round}");
    }
}

#[tokio::test]
async fn expired_tokens_do_not_block_new_ones() {
    let clock = Clock::new();
    let verifier = clock.drive(verifier()).cache(CacheSettings::new().max_entries(1000));
    for token in tokens(4000) {
        for _ in 0..4 {
            verifier.verify(&token).await.unwrap();
        }
    }
    clock.set(NOW + 3600);
    let live = |n: usize| {
        let mut claims = claims_with("sub", json!(format!("live-{n}")));
        claims["exp"] = json!(NOW + 7200);
        token(&claims)
    };
    let live: Vec<_> = (0..800).map(live).collect();
    for round in 0..10_u64 {
        clock.set(NOW + 3600 + 10 * round);
        for token in &live {
            verifier.verify(token).await.unwrap();
        }
    }
    let before = stats(&verifier).hits();
    for token in &live {
        verifier.verify(token).await.unwrap();
    }
    assert!(stats(&verifier).hits() - before > 700, "{:?}", stats(&verifier));
}

#[tokio::test]
async fn cache_stays_within_max_bytes() {
    for most in [100_000, 1_000_000] {
        let verifier = verifier().cache(CacheSettings::new().max_bytes(most));
        // One by one, because the first token stores something with its key.
        verifier.verify(&good_token()).await.unwrap();
        let tokens: Vec<_> = tokens(4000).collect();
        let used = allocation_counter::measure(|| {
            for token in tokens.iter().flat_map(|token| [token, token]) {
                let ready = verifier.verify(token);
                assert!(matches!(ready, tower_jwt_auth::Verdict::Ready(Ok(_))));
            }
        });
        let counted = stats(&verifier).bytes();
        assert!(counted <= most as u64, "{counted} of {most}");
        assert!(counted >= most as u64 * 8 / 10, "{counted} of {most}");
        // A `Value` is a tree and uses more memory than its text.
        let used = used.bytes_current as u64;
        assert!(used < counted * 2, "{used} used, {counted} counted");
    }
}

#[test]
fn counted_bytes_match_used_memory() {
    #[derive(serde::Deserialize)]
    struct Text {
        #[serde(rename = "sub")]
        _text: String,
    }
    for length in [0, 100, 1_000, 5_000] {
        let most = 1_000_000;
        let verifier = JwtVerifier::<Text>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
            .audience(AUDIENCE)
            .clock(|| at(NOW))
            .cache(CacheSettings::new().max_bytes(most));
        let text = |n: usize| format!("{n:04}{}", "x".repeat(length));
        let tokens: Vec<_> = (0..2_000).map(|n| token(&claims_with("sub", json!(text(n))))).collect();
        let used = allocation_counter::measure(|| {
            for token in tokens.iter().flat_map(|token| [token, token]) {
                assert!(matches!(verifier.verify(token), tower_jwt_auth::Verdict::Ready(Ok(_))));
            }
        });
        let (used, counted) = (used.bytes_current as u64, verifier.cache_stats().unwrap().bytes());
        // The table has slots for tokens of 2 KiB. With longer ones, some slots stay empty.
        assert!(used < counted * 11 / 10, "{length}: {used} used, {counted} counted");
        assert!(used > counted * 6 / 10, "{length}: {used} used, {counted} counted");
    }
}

#[tokio::test]
async fn forged_tokens_leave_no_trace() {
    let verifier = verifier().cache(CacheSettings::new());
    verifier.verify(&good_token()).await.unwrap();
    let forged: Vec<_> = tokens(2000).map(|token| token.replace('.', ".A")).collect();
    let used = allocation_counter::measure(|| {
        for token in &forged {
            assert!(matches!(verifier.verify(token), tower_jwt_auth::Verdict::Ready(Err(_))));
        }
    });
    assert_eq!(used.bytes_current, 0);
    assert_eq!(stats(&verifier).entries(), 1);
    assert_eq!(stats(&verifier).evictions(), 0);
}

#[tokio::test]
async fn cache_hit_uses_settings_of_the_calling_layer() {
    let verifier = verifier().cache(CacheSettings::new());
    for realm in ["orders", "bills", "orders"] {
        let layer = JwtAuthLayer::new(verifier.clone()).realm(realm).unwrap();
        let service = layer.layer(service_fn(async |request: Request<String>| {
            let claims = request.extensions().get::<Claims<Value>>().unwrap();
            let error = Claims::reject(claims, AuthErrorKind::InsufficientScope);
            Ok::<Response<String>, std::convert::Infallible>(error.response(String::new()))
        }));
        let response = service.oneshot(bearer(&good_token())).await.unwrap();
        assert_eq!(response.status(), 403);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with(&format!("Bearer realm=\"{realm}\"")), "{challenge}");
    }
    assert_hits_and_misses(&verifier, 2, 1);
}

/// An event between two requests.
#[derive(Clone, Debug)]
enum Event {
    Clock(u64),
    Keys(usize),
    Token(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (NOW - 200..NOW + 500).prop_map(Event::Clock),
        (0..9_usize).prop_map(Event::Keys),
        (0..8_usize).prop_map(Event::Token),
        (0..8_usize).prop_map(Event::Token),
    ]
}

fn key_set(n: usize) -> KeySet {
    match n {
        0 => KeySet::new([key(1).with_kid("1"), key(2).with_kid("2")]),
        1 => KeySet::new([key(2).with_kid("1"), key(1).with_kid("2")]),
        2 => KeySet::new([key(1)]),
        3 => KeySet::new([key(3).with_kid("1"), key(2)]),
        4 => KeySet::new([key(2).with_kid("2")]),
        // More keys than are tried.
        5 => KeySet::new((4..8).map(key)).add_key(key(1)),
        6 => KeySet::new([key(1)]).add_keys(KeySet::new((4..8).map(key))),
        7 => KeySet::new((4..8).map(|n| key(n).with_kid("1"))).add_key(key(1)),
        _ => KeySet::new([]),
    }
}

proptest! {
    #[test]
    fn cached_verifier_agrees_with_uncached_one(
        events in proptest::collection::vec(event(), 1..60),
        most in 1..12_usize,
        age in 1..400_u64,
    ) {
        let clock = Clock::new();
        let keys = KeyStore::new(key_set(0));
        let plain = clock.drive(JwtVerifier::new(keys.clone()).audience(AUDIENCE)).without_cache();
        let cache = CacheSettings::new().max_entries(most).max_age(Duration::from_secs(age));
        let cached = plain.clone().cache(cache);
        let mut tokens = Vec::new();
        for (n, kid) in [(1, Some("1")), (2, Some("2")), (1, None), (2, Some("1")), (3, Some("1"))] {
            tokens.push(token_by(n, kid));
        }
        for (name, value) in [("nbf", NOW - 20), ("nbf", NOW + 100), ("exp", NOW + 20)] {
            let claims = claims_with(name, json!(value));
            let key = EncodingKey::from_secret(&secret(1)).unwrap();
            tokens.push(jsonwebtoken::encode(&Header::new(for_oracle(Algorithm::HS256)), &claims, &key).unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for event in events {
            match event {
                Event::Clock(seconds) => clock.set(seconds),
                Event::Keys(n) => keys.replace(key_set(n)),
                Event::Token(n) => {
                    let expected = runtime.block_on(rejection(&plain, &tokens[n]));
                    prop_assert_eq!(runtime.block_on(rejection(&cached, &tokens[n])), expected);
                }
            }
        }
    }
}
