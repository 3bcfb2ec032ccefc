//! Revocation: tokens that are rejected before they expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::revocation::{Revocation, RevocationWrite, Revocations};
use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet};

use crate::support::*;

/// Returns a list, and a verifier that uses it. Both share a clock that can be set.
fn listed() -> (Revocations, JwtVerifier<Value>, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(NOW));
    let clock = || {
        let time = Arc::clone(&time);
        move || at(time.load(Ordering::Relaxed))
    };
    let revocations = Revocations::new().clock(clock());
    let verifier = verifier().clock(clock()).revocations(revocations.clone());
    (revocations, verifier, time)
}

fn claims(more: &Value) -> String {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    token(&claims)
}

const EXPIRY: u64 = NOW + 300;

#[tokio::test]
async fn revokes_a_token_by_jti_sid_or_sub() {
    let (revocations, verifier, _) = listed();
    drop(revocations.revoke_token(ISSUER, "t1", at(EXPIRY)));
    drop(revocations.revoke_session(ISSUER, "s1", at(EXPIRY)));
    drop(revocations.revoke_subject(ISSUER, "u1", at(NOW - 10), at(EXPIRY)));
    for (name, more, revoked) in [
        ("no names", json!({}), false),
        ("other names", json!({"jti": "t2", "sid": "s2", "sub": "u2", "iat": NOW - 10}), false),
        ("jti", json!({"jti": "t1"}), true),
        ("sid", json!({"sid": "s1"}), true),
        ("sub, issued before", json!({"sub": "u1", "iat": NOW - 11}), true),
        ("sub, issued then", json!({"sub": "u1", "iat": NOW - 10}), true),
        ("sub, issued a moment later", json!({"sub": "u1", "iat": NOW as f64 - 9.75}), false),
        ("sub, issued later", json!({"sub": "u1", "iat": NOW - 9}), false),
        ("sub, unknown issue time", json!({"sub": "u1"}), true),
        ("a name of another sort", json!({"jti": "s1", "sid": "t1", "sub": "t1"}), false),
        ("a part of a name", json!({"jti": "t"}), false),
        ("written with an escape", json!({"jti": "t\u{31}"}), true),
    ] {
        let rejected = rejection(&verifier, &claims(&more)).await;
        assert_eq!(rejected, revoked.then_some(Revoked), "{name}");
    }
    for (issuer, sid, revoked) in
        [(ISSUER, "s1", true), (ISSUER, "t1", false), ("https://other.example", "s1", false)]
    {
        let checked = revocations.check_session(issuer, sid).err().map(|error| error.kind());
        assert_eq!(checked, revoked.then_some(Revoked), "{issuer} {sid}");
    }
    let long = format!("{}1", "t".repeat(300));
    drop(revocations.revoke_token(ISSUER, &long, at(EXPIRY)));
    assert_eq!(rejection(&verifier, &claims(&json!({"jti": long}))).await, Some(Revoked), "a long name");
    let escaped = good_claims().to_string().replace("\"sub\"", "\"jti\":\"\\u00741\",\"sub\"");
    let escaped = token_of(r#"{"alg":"HS256"}"#, &escaped);
    assert_eq!(rejection(&verifier, &escaped).await, Some(Revoked), "an escape in the token");
}

#[tokio::test]
async fn client_gets_401_for_a_revoked_token() {
    let (revocations, verifier, _) = listed();
    drop(revocations.revoke_token(ISSUER, "t1", at(EXPIRY)));
    let response = ask(&JwtAuthLayer::new(verifier), bearer(&claims(&json!({"jti": "t1"})))).await;
    let challenge =
        r#"Bearer realm="api", error="invalid_token", error_description="the token has been revoked""#;
    assert_rejected("revoked", &response, 401, Revoked, &[("www-authenticate", challenge)]);
}

#[tokio::test]
async fn revocations_apply_to_one_issuer() {
    let (revocations, verifier, _) = listed();
    drop(revocations.revoke_token("https://other.example", "t1", at(EXPIRY)));
    drop(revocations.revoke_token(&ISSUER[..ISSUER.len() - 1], "mt1", at(EXPIRY)));
    for jti in ["t1", "mt1"] {
        assert_eq!(rejection(&verifier, &claims(&json!({"jti": jti}))).await, None, "{jti}");
    }
    let anyone = verifier.insecure_any_issuer();
    let of = |issuer: Value| {
        let mut claims = claims_with("iss", issuer);
        claims["jti"] = json!("t1");
        token(&claims)
    };
    assert_eq!(rejection(&anyone, &of(json!("https://other.example"))).await, Some(Revoked));
    assert_eq!(rejection(&anyone, &of(Value::Null)).await, None);
    drop(revocations.revoke_token("", "t1", at(EXPIRY)));
    assert_eq!(rejection(&anyone, &of(Value::Null)).await, Some(Revoked), "no issuer is the empty one");
}

#[tokio::test]
async fn cached_token_is_revoked_too() {
    let names = json!({"jti": "t1", "sid": "s1", "sub": "u1", "iat": NOW - 60});
    for revoke in [
        (|list: &Revocations| list.revoke_token(ISSUER, "t1", at(EXPIRY)))
            as fn(&Revocations) -> RevocationWrite,
        |list| list.revoke_session(ISSUER, "s1", at(EXPIRY)),
        |list| list.revoke_subject(ISSUER, "u1", at(NOW), at(EXPIRY)),
    ] {
        let (revocations, verifier, _) = listed();
        let verifier = verifier.cache(CacheSettings::new());
        let token = claims(&names);
        assert_eq!(rejection(&verifier, &token).await, None);
        assert_eq!(rejection(&verifier, &token).await, None);
        assert_eq!(verifier.cache_stats().unwrap().hits(), 1);
        drop(revoke(&revocations));
        assert_eq!(rejection(&verifier, &token).await, Some(Revoked));
    }
}

#[tokio::test]
async fn entry_is_evicted_after_its_tokens_expire() {
    let (revocations, verifier, time) = listed();
    let verifier = verifier.leeway(Duration::from_secs(7200));
    drop(revocations.revoke_token(ISSUER, "t1", at(EXPIRY)));
    let token = claims(&json!({"jti": "t1"}));
    let others = |from: usize| {
        // Every revocation evicts from a part of the list.
        for n in from..from + 400 {
            drop(revocations.revoke_session(ISSUER, &n.to_string(), at(NOW)));
        }
    };
    time.store(EXPIRY + 7199, Ordering::Relaxed);
    others(0);
    assert_eq!(rejection(&verifier, &token).await, Some(Revoked), "as long as the leeway lasts");
    time.store(EXPIRY + 15_000, Ordering::Relaxed);
    others(1000);
    assert!(revocations.len() <= 401, "{}", revocations.len());
    time.store(NOW, Ordering::Relaxed);
    assert_eq!(rejection(&verifier, &token).await, None, "the entry has been evicted");
}

/// The clock may be ahead, so that a token that is revoked now only seems to have expired.
#[tokio::test]
async fn new_entry_is_held_for_an_hour() {
    let (revocations, verifier, time) = listed();
    time.store(NOW + 30 * 24 * 3600, Ordering::Relaxed);
    drop(revocations.revoke_token(ISSUER, "t1", at(NOW + 300)));
    drop(revocations.revoke_session(ISSUER, "s1", at(NOW + 300)));
    drop(revocations.revoke_subject(ISSUER, "u1", at(NOW), at(NOW + 300)));
    time.fetch_add(3599, Ordering::Relaxed);
    for n in 0..400 {
        drop(revocations.revoke_token(ISSUER, &n.to_string(), at(NOW)));
    }
    time.store(NOW, Ordering::Relaxed);
    for names in [json!({"jti": "t1"}), json!({"sid": "s1"}), json!({"sub": "u1"})] {
        assert_eq!(rejection(&verifier, &claims(&names)).await, Some(Revoked), "{names}");
    }
}

/// Eviction rebuilds the filter that makes lookups fast.
#[tokio::test]
async fn remaining_entries_work_after_an_eviction() {
    let (revocations, verifier, time) = listed();
    let verifier = verifier.leeway(Duration::from_secs(7200));
    for n in 0..2000 {
        drop(revocations.revoke_token(ISSUER, &n.to_string(), at(EXPIRY - 100 * (n % 2))));
        drop(revocations.revoke_session(ISSUER, &n.to_string(), at(EXPIRY - 100 * (n % 2))));
    }
    time.store(EXPIRY + 7150, Ordering::Relaxed);
    for n in 0..400 {
        drop(revocations.revoke_subject(ISSUER, &format!("other-{n}"), at(NOW), at(EXPIRY)));
    }
    assert_eq!(revocations.len(), 2000 + 400, "half of them are evicted");
    for n in 0..2000 {
        for name in ["jti", "sid"] {
            let rejected = rejection(&verifier, &claims(&json!({name: n.to_string()}))).await;
            assert_eq!(rejected, (n % 2 == 0).then_some(Revoked), "{name} {n}");
        }
    }
}

#[tokio::test]
async fn list_may_be_read_before_any_verifier_exists() {
    let revocations = Revocations::new().clock(|| at(EXPIRY + 50));
    for n in 0..600 {
        drop(revocations.revoke_token(ISSUER, &n.to_string(), at(EXPIRY)));
    }
    let verifier = verifier().clock(|| at(EXPIRY + 50)).revocations(revocations);
    for n in 0..600 {
        let token = claims(&json!({"jti": n.to_string()}));
        assert_eq!(rejection(&verifier, &token).await, Some(Revoked), "{n}");
    }
}

/// A token without `exp` outlives every entry with one.
#[tokio::test]
async fn token_without_expiry_stays_revoked() {
    let (revocations, verifier, time) = listed();
    let verifier = verifier.insecure_allow_missing_expiry();
    let cached = verifier.clone().cache(CacheSettings::new());
    let lasting = |more: Value| {
        let mut claims = claims_with("exp", Value::Null);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token(&claims)
    };
    let tokens =
        [json!({"jti": "t1"}), json!({"sid": "s1"}), json!({"sub": "u1"}), json!({"jti": "t2"})].map(lasting);
    for token in &tokens {
        assert_eq!(rejection(&cached, token).await, None);
    }
    drop(revocations.revoke_token(ISSUER, "t1", at(NOW + 1)));
    drop(revocations.revoke_session(ISSUER, "s1", at(NOW + 1)));
    drop(revocations.revoke_subject(ISSUER, "u1", at(NOW), None));
    let claims = verifier.verify(&tokens[3]).await.unwrap();
    drop(revocations.revoke_token(ISSUER, "t2", claims.token().expires_at()));
    for later in [0, 3600, 86_400 * 365, 86_400 * 365 * 40] {
        time.store(NOW + later, Ordering::Relaxed);
        for n in 0..400 {
            drop(revocations.revoke_session(ISSUER, &format!("{later}-{n}"), at(NOW + later)));
        }
        for token in &tokens {
            assert_eq!(rejection(&verifier, token).await, Some(Revoked), "{later}");
            assert_eq!(rejection(&cached, token).await, Some(Revoked), "{later}, cached");
        }
    }
}

/// Other processes hold an entry of a shared list no longer than it says.
#[tokio::test]
async fn entry_without_expiry_stays() {
    let (revocations, verifier, time) = listed();
    drop(revocations.revoke_session(ISSUER, "s1", None));
    drop(revocations.revoke_session(ISSUER, "s2", at(EXPIRY)));
    time.store(NOW + 86_400 * 365 * 40, Ordering::Relaxed);
    for n in 0..400 {
        drop(revocations.revoke_subject(ISSUER, &format!("other-{n}"), at(NOW), at(EXPIRY)));
    }
    time.store(NOW, Ordering::Relaxed);
    assert_eq!(rejection(&verifier, &claims(&json!({"sid": "s1"}))).await, Some(Revoked));
    assert_eq!(
        rejection(&verifier, &claims(&json!({"sid": "s2"}))).await,
        None,
        "the entry has been evicted"
    );
}

#[tokio::test]
async fn revoking_twice_forgets_nothing() {
    let (revocations, verifier, _) = listed();
    drop(revocations.revoke_subject(ISSUER, "u1", at(NOW), at(EXPIRY)));
    drop(revocations.revoke_subject(ISSUER, "u1", at(NOW - 100), at(NOW)));
    assert_eq!(rejection(&verifier, &claims(&json!({"sub": "u1", "iat": NOW}))).await, Some(Revoked));
    assert_eq!(revocations.len(), 1);
    assert!(!revocations.is_empty() && Revocations::new().is_empty());
}

#[tokio::test]
async fn unreadable_claims_do_not_evade_revocation() {
    let (_, verifier, _) = listed();
    for (name, value) in
        [("jti", json!(1)), ("sid", json!(["s1"])), ("sub", json!(null)), ("iat", json!("1"))]
    {
        let mut claims = good_claims();
        claims[name] = value;
        let odd = token(&claims);
        assert_eq!(rejection(&verifier, &odd).await, Some(InvalidClaims), "{name}");
        // `iat` must always be a number (RFC 7519, section 4.1.6).
        let with_no_list = (name == "iat").then_some(InvalidClaims);
        assert_eq!(rejection(&crate::support::verifier(), &odd).await, with_no_list, "{name}, with no list");
    }
    let twice = good_claims().to_string().replace("\"sub\"", "\"sid\":\"a\",\"sid\":\"b\",\"sub\"");
    assert_eq!(rejection(&verifier, &token_of(r#"{"alg":"HS256"}"#, &twice)).await, Some(InvalidClaims));
}

#[tokio::test]
async fn claims_type_needs_no_revocation_fields() {
    #[derive(serde::Deserialize)]
    struct Email {
        #[expect(dead_code, reason = "it is there to be read")]
        email: String,
    }
    let revocations = Revocations::new();
    let verifier = JwtVerifier::<Email>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        .revocations(revocations.clone());
    let token = claims(&json!({"sid": "s1"}));
    assert!(verifier.verify(&token).await.is_ok());
    drop(revocations.revoke_session(ISSUER, "s1", at(EXPIRY)));
    assert_eq!(verifier.verify(&token).await.err().unwrap().kind(), Revoked);
}

#[test]
fn long_list_is_fast() {
    let revocations = Revocations::new().clock(|| at(NOW));
    let start = Instant::now();
    for n in 0..100_000 {
        drop(revocations.revoke_token(ISSUER, &n.to_string(), at(EXPIRY)));
    }
    assert_eq!(revocations.len(), 100_000);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(format!("{revocations:?}"), "Revocations { len: 100000, .. }");
}

#[test]
fn reads_and_writes_entries_as_json() {
    for (exp, held) in [
        (r#","exp":1800000000"#, r#","exp":1800000000"#),
        (r#","exp":1800000000.5"#, r#","exp":1800000001"#),
        (r#","exp":4294967294"#, r#","exp":4294967294"#),
        (r#","exp":4294967295"#, ""),
        (r#","exp":253402300799"#, ""),
        (r#","exp":1e30"#, ""),
        ("", ""),
        (r#","exp":-1"#, r#","exp":0"#),
    ] {
        let text = format!(r#"{{"iss":"a","jti":"b"{exp},"more":1}}"#);
        let read: Revocation = serde_json::from_str(&text).unwrap();
        assert_eq!(read.expires_at().is_none(), held.is_empty(), "{exp}");
        let written = format!(r#"{{"iss":"a","jti":"b"{held}}}"#);
        assert_eq!(serde_json::to_string(&read).unwrap(), written, "{exp}");
    }
    for text in [
        r#"{"iss":"a","jti":"b","exp":"1"}"#,
        r#"{"iss":"a","exp":1}"#,
        r#"{"iss":"a","jti":"b","sid":"c","exp":1}"#,
        r#"{"iss":"a","sub":"b","exp":1}"#,
        r#"{"iss":"a","jti":"b","until":1,"exp":1}"#,
        r#"{"jti":"b","exp":1}"#,
        r#"{"iss":"a","jti":1,"exp":1}"#,
    ] {
        assert!(serde_json::from_str::<Revocation>(text).is_err(), "{text}");
    }
    let text = r#"{"iss":"a","sub":"b","until":18446744073709551615,"exp":1}"#;
    assert!(serde_json::from_str::<Revocation>(text).unwrap().expires_at() == Some(at(1)));
}

#[test]
fn entry_describes_what_it_revokes() {
    let names = |one: &Revocation| [one.jti(), one.sid(), one.sub()].map(|name| name.map(str::to_owned));
    let name = || Some("a".to_owned());
    for (entry, expected, issued_until) in [
        (Revocation::token(ISSUER, "a", at(EXPIRY)), [name(), None, None], None),
        (Revocation::session(ISSUER, "a", at(EXPIRY)), [None, name(), None], None),
        (Revocation::subject(ISSUER, "a", at(NOW), at(EXPIRY)), [None, None, name()], Some(at(NOW))),
    ] {
        assert_eq!((names(&entry), entry.issued_until()), (expected, issued_until));
        assert_eq!((entry.issuer(), entry.expires_at()), (ISSUER, Some(at(EXPIRY))));
    }
    assert_eq!(Revocation::token(ISSUER, "a", None).expires_at(), None);
}

#[test]
fn entries_survive_json_unchanged() {
    let fraction = Duration::from_nanos(1_500_001);
    let entries = [
        Revocation::token(ISSUER, "a", None),
        Revocation::token(ISSUER, "a", at(u32::MAX.into())),
        Revocation::session(ISSUER, "a", at(EXPIRY) + fraction),
        Revocation::subject(ISSUER, "a", at(NOW) + fraction, None),
        Revocation::subject(ISSUER, "a", at(NOW) + fraction, at(0) - fraction),
    ];
    for entry in &entries {
        let text = serde_json::to_string(entry).unwrap();
        assert_eq!(&serde_json::from_str::<Revocation>(&text).unwrap(), entry, "{text}");
    }
    assert_eq!(entries[0], entries[1], "no list counts beyond 2106");
    assert_eq!(entries[2].expires_at(), Some(at(EXPIRY + 1)), "rounded up");
    assert_eq!(entries[3].issued_until(), Some(at(NOW) + Duration::from_millis(1)), "rounded down");
}
