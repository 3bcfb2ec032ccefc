//! Key rotation: new keys are published before they sign, and old ones stay while their tokens live.

use std::time::Duration;

use serde_json::json;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, AuthErrorKind, ConfigErrorKind};

use super::{ManualClock, kid, published};
use crate::support::{self, AUDIENCE, ISSUER, NOW, at, rejection};

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA).unwrap().with_kid(kid)
}

/// Returns an issuer whose tokens live 100 s and whose new keys are published 1,000 s ahead.
fn issuer(clock: &ManualClock) -> TokenIssuer {
    let clock = clock.clone();
    TokenIssuer::new(key("a"), ISSUER)
        .audience(AUDIENCE)
        .lifetime(Duration::from_secs(100))
        .publish_ahead(Duration::from_secs(1000))
        .clock(move || clock.time())
}

/// Asserts for each time which key signs and which keys are published.
#[track_caller]
fn assert_steps(issuer: &TokenIssuer, clock: &ManualClock, steps: &[(u64, &str, &[&str])]) {
    for (time, signs, expected) in steps {
        clock.set(*time);
        assert_eq!(kid(&issuer.issue(&json!({})).unwrap()), *signs, "{time}");
        assert_eq!(published(issuer), *expected, "{time}");
    }
}

#[test]
fn rotation_overlaps_old_and_new_keys() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    assert_steps(&issuer, &clock, &[(0, "a", &["a"])]);
    issuer.rotate(key("b")).unwrap();
    let steps: &[(u64, &str, &[&str])] = &[
        (0, "a", &["a", "b"]),
        (999, "a", &["a", "b"]),
        (1000, "b", &["a", "b"]),
        (1158, "b", &["a", "b"]),
        // The last token of `a` was issued at 999 and ended at 1099. Another process may have signed until
        // 1000.
        (1159, "b", &["a", "b"]),
        (1160, "b", &["b"]),
        (1_000_000, "b", &["b"]),
    ];
    assert_steps(&issuer, &clock, steps);
}

#[test]
fn consecutive_rotations_give_each_key_its_time() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate(key("b")).unwrap();
    clock.set(10);
    issuer.rotate(key("c")).unwrap();
    clock.set(500);
    issuer.rotate(key("d")).unwrap();
    // An emergency: this key starts before others that were added earlier.
    issuer.rotate_at(key("e"), at(NOW + 600)).unwrap();
    let steps: &[(u64, &str, &[&str])] = &[
        (599, "a", &["a", "e", "b", "c", "d"]),
        (600, "e", &["a", "e", "b", "c", "d"]),
        (759, "e", &["a", "e", "b", "c", "d"]),
        (760, "e", &["e", "b", "c", "d"]),
        (1000, "b", &["e", "b", "c", "d"]),
        (1010, "c", &["e", "b", "c", "d"]),
        (1159, "c", &["e", "b", "c", "d"]),
        (1160, "c", &["b", "c", "d"]),
        (1170, "c", &["c", "d"]),
        (1500, "d", &["c", "d"]),
        (1660, "d", &["d"]),
    ];
    assert_steps(&issuer, &clock, steps);
}

#[test]
fn clone_with_shorter_lifetime_removes_no_keys() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    let hasty = issuer.clone().lifetime(Duration::from_secs(1));
    issuer.rotate_at(key("b"), at(NOW + 10)).unwrap();
    clock.set(100);
    hasty.issue(&json!({})).unwrap();
    assert_eq!(issuer.jwks().matches("kty").count(), 2);
    assert!(hasty.rotate(key("a")).is_err(), "its name is still published");
}

#[test]
fn key_stays_for_its_longest_lived_token() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.issue_with_lifetime(Duration::from_secs(5000), &json!({})).unwrap();
    issuer.rotate(key("b")).unwrap();
    assert_steps(&issuer, &clock, &[(5059, "b", &["a", "b"]), (5060, "b", &["b"])]);
}

#[test]
fn process_can_start_during_a_rotation() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    clock.set(5000);
    issuer.rotate_at(key("b"), at(NOW + 4950)).unwrap();
    assert_steps(&issuer, &clock, &[(5000, "b", &["a", "b"]), (5109, "b", &["a", "b"]), (5110, "b", &["b"])]);
}

/// Returns the reason why a key is not removed.
fn kept(issuer: &TokenIssuer, kid: &str) -> ConfigErrorKind {
    issuer.remove_key(kid).unwrap_err().kind()
}

#[tokio::test]
async fn withdraws_a_key_at_once() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    assert_eq!(kept(&issuer, "a"), ConfigErrorKind::OnlyKey);
    issuer.rotate(key("b")).unwrap();
    assert_eq!(kept(&issuer, "c"), ConfigErrorKind::UnknownKeyId);
    let token = issuer.issue(&json!({})).unwrap();
    issuer.clone().remove_key("a").unwrap();
    assert_eq!(kept(&issuer, "a"), ConfigErrorKind::UnknownKeyId);
    // The next key signs before its scheduled time.
    assert_steps(&issuer, &clock, &[(0, "b", &["b"]), (1000, "b", &["b"])]);
    assert_eq!(rejection(&issuer.verifier(), token.as_str()).await, Some(AuthErrorKind::UnknownKey));

    issuer.rotate_at(key("c"), clock.time()).unwrap();
    issuer.remove_key("c").unwrap();
    assert_steps(&issuer, &clock, &[(1000, "b", &["b"])]);
}

#[test]
fn retired_key_stays_gone_after_a_withdrawal() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate_at(key("b"), at(NOW)).unwrap();
    assert_steps(&issuer, &clock, &[(0, "b", &["a", "b"]), (200, "b", &["b"])]);
    assert_eq!(kept(&issuer, "b"), ConfigErrorKind::OnlyKey);
    assert_eq!(kept(&issuer, "a"), ConfigErrorKind::UnknownKeyId, "the key is already gone");
    issuer.rotate(key("c")).unwrap();
    issuer.remove_key("b").unwrap();
    assert_steps(&issuer, &clock, &[(200, "c", &["c"]), (10, "c", &["c"])]);
}

#[test]
fn retired_key_stays_gone_after_a_rotation() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate_at(key("b"), at(NOW)).unwrap();
    issuer.rotate(key("c")).unwrap();
    assert_steps(&issuer, &clock, &[(0, "b", &["a", "b", "c"]), (200, "b", &["b", "c"])]);
    issuer.remove_key("b").unwrap();
    assert_steps(&issuer, &clock, &[(200, "c", &["c"])]);
}

#[test]
fn clones_share_their_keys() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    let other = issuer.clone().audience("other");
    issuer.rotate_at(key("b"), at(NOW)).unwrap();
    assert_steps(&other, &clock, &[(0, "b", &["a", "b"])]);
}

#[test]
fn publishes_each_kid_once() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    let error = issuer.rotate(key("a")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a key with the `kid` `a` is already published; set another with SigningKey::with_kid"
    );
    assert_eq!(published(&issuer), ["a"]);
    // A removed `kid` may be used again.
    issuer.rotate_at(key("b"), at(NOW)).unwrap();
    clock.set(160);
    issuer.rotate(key("a")).unwrap();
    assert_eq!(published(&issuer), ["b", "a"]);
}

#[tokio::test]
async fn rotates_secrets_without_publishing_them() {
    let clock = ManualClock::new();
    let secret = || SigningKey::generate(Algorithm::HS256).unwrap();
    let issuer = TokenIssuer::new(secret(), ISSUER).clock({
        let clock = clock.clone();
        move || clock.time()
    });
    let verifier = issuer.verifier();
    let old = issuer.issue(&json!({})).unwrap();
    issuer.rotate_at(secret(), at(NOW)).unwrap();
    let new = issuer.issue(&json!({})).unwrap();
    assert_eq!(issuer.jwks(), r#"{"keys":[]}"#);
    assert_eq!(rejection(&verifier, old.as_str()).await, None);
    assert_eq!(rejection(&verifier, new.as_str()).await, None);
    clock.set(900 + 59);
    assert_eq!(rejection(&verifier, old.as_str()).await, None);
    clock.set(900 + 60);
    assert_eq!(
        rejection(&verifier, old.as_str()).await,
        Some(tower_jwt_auth::AuthErrorKind::InvalidSignature)
    );
}

#[cfg(feature = "remote-keys-core")]
mod remote {
    use std::time::SystemTime;

    use futures_util::FutureExt;
    use http::{Request, Response};
    use tokio::time::Instant;
    use tower_jwt_auth::JwtVerifier;
    use tower_service::Service;

    use super::*;
    use crate::remote_keys::Provider;

    /// Two verifications of every token: when it is issued, and just before it expires.
    #[tokio::test(start_paused = true)]
    async fn fetching_verifier_accepts_every_rotated_token() {
        let start = Instant::now();
        let clock = move || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) + start.elapsed();
        let lifetime = Duration::from_secs(120);
        let issuer = TokenIssuer::new(key("0"), ISSUER)
            .audience(AUDIENCE)
            .lifetime(lifetime)
            .publish_ahead(Duration::from_secs(20 * 60))
            .clock(clock);
        let provider = Provider::new();
        let service = issuer.jwks_service();
        provider.answer(move |_| {
            let Ok(answer) = service.clone().call(Request::new(())).now_or_never().unwrap();
            let (parts, body) = answer.into_parts();
            Ok(Response::from_parts(parts, body.into_bytes()))
        });
        // No token causes a fetch, so keys must arrive before their tokens.
        let keys = provider.keys().cooldown(Duration::from_secs(1_000_000));
        let verifier = JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(clock);

        let (mut signers, mut held) = (Vec::new(), std::collections::VecDeque::new());
        for minute in 0..400 {
            if minute > 0 && minute % 97 == 0 {
                issuer.rotate(key(&minute.to_string())).unwrap();
            }
            let token = issuer.issue(&json!({})).unwrap();
            assert_eq!(rejection(&verifier, token.as_str()).await, None, "new at {minute}");
            signers.push(kid(&token));
            held.push_back(token);
            // Tokens issued two minutes ago have just expired, and the leeway lasts a minute more.
            if held.len() > 3 {
                let oldest = held.pop_front().unwrap();
                assert_eq!(
                    rejection(&verifier, oldest.as_str()).await,
                    Some(tower_jwt_auth::AuthErrorKind::Expired)
                );
                assert_eq!(rejection(&verifier, held[0].as_str()).await, None, "old at {minute}");
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        signers.dedup();
        assert_eq!(signers, ["0", "97", "194", "291", "388"][..4]);
        assert!(provider.requests() > 50, "{}", provider.requests());
    }
}

#[tokio::test]
async fn clock_jump_removes_no_key() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate(key("b")).unwrap();
    let token = issuer.issue(&json!({})).unwrap();
    let steps: &[(u64, &str, &[&str])] = &[(2000, "b", &["b"]), (10, "a", &["a", "b"]), (2000, "b", &["b"])];
    assert_steps(&issuer, &clock, steps);
    clock.set(20);
    assert_eq!(rejection(&issuer.verifier::<serde_json::Value>(), token.as_str()).await, None);
}

/// Seconds by which a clock is ahead.
const MONTH: u64 = 30 * 24 * 3600;

#[tokio::test]
async fn rotation_by_a_fast_clock_loses_no_key() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate(key("b")).unwrap();
    let token = issuer.issue(&json!({})).unwrap();
    for (kid, rotate) in [
        ("c", &(|key| issuer.rotate(key)) as &dyn Fn(SigningKey) -> _),
        ("d", &|key| issuer.rotate_at(key, at(NOW + MONTH + 2000))),
    ] {
        clock.set(MONTH);
        assert!(!published(&issuer).contains(&"a".to_owned()));
        rotate(key(kid)).unwrap();
        // Right again.
        clock.set(20);
        assert_eq!(rejection(&issuer.verifier::<serde_json::Value>(), token.as_str()).await, None, "{kid}");
    }
    let steps: &[(u64, &str, &[&str])] = &[
        (20, "a", &["a", "b", "c", "d"]),
        (999, "a", &["a", "b", "c", "d"]),
        (1000, "b", &["a", "b", "c", "d"]),
        (1160, "b", &["b", "c", "d"]),
    ];
    assert_steps(&issuer, &clock, steps);
    // The next rotation is not late. The keys of the fast clock sign at their time.
    issuer.rotate(key("e")).unwrap();
    let steps: &[(u64, &str, &[&str])] = &[
        (2160, "e", &["b", "e", "c", "d"]),
        (MONTH, "e", &["e", "c", "d"]),
        (MONTH + 1000, "c", &["e", "c", "d"]),
        (MONTH + 2000, "d", &["c", "d"]),
    ];
    assert_steps(&issuer, &clock, steps);
}

#[tokio::test]
async fn removal_by_a_fast_clock_removes_one_key() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate(key("b")).unwrap();
    let token = issuer.issue(&json!({})).unwrap();
    clock.set(MONTH);
    issuer.rotate(key("c")).unwrap();
    issuer.remove_key("b").unwrap();
    assert_steps(&issuer, &clock, &[(MONTH, "c", &["c"]), (20, "a", &["a", "c"])]);
    assert_eq!(rejection(&issuer.verifier::<serde_json::Value>(), token.as_str()).await, None);
    // The removed key would have signed from 1000 on.
    assert_steps(&issuer, &clock, &[(1159, "a", &["a", "c"]), (1319, "c", &["c"])]);
}

#[test]
fn expired_key_can_be_removed_for_good() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate(key("b")).unwrap();
    clock.set(MONTH);
    assert_eq!(kept(&issuer, "a"), ConfigErrorKind::UnknownKeyId);
    assert_steps(&issuer, &clock, &[(10, "b", &["b"])]);
}

#[test]
fn new_key_replaces_expired_key_of_its_name() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    issuer.rotate(key("b")).unwrap();
    clock.set(MONTH);
    issuer.rotate_at(key("a"), at(NOW + 500)).unwrap();
    assert_steps(&issuer, &clock, &[(MONTH, "b", &["b"]), (600, "a", &["a", "b"])]);
}

/// Otherwise they would take up more and more memory.
#[test]
fn holds_sixteen_expired_keys() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock);
    for n in 1..=19 {
        issuer.rotate_at(key(&n.to_string()), at(NOW + n)).unwrap();
    }
    clock.set(MONTH);
    issuer.rotate(key("last")).unwrap();
    clock.set(0);
    let mut expected: Vec<_> = (3..=19).map(|n| n.to_string()).collect();
    expected.push("last".to_owned());
    assert_eq!(published(&issuer), expected);
}

#[tokio::test]
async fn secrets_without_kid_stay_within_the_try_limit() {
    let secret = |n: u8| SigningKey::hmac(Algorithm::HS256, support::secret::<32>(n)).unwrap();
    let clock = ManualClock::new();
    let time = clock.clone();
    let issuer = TokenIssuer::new(secret(0), ISSUER).clock(move || time.time());
    for n in 1..4 {
        issuer.rotate(secret(n)).unwrap();
    }
    let error = issuer.rotate(secret(4)).unwrap_err().to_string();
    assert_eq!(
        error,
        "too many keys of this algorithm: a token without `kid` is checked against at most 4; \
         give each key a `kid`"
    );
    assert!(issuer.rotate(secret(4).with_kid("named")).is_err(), "keys without a kid keep signing");
    issuer.rotate(key("of another algorithm")).unwrap();
    // Tokens of every key are good, and removed keys make room.
    for time in [0, 2 * 3600 - 1, 2 * 3600, 5 * 3600] {
        clock.set(time);
        let token = issuer.issue(&json!({})).unwrap();
        assert_eq!(rejection(&issuer.verifier::<serde_json::Value>(), token.as_str()).await, None, "{time}");
    }
    issuer.rotate(secret(5)).unwrap();
    // If the clock was wrong, the tokens of the newest four keys are good again.
    clock.set(2 * 3600);
    let token = issuer.issue(&json!({})).unwrap();
    assert_eq!(rejection(&issuer.verifier::<serde_json::Value>(), token.as_str()).await, None);
}
