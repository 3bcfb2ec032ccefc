//! Several issuers: which verifier a token is given to, and what comes of one that none is for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_jwt_auth::AuthErrorKind::{
    Expired, InvalidClaims, InvalidSignature, KeysUnavailable, MalformedToken, TokenTooLarge,
    UnsupportedToken, WrongAudience, WrongIssuer,
};
use tower_jwt_auth::{
    Algorithm, AuthErrorKind, ConfigError, IssuerResolver, Issuers, JwtAuthLayer, JwtVerifier, KeySet,
    TokenCache, Verdict, Verify,
};

use crate::support::{
    AUDIENCE, ISSUER, NOW, SECRET, ask, at, base64url, bearer, claims_but, good_token, secret,
};

const A: &str = "https://a.example.com";
const B: &str = "https://b.example.com";

/// The verifier for an issuer with one of the numbered secrets.
fn verifier(issuer: &str, number: u8) -> JwtVerifier<Value> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, secret::<32>(number)).unwrap())
        .issuer(issuer)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
}

fn sign(claims: &Value, number: u8) -> String {
    let key = EncodingKey::from_secret(&secret::<32>(number));
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn token(issuer: &str, number: u8) -> String {
    sign(&claims_but("iss", json!(issuer)), number)
}

async fn refusal(issuers: &Issuers<Value>, token: &str) -> Option<AuthErrorKind> {
    issuers.verify(token).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn each_token_is_judged_by_the_verifier_of_its_issuer_alone() {
    let issuers = Issuers::new([verifier(A, 1), verifier(B, 2)]).unwrap();
    let header = base64url(r#"{"alg":"HS256"}"#);
    let of_payload = |payload: &str| format!("{header}.{}.{}", base64url(payload), base64url([0; 32]));
    for (name, token, expected) in [
        ("a's", token(A, 1), None),
        ("b's", token(B, 2), None),
        ("says it is a's, signed by b", token(A, 2), Some(InvalidSignature)),
        ("says it is b's, signed by a", token(B, 1), Some(InvalidSignature)),
        ("nobody's", token("https://c.example.com", 1), Some(WrongIssuer)),
        ("a's, nearly", token("https://a.example.com/", 1), Some(WrongIssuer)),
        ("no issuer", sign(&claims_but("iss", Value::Null), 1), Some(WrongIssuer)),
        ("two in an array", sign(&claims_but("iss", json!([A, B])), 1), Some(InvalidClaims)),
        (
            "two, one after the other",
            of_payload(&format!(r#"{{"iss":"{A}","iss":"{B}"}}"#)),
            Some(InvalidClaims),
        ),
        ("written with escapes", sign(&claims_but("iss", json!(A)), 1), None),
        ("for somebody else", sign(&with_issuer(A, "aud", json!("https://x")), 1), Some(WrongAudience)),
        ("expired", sign(&with_issuer(A, "exp", json!(NOW - 100)), 1), Some(Expired)),
        ("no JSON", of_payload("iss"), Some(InvalidClaims)),
        ("no object", of_payload(r#"["iss"]"#), Some(InvalidClaims)),
        ("no base64url", format!("{header}.A.AAAA"), Some(MalformedToken)),
        ("two parts", "a.b".to_owned(), Some(MalformedToken)),
        ("five parts", "a.b.c.d.e".to_owned(), Some(UnsupportedToken)),
        ("nothing", String::new(), Some(MalformedToken)),
        ("too large", "x".repeat(20_000), Some(TokenTooLarge)),
    ] {
        assert_eq!(refusal(&issuers, &token).await, expected, "{name}");
    }
    let escaped = format!(r#"{{"iss":"\u0068ttps://a.example.com","aud":"{AUDIENCE}","exp":{}}}"#, NOW + 9);
    let signed = format!("{header}.{}", base64url(escaped));
    let key = EncodingKey::from_secret(&secret::<32>(1));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    assert_eq!(refusal(&issuers, &format!("{signed}.{signature}")).await, None);
}

fn with_issuer(issuer: &str, name: &str, value: Value) -> Value {
    let mut claims = claims_but(name, value);
    claims["iss"] = json!(issuer);
    claims
}

#[tokio::test]
async fn each_verifier_has_its_own_limits_and_cache() {
    let cached = verifier(A, 1).cache(TokenCache::new());
    let issuers = Issuers::new([cached.clone(), verifier(B, 2).token_limit(40_000)]).unwrap();
    for _ in 0..2 {
        assert_eq!(refusal(&issuers, &token(A, 1)).await, None);
    }
    assert_eq!(cached.cache_stats().unwrap().hits(), 1);
    let long = |issuer, secret| sign(&with_issuer(issuer, "email", json!("x".repeat(20_000))), secret);
    assert_eq!(refusal(&issuers, &long(B, 2)).await, None);
    assert_eq!(refusal(&issuers, &long(A, 1)).await, Some(TokenTooLarge));

    let long = long(B, 2);
    for (limit, expected) in [(long.len(), None), (long.len() - 1, Some(TokenTooLarge))] {
        let issuers = Issuers::new([cached.clone(), verifier(B, 2).token_limit(limit)]).unwrap();
        assert_eq!(refusal(&issuers, &long).await, expected, "{limit}");
    }
}

#[tokio::test]
async fn issuers_come_and_go_while_they_are_in_use() {
    let issuers = Issuers::new([verifier(A, 1)]).unwrap();
    let layer = JwtAuthLayer::new(issuers.clone());
    let status = async |token: &str| ask(&layer, bearer(token)).await.status().as_u16();
    assert_eq!((status(&token(A, 1)).await, status(&token(B, 2)).await), (200, 401));
    issuers.add(verifier(B, 2)).unwrap();
    assert_eq!((status(&token(A, 1)).await, status(&token(B, 2)).await), (200, 200));
    assert!(issuers.remove(A));
    assert!(!issuers.remove(A));
    assert_eq!((status(&token(A, 1)).await, status(&token(B, 2)).await), (401, 200));
    // In place of the one that there is.
    issuers.add(verifier(B, 3)).unwrap();
    assert_eq!((status(&token(B, 3)).await, status(&token(B, 2)).await), (200, 401));
}

#[test]
fn what_cannot_be_chosen_among_is_refused_at_set_up() {
    let anonymous = JwtVerifier::<Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap());
    let several = verifier(A, 1).add_issuer(B);
    for (name, result, expected) in [
        (
            "no issuer",
            Issuers::new([anonymous.clone()]).map(|_| ()),
            "a verifier among several needs an issuer to be chosen by: set JwtVerifier::issuer",
        ),
        (
            "no issuer, added",
            Issuers::new([]).unwrap().add(anonymous),
            "a verifier among several needs an issuer to be chosen by: set JwtVerifier::issuer",
        ),
        (
            "twice",
            Issuers::new([several.clone(), verifier(B, 2)]).map(|_| ()),
            "there are two verifiers for the issuer `https://b.example.com`",
        ),
        (
            "too many",
            Issuers::new([]).unwrap().most_issuers(1).add(several),
            "there may be 1 issuers, and this would be one more",
        ),
    ] {
        assert_eq!(result.unwrap_err().to_string(), expected, "{name}");
    }
    let issuers = Issuers::new((0..1000).map(|n| verifier(&n.to_string(), 1))).unwrap();
    assert!(matches!(issuers.add(verifier(A, 1)), Err(ConfigError::TooManyIssuers { most: 1000 })));
    assert!(issuers.remove("7"));
    issuers.add(verifier(A, 1)).unwrap();
}

/// A resolver that counts how often it is asked, and answers when it is let.
fn counted(asked: &Arc<AtomicUsize>, let_through: &Arc<Semaphore>) -> IssuerResolver<Value> {
    let (asked, let_through) = (Arc::clone(asked), Arc::clone(let_through));
    IssuerResolver::new(move |issuer: String| {
        let (asked, let_through) = (Arc::clone(&asked), Arc::clone(&let_through));
        async move {
            asked.fetch_add(1, Ordering::Relaxed);
            let _ = let_through.acquire().await;
            match issuer.strip_prefix("https://tenant-") {
                Some("broken") => Err("the database is down"),
                Some("mixed-up") => Ok(Some(verifier(A, 9))),
                Some(_) => Ok(Some(verifier(&issuer, 9))),
                None => Ok(None),
            }
        }
    })
}

#[tokio::test]
async fn a_resolver_is_asked_once_for_each_issuer() {
    let (asked, open) = (Arc::default(), Arc::new(Semaphore::new(100)));
    let issuers = Issuers::new([verifier(A, 1)]).unwrap().resolver(counted(&asked, &open));
    for (name, token, expected, times) in [
        ("one that needs no resolver", token(A, 1), None, 0),
        ("new", token("https://tenant-1", 9), None, 1),
        ("known", token("https://tenant-1", 9), None, 1),
        ("known, forged", token("https://tenant-1", 1), Some(InvalidSignature), 1),
        ("another", token("https://tenant-2", 9), None, 2),
        ("none", token(B, 2), Some(WrongIssuer), 3),
        ("none, known to be", token(B, 2), Some(WrongIssuer), 3),
        ("too long to be one", token(&"x".repeat(1025), 2), Some(WrongIssuer), 3),
        ("as long as one may be", token(&"x".repeat(1024), 2), Some(WrongIssuer), 4),
        ("broken", token("https://tenant-broken", 9), Some(KeysUnavailable), 5),
        ("broken, a moment ago", token("https://tenant-broken", 9), Some(KeysUnavailable), 5),
        ("not the one asked for", token("https://tenant-mixed-up", 9), Some(KeysUnavailable), 6),
    ] {
        assert_eq!(refusal(&issuers, &token).await, expected, "{name}");
        assert_eq!(asked.load(Ordering::Relaxed), times, "{name}");
    }
    assert!(issuers.remove("https://tenant-1"));
    assert_eq!(refusal(&issuers, &token("https://tenant-1", 9)).await, None);
    assert_eq!(asked.load(Ordering::Relaxed), 7);
}

#[tokio::test]
async fn those_who_wait_for_one_issuer_share_the_answer_and_are_not_too_many() {
    let (asked, open) = (Arc::default(), Arc::new(Semaphore::new(0)));
    let resolver = counted(&asked, &open).most_waiting(50);
    let issuers = Issuers::new([]).unwrap().resolver(resolver);
    for issuer in ["https://tenant-1", B, "https://tenant-broken"] {
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let issuers = issuers.clone();
            tasks.spawn(async move { refusal(&issuers, &token(issuer, 9)).await });
        }
        tokio::task::yield_now().await;
        let one_more = issuers.verify(&token(issuer, 9));
        assert!(matches!(one_more, Verdict::Ready(Err(error)) if error.kind() == KeysUnavailable));
        // The one that asks is given up; another takes its place.
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        for _ in 0..50 {
            let issuers = issuers.clone();
            tasks.spawn(async move { refusal(&issuers, &token(issuer, 9)).await });
        }
        tokio::task::yield_now().await;
        open.add_permits(1);
        let expected = match issuer {
            B => Some(WrongIssuer),
            "https://tenant-broken" => Some(KeysUnavailable),
            _ => None,
        };
        assert_eq!(tasks.join_all().await, [expected; 50]);
        assert_eq!(asked.swap(0, Ordering::Relaxed), 2, "{issuer}");
        open.forget_permits(1);
    }
}

#[cfg(feature = "remote-keys")]
#[tokio::test(start_paused = true)]
async fn one_who_waits_for_keys_does_not_wait_for_an_issuer_any_more() {
    let provider = crate::remote_keys::Provider::new();
    provider.hang();
    let keys = provider.keys();
    let resolver = IssuerResolver::new(move |issuer: String| {
        let verifier = JwtVerifier::<Value>::new(keys.clone()).issuer(issuer).audience(AUDIENCE);
        async { Ok::<_, ConfigError>(Some(verifier)) }
    });
    let issuers = Issuers::new([]).unwrap().resolver(resolver.most_waiting(1));
    let named = |issuer: &str| crate::remote_keys::token_from(issuer, "a");
    let first = tokio::spawn(issuers.verify(&named(A)).into_future());
    tokio::task::yield_now().await;
    assert!(matches!(issuers.verify(&named(B)), Verdict::Pending(_)));
    assert_eq!(first.await.unwrap().unwrap_err().kind(), KeysUnavailable);
}

#[tokio::test]
async fn an_issuer_that_is_asked_for_anew_serves_on_until_there_is_an_answer() {
    let answer = Arc::new(std::sync::Mutex::new(Ok(Some(9))));
    let (current, open) = (Arc::clone(&answer), Arc::new(Semaphore::new(100)));
    let let_through = Arc::clone(&open);
    let resolver = IssuerResolver::new(move |issuer: String| {
        let (current, let_through) = (Arc::clone(&current), Arc::clone(&let_through));
        async move {
            let _ = let_through.acquire().await;
            let answer: Result<Option<u8>, &str> = *current.lock().unwrap();
            answer.map(|secret| secret.map(|secret| verifier(&issuer, secret)))
        }
    });
    let issuers = Issuers::new([]).unwrap().resolver(resolver.max_age(Duration::ZERO));
    let (old, new) = (token(A, 9), token(A, 8));
    assert_eq!(refusal(&issuers, &old).await, None);

    // One of them waits, and all others are told at once; if it is given up, another one waits.
    open.forget_permits(100);
    for _ in 0..2 {
        let renewing = issuers.verify(&old);
        assert!(matches!(renewing, Verdict::Pending(_)));
        for _ in 0..10 {
            assert!(matches!(issuers.verify(&old), Verdict::Ready(Ok(_))));
        }
        drop(renewing);
    }
    open.add_permits(100);
    *answer.lock().unwrap() = Err("the database is down");
    assert_eq!(refusal(&issuers, &old).await, None);
    *answer.lock().unwrap() = Ok(Some(8));
    assert_eq!(refusal(&issuers, &new).await, None);
    assert_eq!(refusal(&issuers, &old).await, Some(InvalidSignature));
    *answer.lock().unwrap() = Ok(None);
    assert_eq!(refusal(&issuers, &new).await, Some(WrongIssuer));
    *answer.lock().unwrap() = Ok(Some(8));
    assert_eq!(refusal(&issuers, &new).await, Some(WrongIssuer), "as of a moment ago");
    assert!(!issuers.remove(A), "it was refused, which is forgotten");
    assert_eq!(refusal(&issuers, &new).await, None);
}

/// Whoever ends the requests that ask anew, before there is an answer, could otherwise have an old secret serve for ever.
#[tokio::test]
async fn an_issuer_that_is_asked_for_anew_in_vain_does_not_serve_on_for_ever() {
    let (secret, open) = (Arc::new(AtomicUsize::new(9)), Arc::new(Semaphore::new(1)));
    let (current, let_through) = (Arc::clone(&secret), Arc::clone(&open));
    let resolver = IssuerResolver::new(move |issuer: String| {
        let (current, let_through) = (Arc::clone(&current), Arc::clone(&let_through));
        async move {
            let_through.acquire().await.unwrap().forget();
            let secret = current.load(Ordering::Relaxed).try_into().unwrap();
            Ok::<_, ConfigError>(Some(verifier(&issuer, secret)))
        }
    });
    let issuers = Issuers::new([]).unwrap().resolver(resolver.max_age(Duration::from_millis(10)));
    let (old, new) = (token(A, 9), token(A, 8));
    assert_eq!(refusal(&issuers, &old).await, None);
    secret.store(8, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(20)).await;

    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(1100) {
        // It asks, and is given up.
        let mut renewing = issuers.verify(&old).into_future();
        let is_over = tokio::time::timeout(Duration::from_millis(5), &mut renewing).await.is_ok();
        assert!(!is_over, "the resolver has not answered");
        if begun.elapsed() < Duration::from_millis(900) {
            assert!(matches!(issuers.verify(&old), Verdict::Ready(Ok(_))), "it serves on for a while");
        }
    }
    let renewing = issuers.verify(&old);
    assert!(matches!(renewing, Verdict::Pending(_)));
    let waiting = issuers.verify(&old);
    assert!(matches!(waiting, Verdict::Pending(_)), "it serves on without an answer");
    drop(renewing);
    open.add_permits(100);
    assert_eq!(waiting.await.unwrap_err().kind(), InvalidSignature);
    assert_eq!(refusal(&issuers, &new).await, None);
}

/// A client that went away is no reason to forget what is known, in an outage least of all.
#[tokio::test]
async fn an_issuer_that_was_asked_for_in_vain_once_serves_on_in_an_outage() {
    let answers = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&answers);
    let resolver = IssuerResolver::new(move |issuer: String| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if number == 0 { Ok(Some(verifier(&issuer, 9))) } else { Err("the database is down") }
        }
    });
    let issuers = Issuers::new([]).unwrap().resolver(resolver.max_age(Duration::from_millis(10)));
    let token = token(A, 9);
    assert_eq!(refusal(&issuers, &token).await, None);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(matches!(issuers.verify(&token), Verdict::Pending(_)), "which is given up");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let renewing = issuers.verify(&token);
    assert!(matches!(issuers.verify(&token), Verdict::Ready(Ok(_))));
    renewing.await.unwrap();
    assert_eq!(refusal(&issuers, &token).await, None);
}

#[tokio::test]
async fn what_is_resolved_is_forgotten_after_a_while_and_bounded() {
    let (asked, open) = (Arc::default(), Arc::new(Semaphore::new(100)));
    let forgetful = Issuers::new([]).unwrap().resolver(counted(&asked, &open).max_age(Duration::ZERO));
    for times in 1..4 {
        assert_eq!(refusal(&forgetful, &token("https://tenant-1", 9)).await, None);
        assert_eq!(asked.load(Ordering::Relaxed), times);
    }
    asked.store(0, Ordering::Relaxed);

    // Those that there are not push out none that there are.
    let bounded = Issuers::new([]).unwrap().resolver(counted(&asked, &open).entries(10));
    for n in 0..5 {
        assert_eq!(refusal(&bounded, &token(&format!("https://tenant-{n}"), 9)).await, None);
    }
    for n in 0..500 {
        assert_eq!(refusal(&bounded, &token(&format!("https://x-{n}"), 9)).await, Some(WrongIssuer));
    }
    for n in 0..5 {
        assert_eq!(refusal(&bounded, &token(&format!("https://tenant-{n}"), 9)).await, None);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 505);
    for n in (0..100).chain(0..100) {
        assert_eq!(refusal(&bounded, &token(&format!("https://tenant-{n}"), 9)).await, None);
    }
    let asked = asked.load(Ordering::Relaxed) - 505;
    assert!(asked >= 190 - 5, "no more than ten are remembered: {asked}");
}

#[cfg(feature = "remote-keys")]
#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_slows_no_other_and_an_unknown_one_has_nothing_fetched() {
    use crate::remote_keys::Provider;

    let (good, hung) = (Provider::of(&["a"]), Provider::new());
    hung.hang();
    let remote = |issuer: &str, provider: &Provider| {
        JwtVerifier::<Value>::new(provider.keys()).issuer(issuer).audience(AUDIENCE).clock(|| at(NOW))
    };
    let issuers = Issuers::new([remote(A, &good), remote(B, &hung)]).unwrap();
    let named = |issuer: &str| crate::remote_keys::token_from(issuer, "a");
    assert_eq!(refusal(&issuers, &named(A)).await, None);

    let waiting: Vec<_> = (0..500).map(|_| tokio::spawn(issuers.verify(&named(B)).into_future())).collect();
    tokio::task::yield_now().await;
    for _ in 0..100 {
        assert!(matches!(issuers.verify(&named(A)), Verdict::Ready(Ok(_))));
    }
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap_err().kind(), KeysUnavailable);
    }
    let requests = (good.requests(), hung.requests());
    assert_eq!(refusal(&issuers, &named("https://c.example.com")).await, Some(WrongIssuer));
    assert_eq!((good.requests(), hung.requests()), requests);
    assert_eq!(
        refusal(&issuers, &crate::remote_keys::token_from(A, "b")).await,
        Some(AuthErrorKind::UnknownKey)
    );
}

/// A renewal that was begun before, and ends when the issuer has been found anew.
#[tokio::test]
async fn what_was_removed_does_not_come_back() {
    const NEW: &[u8; 32] = b"another secret of thirty-two ...";
    let (end, may_end) = tokio::sync::oneshot::channel::<()>();
    let may_end = Arc::new(Mutex::new(Some(may_end)));
    let asked = Arc::new(AtomicUsize::new(0));
    let resolver = IssuerResolver::new(move |_: String| {
        let (asked, may_end) = (asked.fetch_add(1, Ordering::SeqCst), Arc::clone(&may_end));
        async move {
            if asked == 1 {
                let may_end = may_end.lock().unwrap().take().unwrap();
                may_end.await.unwrap();
                return Err(std::io::Error::other("away"));
            }
            let secret = if asked == 0 { SECRET } else { NEW };
            let keys = KeySet::hmac(Algorithm::HS256, secret).unwrap();
            Ok(Some(JwtVerifier::<Value>::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))))
        }
    });
    let issuers = Issuers::new([]).unwrap().resolver(resolver.max_age(Duration::from_millis(50)));
    let token = good_token();
    issuers.verify(&token).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let Verdict::Pending(renewing) = issuers.verify(&token) else { panic!("it is not asked for anew") };
    let renewing = tokio::spawn(renewing);
    tokio::task::yield_now().await;

    // The old secret is in the wrong hands.
    assert!(issuers.remove(ISSUER));
    let kind = async || issuers.verify(&token).await.err().map(|error| error.kind());
    assert_eq!(kind().await, Some(InvalidSignature));
    end.send(()).unwrap();
    drop(renewing.await.unwrap());
    assert_eq!(kind().await, Some(InvalidSignature));
}
