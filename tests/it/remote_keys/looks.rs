//! Which tokens cause fetches, and how many: rotations are found despite tokens from unknown clients.

use std::time::Duration;

use http::Response;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_jwt_auth::AuthErrorKind::{
    Expired, InvalidClaims, InvalidSignature, KeysUnavailable, MissingExpiry, UnknownKey, WrongAudience,
    WrongIssuer,
};
use tower_jwt_auth::{Algorithm, KeySet, Verdict};

use super::{Provider, at_once, jwks, key_set, pass, rejection, seconds, token, verifier};
use crate::keys::{fixture, jwk_by, jwk_with, set_of, signer};
use crate::support::{NOW, base64url, claims_with, for_oracle, good_claims};

/// Returns a token without a valid signature.
fn unsigned(header: &Value, payload: &str) -> String {
    format!("{}.{}.{}", base64url(header.to_string()), base64url(payload), base64url([7; 64]))
}

/// Returns a token that is good except for its signature.
fn forged(kid: &str) -> String {
    unsigned(&json!({"alg": "EdDSA", "kid": kid}), &good_claims().to_string())
}

/// Asserts that a new key is used at once, two seconds after a fetch and one second after these tokens of
/// unknown clients. Returns the total number of fetches.
async fn fetches_of_rotation_after(name: &str, strangers: &[String]) -> usize {
    let provider = Provider::of(&["old"]);
    let verifier = verifier(&provider.keys());
    assert_eq!(rejection(&verifier, "old").await, None, "{name}");
    pass(1).await;
    for stranger in strangers {
        assert!(super::rejection_of(&verifier, stranger).await.is_some(), "{name}");
    }
    pass(1).await;
    provider.serve(&["old", "new"]);
    for _ in 0..10 {
        assert_eq!(rejection(&verifier, "new").await, None, "{name}");
        assert_eq!(rejection(&verifier, "old").await, None, "{name}");
    }
    provider.requests()
}

#[tokio::test(start_paused = true)]
async fn clients_do_not_notice_rotation_after_a_fetch() {
    assert_eq!(fetches_of_rotation_after("no unknown client", &[]).await, 2);
    assert_eq!(fetches_of_rotation_after("one unknown client", &[forged("x")]).await, 3);
    assert_eq!(fetches_of_rotation_after("a thousand, one name", &vec![forged("x"); 1000]).await, 3);
    // Forged tokens with a held key and without a `kid` have separate budgets.
    assert_eq!(fetches_of_rotation_after("a real name", &vec![forged("old"); 1000]).await, 4);
    let unnamed = unsigned(&json!({"alg": "EdDSA"}), &good_claims().to_string());
    assert_eq!(fetches_of_rotation_after("no name", &vec![unnamed; 1000]).await, 4);
}

#[tokio::test(start_paused = true)]
async fn tokens_with_bad_claims_cause_no_fetch() {
    let past = claims_with("exp", json!(NOW - 3600)).to_string();
    for (name, typ, payload) in [
        ("wrong issuer", "JWT", claims_with("iss", json!("https://evil.example")).to_string()),
        ("no issuer", "JWT", claims_with("iss", Value::Null).to_string()),
        ("wrong audience", "JWT", claims_with("aud", json!("https://other.example.com")).to_string()),
        ("no audience", "JWT", claims_with("aud", Value::Null).to_string()),
        ("expired", "JWT", past.clone()),
        ("no expiry", "JWT", claims_with("exp", Value::Null).to_string()),
        ("not valid yet", "JWT", claims_with("nbf", json!(NOW + 3600)).to_string()),
        ("bound to its sender", "JWT", claims_with("cnf", json!({"jkt": "x"})).to_string()),
        ("claims of another type", "JWT", claims_with("exp", json!("soon")).to_string()),
        ("not JSON", "JWT", "hello".to_owned()),
        ("an array", "JWT", "[]".to_owned()),
        ("another type of token", "logout+jwt", good_claims().to_string()),
    ] {
        let header = |kid: String| json!({"alg": "EdDSA", "kid": kid, "typ": typ});
        let mut strangers: Vec<_> =
            (0..100).map(|number| unsigned(&header(format!("x-{number}")), &payload)).collect();
        strangers.push(unsigned(&header("old".to_owned()), &payload));
        assert_eq!(fetches_of_rotation_after(name, &strangers).await, 2, "{name}");
    }

    // The cause says what else is wrong, and the client learns no more than before.
    let provider = Provider::of(&["old"]);
    let verifier = verifier(&provider.keys());
    assert_eq!(rejection(&verifier, "old").await, None);
    let error = verifier.verify(&unsigned(&json!({"alg": "EdDSA", "kid": "x"}), &past)).await.unwrap_err();
    assert_eq!(error.kind(), UnknownKey);
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "newer keys would not help: the token has expired");
}

#[tokio::test(start_paused = true)]
async fn checks_claims_at_once_while_holding_no_keys() {
    let provider = Provider::new();
    provider.hang();
    let keys = provider.keys();
    let verifier = verifier(&keys);
    for (expected, claims) in [
        (WrongIssuer, claims_with("iss", json!("https://evil.example"))),
        (WrongAudience, claims_with("aud", json!("https://other.example.com"))),
        (Expired, claims_with("exp", json!(NOW - 3600))),
        (MissingExpiry, claims_with("exp", Value::Null)),
        (InvalidClaims, json!([])),
    ] {
        let token = unsigned(&json!({"alg": "EdDSA", "kid": "x"}), &claims.to_string());
        assert_eq!(at_once(verifier.verify(&token)).err(), Some(expected));
    }
    assert_eq!(rejection(&verifier, "a").await, Some(KeysUnavailable));
}

#[tokio::test(start_paused = true)]
async fn unknown_kids_delay_a_rotation_by_one_cooldown() {
    let provider = Provider::of(&["old"]);
    let keys = provider.keys().refresh_between(seconds(3600), seconds(3600));
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "old").await, None);
    let start = Instant::now();
    let mut number = 0;
    // Unknown clients always come first.
    while start.elapsed() < seconds(300) {
        for _ in 0..10 {
            number += 1;
            assert!(super::rejection_of(&verifier, &forged(&format!("x-{number}"))).await.is_some());
        }
        // The new key is used as soon as the unknown clients have used up the budget.
        provider.serve(&["old", "new"]);
        let expected = (start.elapsed() < seconds(30)).then_some(UnknownKey);
        assert_eq!(rejection(&verifier, "new").await, expected);
        pass(1).await;
    }
    // The first fetch, a burst of two, and one per cooldown.
    assert!(provider.requests() <= 1 + 2 + 10, "{}", provider.requests());
}

#[tokio::test(start_paused = true)]
async fn fetches_stay_bounded_under_every_flood() {
    for fails in [false, true] {
        let provider = Provider::of(&["old"]);
        let keys = provider.keys().refresh_between(seconds(3600), seconds(3600));
        let keys = keys.retry_between(seconds(3600), seconds(3600));
        let verifier = verifier(&keys);
        assert_eq!(rejection(&verifier, "old").await, None);
        if fails {
            provider.fail();
        }
        let start = Instant::now();
        let mut number = 0;
        let unnamed = unsigned(&json!({"alg": "EdDSA"}), &good_claims().to_string());
        while start.elapsed() < seconds(600) {
            number += 1;
            for token in [&forged(&format!("x-{number}")), &forged("x"), &forged("old"), &unnamed] {
                assert!(super::rejection_of(&verifier, token).await.is_some());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // The first fetch, bursts of two, and one of each type per cooldown.
        let most = if fails { 1 + 20 } else { 1 + 2 + 2 + 2 * 20 };
        let requests = provider.requests();
        assert!(requests <= most && requests >= most - 4, "{fails}: {requests}");
    }
}

/// Returns a set with a key of this name, or without one, and a token signed with the key.
fn rsa_key(key: &EncodingKey, kid: Option<&str>) -> (String, String) {
    let mut jwk = jwk_by(key, Algorithm::RS256);
    match kid {
        Some(kid) => jwk["kid"] = kid.into(),
        None => drop(jwk.as_object_mut().unwrap().remove("kid")),
    }
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(for_oracle(Algorithm::RS256)) };
    (set_of(&[jwk]), jsonwebtoken::encode(&header, &good_claims(), key).unwrap())
}

/// Returns two keys that differ only in their signatures.
pub(super) fn old_and_new(kid: Option<&str>) -> [(String, String); 2] {
    let other = EncodingKey::from_rsa_pem(fixture("rsa2048-other.private.pem").as_bytes()).unwrap();
    [rsa_key(&signer(Algorithm::RS256), kid), rsa_key(&other, kid)]
}

fn forged_rs256(kid: Option<&str>) -> String {
    let mut header = json!({"alg": "RS256"});
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    format!(
        "{}.{}.{}",
        base64url(header.to_string()),
        base64url(good_claims().to_string()),
        base64url([7; 256])
    )
}

#[tokio::test(start_paused = true)]
async fn one_unknown_kid_per_cooldown_hides_no_rotation() {
    let provider = Provider::of(&["k0"]);
    let keys = provider.keys().refresh_between(seconds(3600), seconds(3600));
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "k0").await, None);
    let mut current = "k0".to_owned();
    for second in 0..2400 {
        if second % 30 == 0 {
            assert!(super::rejection_of(&verifier, &forged("x")).await.is_some());
        }
        if [101, 901, 1701].contains(&second) {
            current = format!("k{second}");
            provider.serve(&[&current]);
        }
        assert_eq!(rejection(&verifier, &current).await, None, "{second}");
        pass(1).await;
    }
    // The first fetch, one for each key, and one of the unknown client per cooldown.
    assert!(provider.requests() <= 1 + 3 + 80, "{}", provider.requests());
}

#[tokio::test(start_paused = true)]
async fn one_bad_signature_hides_no_replaced_key() {
    for kid in [Some("same"), None] {
        let keys = old_and_new(kid);
        let provider = Provider::new();
        provider.serve_set(&keys[0].0);
        let remote = provider.keys().refresh_between(seconds(3600), seconds(3600));
        let verifier = verifier(&remote);
        let rejected = async |token: &str| super::rejection_of(&verifier, token).await;
        assert_eq!(rejected(&keys[0].1).await, None);
        let mut current = 0;
        for second in 0..600 {
            // A forged token, or one of a client that kept a token of the withdrawn key.
            let (bad, withdrawn) = (forged_rs256(kid), &keys[1 - current].1);
            if second % 30 == 0 {
                let token = if second < 300 { &bad } else { withdrawn };
                assert_eq!(rejected(token).await, Some(InvalidSignature), "{kid:?} {second}");
            }
            if second % 100 == 1 {
                current = 1 - current;
                provider.serve_set(&keys[current].0);
            }
            assert_eq!(rejected(&keys[current].1).await, None, "{kid:?} {second}");
            pass(1).await;
        }
        assert!(provider.requests() <= 1 + 6 + 20, "{}", provider.requests());
    }
}

#[tokio::test(start_paused = true)]
async fn constantly_changing_keys_keep_fetches_bounded() {
    for kid in [Some("same"), None] {
        // Two instances of the provider disagree about its keys.
        let [(one, one_token), (other, other_token)] = old_and_new(kid);
        let named = [jwks(&["a"]), jwks(&["b"])];
        for (sets, tokens) in [([one, other], [one_token, other_token]), (named, [token("a"), token("b")])] {
            let provider = Provider::new();
            let asked = std::sync::atomic::AtomicUsize::new(0);
            provider.answer(move |_| {
                let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(Response::new(sets[number % 2].clone().into()))
            });
            let keys = provider.keys().refresh_between(seconds(3600), seconds(3600));
            let verifier = verifier(&keys);
            for _ in 0..600 {
                for token in &tokens {
                    let _ = super::rejection_of(&verifier, token).await;
                }
                pass(1).await;
            }
            // The first fetch, a burst of three, and then two per cooldown.
            assert!(provider.requests() <= 1 + 3 + 2 * 20, "{}", provider.requests());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn key_replaced_during_a_fetch_is_fetched_again() {
    for kid in [Some("same"), None] {
        let [(old, old_token), (new, new_token)] = old_and_new(kid);
        let provider = Provider::new();
        provider.serve_set(&old);
        let verifier = verifier(&provider.keys().refresh_between(seconds(60), seconds(60)));
        assert_eq!(super::rejection_of(&verifier, &old_token).await, None);
        // The response to the scheduled fetch is in flight and has the old key.
        let (first, later) = (std::sync::atomic::AtomicBool::new(true), new.clone());
        provider.answer(move |_| {
            let is_first = first.swap(false, std::sync::atomic::Ordering::Relaxed);
            Ok(Response::new(if is_first { old.clone() } else { later.clone() }.into()))
        });
        provider.delay(Duration::from_millis(500));
        while provider.requests() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(super::rejection_of(&verifier, &new_token).await, None, "{kid:?}");
        assert_eq!(provider.requests(), 3);
    }
}

/// Returns three different keys with the same name.
fn replaced() -> [(String, String); 3] {
    let [old, new] = old_and_new(Some("same"));
    [old, new, (jwks(&["same"]), token("same"))]
}

#[tokio::test(start_paused = true)]
async fn uses_a_new_key_with_an_old_kid() {
    let [(old, old_token), (new, new_token), (other, other_token)] = replaced();
    let provider = Provider::new();
    provider.serve_set(&old);
    let verifier = verifier(&provider.keys());
    let rejected = async |token: &str| super::rejection_of(&verifier, token).await;
    assert_eq!(rejected(&old_token).await, None);
    provider.serve_set(&new);
    pass(2).await;
    assert_eq!(rejected(&new_token).await, None);
    // The old key is gone. Its tokens cause two fetches, and then none in this cooldown.
    for expected in [3, 4, 4] {
        assert_eq!(rejected(&old_token).await, Some(InvalidSignature));
        assert_eq!(provider.requests(), expected);
    }

    // Also a key for another algorithm.
    provider.serve_set(&other);
    pass(31).await;
    assert_eq!(rejected(&other_token).await, None);

    // The held keys have judged the token, so it is rejected during an outage of the provider.
    provider.fail();
    pass(31).await;
    assert_eq!(rejected(&forged("same")).await, Some(InvalidSignature));
    assert_eq!(rejected(&forged("same")).await, Some(InvalidSignature));
}

#[tokio::test(start_paused = true)]
async fn local_keys_reject_a_forged_token_at_once() {
    let [(old, _), (_, new_token), _] = replaced();
    let local = tower_jwt_auth::JwtVerifier::<Value>::new(KeySet::jwks(old).unwrap());
    assert_eq!(at_once(local.verify(&new_token)).err(), Some(InvalidSignature));
}

#[tokio::test(start_paused = true)]
async fn forged_tokens_leave_half_the_places_to_others() {
    let provider = Provider::of(&["old"]);
    let keys = provider.keys().max_waiting(10);
    let verifier = verifier(&keys);
    assert_eq!(rejection(&verifier, "old").await, None);
    provider.hang();
    let forgeries: Vec<_> = (0..5).map(|_| verifier.verify(&forged("old"))).collect();
    assert!(forgeries.iter().all(|verdict| matches!(verdict, Verdict::Pending(_))));
    assert_eq!(at_once(verifier.verify(&forged("old"))).err(), Some(InvalidSignature));
    let others: Vec<_> = (0..5).map(|_| verifier.verify(&token("new"))).collect();
    assert!(others.iter().all(|verdict| matches!(verdict, Verdict::Pending(_))));
    assert_eq!(at_once(verifier.verify(&token("new"))).err(), Some(KeysUnavailable));
    assert_eq!(keys.stats().rejected_waiters(), 2);
}

#[tokio::test(start_paused = true)]
async fn key_published_during_a_fetch_is_fetched_again() {
    let provider = Provider::of(&["old"]);
    let verifier = verifier(&provider.keys());
    assert_eq!(rejection(&verifier, "old").await, None);
    provider.delay(seconds(1));
    let stranger = verifier.verify(&forged("x"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The response in flight has the old keys.
    provider.serve(&["old", "new"]);
    assert_eq!(rejection(&verifier, "new").await, None);
    assert_eq!(provider.requests(), 3);
    assert_eq!(stranger.await.unwrap_err().kind(), UnknownKey);
}

#[tokio::test(start_paused = true)]
async fn retry_after_names_the_next_useful_moment() {
    let provider = Provider::new();
    let keys = provider.keys().cooldown(seconds(2)).retry_between(seconds(60), seconds(60));
    let verifier = verifier(&keys);
    let retry = async |kid: &str| verifier.verify(&token(kid)).await.unwrap_err().retry_after().unwrap();
    for _ in 0..20 {
        // The request that waited for the attempt, and those before the next attempt.
        let requests = provider.requests();
        assert_eq!(retry("a").await, seconds(2));
        assert_eq!(retry("a").await, seconds(2));
        pass(1).await;
        assert_eq!(retry("a").await, seconds(1));
        assert_eq!(provider.requests(), requests + 1);
        pass(1).await;
    }
    let wait = retry("a").await;
    provider.serve(&["a"]);
    tokio::time::sleep(wait).await;
    assert_eq!(rejection(&verifier, "a").await, None);

    // During an attempt the response may arrive at any moment.
    let keys = provider.keys().max_waiting(1).seed(key_set(&["z"]));
    let verifier = super::verifier(&keys);
    provider.hang();
    let waiting = verifier.verify(&token("a"));
    let rejected = verifier.verify(&token("a")).await.unwrap_err();
    assert_eq!(rejected.retry_after(), Some(seconds(1)));
    assert_eq!(waiting.await.unwrap_err().retry_after(), Some(seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn lists_skipped_keys() {
    let set = set_of(&[
        jwk_with(Algorithm::EdDSA, json!({"kid": "a"})),
        jwk_with(Algorithm::EdDSA, json!({"kid": "b", "use": "enc"})),
    ]);
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let keys = provider.keys();
    assert!(keys.skipped_keys().is_empty());
    keys.ready().await.unwrap();
    let [skipped] = &keys.skipped_keys()[..] else { panic!("{:?}", keys.skipped_keys()) };
    assert_eq!((skipped.index(), skipped.kid()), (1, Some("b")));
}
