//! The age of a proof (RFC 9449, section 4.3, check 11, and section 11.1).

use std::time::Duration;

use tower_jwt_auth::AuthErrorKind::*;

use super::*;

const WRONG: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof is too old or from the future""#;

#[tokio::test]
async fn accepts_recent_proofs_only() {
    let layer = layer();
    for (name, iat, is_accepted) in [
        ("now", json!(NOW), true),
        ("with a fraction", json!(NOW as f64 + 0.5), true),
        ("59 s old", json!(NOW - 59), true),
        ("60 s old", json!(NOW - 60), false),
        ("61 s old", json!(NOW - 61), false),
        ("5 s ahead", json!(NOW + 5), true),
        ("6 s ahead", json!(NOW + 6), false),
        ("a moment too far ahead", json!(NOW as f64 + 5.001), false),
        ("in milliseconds", json!(NOW * 1000), false),
        ("1970", json!(0), false),
        ("before 1970", json!(-1), false),
        ("the greatest integer", json!(u64::MAX), false),
        ("far ahead", json!(1e300), false),
        ("far back", json!(-1e300), false),
    ] {
        let response = try_proof(&layer, |proof| proof.claim("iat", iat)).await;
        match is_accepted {
            true => assert_accepted(name, &response),
            false => assert_refused(name, &response, WrongProofTime, WRONG),
        }
    }
}

#[tokio::test]
async fn age_and_skew_are_settings() {
    let layer = layer_with(dpop().max_age(Duration::from_secs(10)).max_ahead(Duration::ZERO));
    for (iat, is_accepted) in [(NOW - 9, true), (NOW - 10, false), (NOW, true), (NOW + 1, false)] {
        let response = try_proof(&layer, |proof| proof.claim("iat", iat)).await;
        assert_eq!(response.status() == 200, is_accepted, "{iat}");
    }
    let forever = layer_with(dpop().max_age(Duration::MAX).max_ahead(Duration::MAX));
    for iat in [json!(0), json!(NOW), json!(1e300)] {
        let response = try_proof(&forever, |proof| proof.claim("iat", iat.clone())).await;
        assert_accepted(&iat.to_string(), &response);
    }
    let never = layer_with(dpop().max_age(Duration::ZERO));
    assert_eq!(try_proof(&never, |proof| proof).await.status(), 401);
}

/// A JWT is not valid outside of both times (RFC 7519, sections 4.1.4 and 4.1.5).
#[tokio::test]
async fn respects_expiry_and_start_of_a_proof() {
    for (name, claim, time, is_accepted) in [
        ("expires", "exp", NOW + 1, true),
        ("expired now", "exp", NOW, false),
        ("began", "nbf", NOW, true),
        ("begins within the skew", "nbf", NOW + 5, true),
        ("begins later", "nbf", NOW + 6, false),
    ] {
        let response = try_proof(&layer(), |proof| proof.claim(claim, time)).await;
        match is_accepted {
            true => assert_accepted(name, &response),
            false => assert_refused(name, &response, WrongProofTime, WRONG),
        }
    }
}
