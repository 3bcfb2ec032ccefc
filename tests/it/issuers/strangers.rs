//! Clients that invent issuers: the work they can cause, and what they can find out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::{InvalidClaims, KeysUnavailable, UnknownKey, WrongIssuer};
use tower_jwt_auth::verifiers::{IssuerResolver, Issuers, Scheme};
use tower_jwt_auth::{AuthError, Credential, JwtAuthLayer, Verdict, Verify};

use super::resolver::{Directory, Mode, TENANT, resolved};
use super::*;

/// Returns a token without a valid signature.
fn unsigned(issuer: &str) -> String {
    let claims = claims_with("iss", json!(issuer)).to_string();
    format!("{}.{}.{}", base64url(r#"{"alg":"HS256"}"#), base64url(claims), base64url([0; 32]))
}

/// Sends requests for this many invented issuers at once, and returns those that wait.
fn invent(issuers: &Issuers<Value>, strangers: usize) -> Vec<Verdict<Value>> {
    static INVENTED: AtomicUsize = AtomicUsize::new(0);
    let name = || format!("https://invented-{}.example.com", INVENTED.fetch_add(1, Ordering::SeqCst));
    let verdicts = (0..strangers).map(|_| issuers.verify(&unsigned(&name())));
    verdicts.filter(|verdict| matches!(verdict, Verdict::Pending(_))).collect()
}

/// Returns a good token for each of this many tenants.
fn tokens(tenants: usize) -> Vec<String> {
    (0..tenants).map(|n| token(&format!("https://tenant-{n}.example.com"), 9)).collect()
}

/// Verifies all tokens at once. Returns how many were rejected, and the time it took.
async fn ask_tenants(issuers: &Issuers<Value>, tokens: &[String]) -> (usize, Duration) {
    let begun = Instant::now();
    let mut waiting = JoinSet::new();
    for token in tokens {
        waiting.spawn(issuers.verify(token).into_future());
    }
    let rejected = waiting.join_all().await.into_iter().filter(Result::is_err).count();
    (rejected, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn lookups_of_unknown_issuers_are_rate_limited() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    let mut waiting = JoinSet::new();
    for verdict in invent(&issuers, 20_000) {
        waiting.spawn(verdict.into_future());
    }
    for answer in waiting.join_all().await {
        assert_eq!(answer.unwrap_err().kind(), UnknownKey);
    }
    assert_eq!(directory.lookups(), 2000 + 2 * 200, "the burst, and lookups that waited");

    let error = invent_one(&issuers).await.unwrap_err();
    assert_eq!(error.kind(), UnknownKey, "its turn has come");
    for _ in 0..20 {
        drop(invent(&issuers, 500));
        sleep(Duration::from_secs(1)).await;
    }
    let lookups = directory.lookups();
    assert!((200 * 20..=200 * 23).contains(&lookups), "{lookups} in 20 s");

    // Over the rate, the response says when to retry.
    drop(invent(&issuers, 1000));
    let error = invent_one(&issuers).await.unwrap_err();
    assert_eq!(error.kind(), KeysUnavailable);
    assert!(error.retry_after().is_some_and(|delay| delay <= Duration::from_secs(1)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_sensible_without_a_refill() {
    let issuers = resolved(Directory::new().resolver().lookup_rate(0, 0));
    let error = invent_one(&issuers).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (KeysUnavailable, Some(Duration::from_secs(60))));
}

fn invent_one(issuers: &Issuers<Value>) -> Verdict<Value> {
    issuers.verify(&unsigned("https://one-more.example.com"))
}

#[tokio::test(start_paused = true)]
async fn serves_known_tenants_during_a_flood() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    assert_eq!(ask_tenants(&issuers, &tokens(1000)).await.0, 0);
    directory.set(Mode::Hangs);
    let _waiting = invent(&issuers, 20_000);
    let tokens = tokens(10);
    for _ in 0..20 {
        sleep(Duration::from_secs(4)).await;
        drop(invent(&issuers, 500));
        for token in &tokens {
            assert!(matches!(issuers.verify(token), Verdict::Ready(Ok(_))));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_issuers_do_not_starve_new_tenants() {
    for (strangers, tenants, longest) in [(1000, 100, 200), (2000, 200, 1200)] {
        let directory = Directory::new();
        directory.delay(Duration::from_millis(200));
        let issuers = directory.issuers();
        let waiting = invent(&issuers, strangers);
        assert_eq!(waiting.len(), strangers);
        let (rejected, took) = ask_tenants(&issuers, &tokens(tenants)).await;
        assert_eq!(rejected, 0, "of {tenants}, with {strangers} unknown issuers");
        assert!(took <= Duration::from_millis(longest + 5), "{took:?}");
    }
}

/// These clients ask again as soon as they get a response.
#[tokio::test(start_paused = true)]
async fn filtered_issuers_do_not_delay_new_tenants() {
    let directory = Directory::new();
    directory.delay(Duration::from_millis(200));
    let issuers = resolved(directory.resolver().filter(|issuer| issuer.starts_with("https://tenant-")));
    for _ in 0..10 {
        assert!(invent(&issuers, 2000).is_empty());
    }
    assert_eq!(ask_tenants(&issuers, &tokens(200)).await, (0, Duration::from_millis(200)));
    assert_eq!(directory.lookups(), 200);
}

/// Many requests for one invented issuer use only the places of those who join a lookup.
#[tokio::test(start_paused = true)]
async fn crowd_for_one_issuer_leaves_first_places_free() {
    let directory = Directory::new();
    directory.delay(Duration::from_millis(200));
    let issuers = directory.issuers();
    let crowd: Vec<_> = (0..5000).map(|_| invent_one(&issuers)).collect();
    let waiting = crowd.iter().filter(|verdict| matches!(verdict, Verdict::Pending(_))).count();
    assert_eq!(waiting, 1001);
    assert_eq!(ask_tenants(&issuers, &tokens(100)).await, (0, Duration::from_millis(200)));
}

/// During an endless flood, new tenants are admitted over time: once looked up, they are known.
#[tokio::test(start_paused = true)]
async fn admits_new_tenants_during_a_flood() {
    let directory = Directory::new();
    directory.delay(Duration::from_millis(5));
    let issuers = directory.issuers();
    drop(invent(&issuers, 20_000));
    let tenants = tokens(20);
    let is_known = |token: &String| matches!(issuers.verify(token), Verdict::Ready(Ok(_)));
    for round in 0..1000 {
        // Twenty times as many invented issuers as lookups. Tenants come first in one round of ten.
        drop(invent(&issuers, if round % 10 == 0 { 0 } else { 40 }));
        if tenants.iter().filter(|token| is_known(token)).count() == tenants.len() {
            return;
        }
        drop(invent(&issuers, 40));
        sleep(Duration::from_millis(10)).await;
    }
    panic!("some tenants are unknown after ten seconds");
}

#[tokio::test(start_paused = true)]
async fn all_tenants_return_soon_after_a_restart() {
    for (tenants, longest) in [(1000, 1), (10_000, 15)] {
        let directory = Directory::new();
        directory.delay(Duration::from_millis(50));
        let issuers = resolved(directory.resolver().max_entries(tenants));
        let tokens = tokens(tenants);
        let begun = Instant::now();
        loop {
            let (rejected, _) = ask_tenants(&issuers, &tokens).await;
            if rejected == 0 {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        assert!(begun.elapsed() <= Duration::from_secs(longest), "{tenants} took {:?}", begun.elapsed());
        assert_eq!(directory.lookups(), tenants);
    }
}

/// An outage at the start does not use up the lookups that the tenants need afterwards.
#[tokio::test(start_paused = true)]
async fn all_tenants_return_after_an_outage_at_start() {
    let directory = Directory::new();
    directory.set(Mode::Down);
    let issuers = directory.issuers();
    let tokens = tokens(1000);
    for _ in 0..60 {
        assert_eq!(ask_tenants(&issuers, &tokens).await.0, 1000);
        sleep(Duration::from_secs(1)).await;
    }
    directory.set(Mode::Up);
    let begun = Instant::now();
    while ask_tenants(&issuers, &tokens).await.0 > 0 {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() <= Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Returns all parts of a rejection that a client sees.
fn seen(response: &Response<String>) -> String {
    format!("{:?} {:?} {}", response.status(), response.headers(), response.body())
}

#[tokio::test(start_paused = true)]
async fn unverified_claims_disclose_no_issuer() {
    let provider = crate::remote_keys::Provider::new();
    provider.hang();
    let keys = provider.keys();
    let resolver = IssuerResolver::new(move |issuer: String| {
        let verifier = JwtVerifier::<Value>::new(keys.clone()).issuer(&issuer).audience(AUDIENCE);
        async move { Ok::<_, ConfigError>((issuer == TENANT).then_some(verifier)) }
    });
    let issuers = Issuers::default().resolver(resolver);
    let layer = JwtAuthLayer::new(issuers);
    for (name, value) in [("exp", json!(1)), ("aud", json!("another")), ("nbf", json!(u32::MAX))] {
        let forged = |issuer| {
            let claims = base64url(with_issuer(issuer, name, value.clone()).to_string());
            format!("{}.{claims}.{}", base64url(r#"{"alg":"RS256","kid":"a"}"#), base64url([0; 256]))
        };
        let answers =
            [TENANT, "https://nobody.example.com"].map(|issuer| ask(&layer, bearer(&forged(issuer))));
        let [known, unknown] = answers;
        assert_eq!(seen(&known.await), seen(&unknown.await), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_do_not_disclose_issuers() {
    let directory = Directory::new();
    let resolver = directory.resolver().filter(|issuer| !issuer.contains("filtered"));
    let issuers = Issuers::new([verifier(A, 1)]).unwrap().resolver(resolver);
    assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, None);
    let layer = JwtAuthLayer::new(issuers.clone());
    let texts = JwtAuthLayer::new(issuers.clone()).reject_with(|error: &AuthError, _| {
        error.response(format!("{error} {} {:?}", error.kind().name(), error.kind()))
    });

    let claims = |issuer: &str| base64url(claims_with("iss", json!(issuer)).to_string());
    let signature = base64url([0; 32]);
    type Forge<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let with_header = |header: &'static str| -> Forge<'_> {
        let (claims, signature) = (&claims, &signature);
        Box::new(move |issuer| format!("{}.{}.{signature}", base64url(header), claims(issuer)))
    };
    let forged: [(&str, Forge<'_>); 10] = [
        ("signed with another secret", Box::new(|issuer| token(issuer, 7))),
        ("an unknown kid", with_header(r#"{"alg":"HS256","kid":"x"}"#)),
        ("another algorithm", with_header(r#"{"alg":"RS256"}"#)),
        ("no algorithm", with_header(r#"{"alg":"none"}"#)),
        ("another type", with_header(r#"{"alg":"HS256","typ":"dpop+jwt"}"#)),
        ("a critical extension", with_header(r#"{"alg":"HS256","crit":["x"]}"#)),
        ("a header that is not an object", with_header("[]")),
        (
            "an empty signature",
            Box::new(|issuer| format!("{}.{}.", base64url(r#"{"alg":"HS256"}"#), claims(issuer))),
        ),
        (
            "a signature that is not base64url",
            Box::new(|issuer| format!("{}.{}.A", base64url(r#"{"alg":"HS256"}"#), claims(issuer))),
        ),
        ("large", Box::new(|issuer| sign(&with_issuer(issuer, "x", json!("x".repeat(11_000))), 7))),
    ];
    for (name, forge) in forged {
        for layer in [("headers", None), ("texts", Some(()))] {
            let mut answers = Vec::new();
            for issuer in [TENANT, A, "https://nobody.example.com", "https://filtered.example.com"] {
                for _ in 0..2 {
                    let request = bearer(&forge(issuer));
                    let response = match layer.1 {
                        None => ask(&self::layer(&issuers), request).await,
                        Some(()) => ask(&texts, request).await,
                    };
                    answers.push((issuer, seen(&response)));
                }
            }
            for (issuer, answer) in &answers {
                assert_eq!(*answer, answers[0].1, "{name}, {issuer}, by {}", layer.0);
                assert!(answer.starts_with("401 "), "{name}: {answer}");
            }
        }
    }

    // If lookups fail or exceed the rate, all unknown issuers look the same.
    directory.set(Mode::Down);
    let mut answers = Vec::new();
    for issuer in ["https://tenant-new.example.com", "https://nobody-new.example.com"] {
        answers.push(seen(&ask(&layer, bearer(&token(issuer, 9))).await));
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].starts_with("503 "), "{}", answers[0]);

    // The cause is only for logs.
    let cause = |error: AuthError| std::error::Error::source(&error).unwrap().to_string();
    let error = issuers.verify(&token(TENANT, 7)).await.unwrap_err();
    assert_eq!(cause(error), "the signature of the token is not valid");
    let error = issuers.verify(&token("https://nobody.example.com", 7)).await.unwrap_err();
    assert_eq!(cause(error), "the resolver knows no such issuer");
    let error = issuers.verify(&token("https://filtered.example.com", 7)).await.unwrap_err();
    assert_eq!(cause(error), "IssuerResolver::filter rejected the issuer");

    // If a token is broken for every issuer, the client gets the reason.
    for (name, token, expected) in [
        ("no issuer", sign(&claims_with("iss", Value::Null), 9), WrongIssuer),
        ("two issuers", sign(&claims_with("iss", json!([TENANT, A])), 9), InvalidClaims),
        ("two parts", "a.b".to_owned(), MalformedToken),
    ] {
        assert_eq!(rejection(&issuers, &token).await, Some(expected), "{name}");
    }
}

fn layer(issuers: &Issuers<Value>) -> JwtAuthLayer<Issuers<Value>> {
    JwtAuthLayer::new(issuers.clone())
}

/// One good token can cause no more work than an unknown client can.
#[tokio::test(start_paused = true)]
async fn good_token_costs_no_lookups() {
    let directory = Directory::new();
    let issuers = directory.issuers();
    assert_eq!(rejection(&issuers, &token(TENANT, 9)).await, None);
    for _ in 0..10_000 {
        assert!(matches!(issuers.verify(&token(TENANT, 9)), Verdict::Ready(Ok(_))));
    }
    assert_eq!(directory.lookups(), 1);
}

/// A verifier that discloses more than a signature has proven.
struct Talkative;

impl Verify for Talkative {
    type Claims = Value;

    fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
        let rejection = match credential.token_str() {
            Ok(text) if text.len() % 2 == 0 => AuthErrorKind::SenderConstrained.into(),
            Ok(_) => AuthErrorKind::Expired.into(),
            Err(error) => error,
        };
        Verdict::Ready(Err(rejection))
    }

    fn issuers(&self) -> Vec<String> {
        vec!["https://talkative.test".to_owned()]
    }
}

#[tokio::test]
async fn custom_and_nested_verifiers_disclose_no_tenant() {
    let inner = Issuers::new([verifier(A, 1)]).unwrap();
    let issuers = Directory::new().issuers();
    issuers.add(Talkative).unwrap();
    issuers.add(inner.clone()).unwrap();
    assert!(inner.remove(A));
    for issuer in ["https://talkative.test", A, "https://nobody.test"] {
        let odd_and_even =
            [unsigned(issuer), format!("{}AA", unsigned(issuer)), format!("{}AAA", unsigned(issuer))];
        let bytes = odd_and_even.iter().map(|token| token.clone().into_bytes());
        let no_text = [b"\xff.".as_slice(), unsigned(issuer).split_once('.').unwrap().1.as_bytes()].concat();
        for token in bytes.chain([no_text]) {
            let error = issuers.verify(Credential::new(Scheme::BEARER, &token)).await.unwrap_err();
            assert_eq!((error.kind(), error.status().as_u16()), (UnknownKey, 401), "{issuer}");
        }
    }
}
