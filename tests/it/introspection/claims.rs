use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{
    Expired, InvalidClaims, InvalidToken, NotYetValid, Revoked, SenderConstrained, TokenTooLarge,
    WrongAudience, WrongClaim, WrongIssuer, WrongTokenType,
};
use tower_jwt_auth::introspection::Introspection;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::verifiers::AnyOf;
use tower_jwt_auth::{Credential, JwtAuthLayer, Verify, policy};

use super::{Provider, TOKEN, active, active_with, kind, rejection};
use crate::support::{AUDIENCE, ISSUER, NOW, ask, assert_rejected, at, bearer, good_token, verifier};

fn strict(provider: &Provider) -> Introspection<Value> {
    provider.verifier().issuer(ISSUER).audience(AUDIENCE)
}

#[tokio::test(start_paused = true)]
async fn judges_every_member() {
    for (name, value, expected) in [
        ("sub", json!(42), None),
        ("active", json!(false), Some(InvalidToken)),
        ("exp", json!(NOW - 59), None),
        ("exp", json!(NOW - 60), Some(Expired)),
        ("exp", json!("soon"), Some(InvalidClaims)),
        ("exp", json!(null), Some(InvalidClaims)),
        ("nbf", json!(NOW + 60), None),
        ("nbf", json!(NOW + 61), Some(NotYetValid)),
        ("iat", json!("now"), Some(InvalidClaims)),
        ("iss", json!("https://other.example.com"), Some(WrongIssuer)),
        ("iss", json!(5), Some(InvalidClaims)),
        ("aud", json!(["https://other.example.com", AUDIENCE]), None),
        ("aud", json!("https://other.example.com"), Some(WrongAudience)),
        ("aud", json!([]), Some(WrongAudience)),
        ("cnf", json!({"jkt": "abc"}), Some(SenderConstrained)),
        ("token_type", json!("bearer"), None),
        ("token_type", json!("DPoP"), Some(SenderConstrained)),
        ("token_type", json!("refresh_token"), Some(WrongTokenType)),
        ("token_type", json!("N_A"), Some(WrongTokenType)),
        ("token_type", json!(null), Some(WrongTokenType)),
        ("token_use", json!("access_token"), None),
        ("token_use", json!("refresh_token"), Some(WrongTokenType)),
        ("token_use", json!("id"), Some(WrongTokenType)),
        ("typ", json!("Bearer"), None),
        ("typ", json!("Refresh"), Some(WrongTokenType)),
        ("typ", json!("Offline"), Some(WrongTokenType)),
        ("typ", json!("ID"), Some(WrongTokenType)),
        ("typ", json!("Logout"), Some(WrongTokenType)),
        ("$serde_json::private::Number", json!("1"), Some(InvalidClaims)),
        ("deep", json!(vec![json!([]); 1025]), Some(InvalidClaims)),
    ] {
        let provider = Provider::saying(active_with(name, value.clone()));
        assert_eq!(kind(&strict(&provider), TOKEN).await, expected, "{name}: {value}");
        assert_eq!(provider.requests(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_private_names_in_any_spelling() {
    for spelling in crate::private_names::spellings() {
        for member in [format!(r#""{spelling}":"1""#), format!(r#""x":[{{"{spelling}" :"{{}}"}}]"#)] {
            let response = active().to_string();
            let provider = Provider::saying(format!("{{{member},{}", &response[1..]));
            assert_eq!(kind(&strict(&provider), TOKEN).await, Some(InvalidClaims), "{member}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn judges_missing_members() {
    let without = |name: &str| {
        let mut response = active();
        response.as_object_mut().unwrap().remove(name);
        response
    };
    for (name, expected) in
        [("iss", Some(WrongIssuer)), ("aud", Some(WrongAudience)), ("exp", None), ("token_type", None)]
    {
        let provider = Provider::saying(without(name));
        assert_eq!(kind(&strict(&provider), TOKEN).await, expected, "{name}");
    }
    // Without an audience, only tokens without one are accepted.
    let (with, without) = (Provider::saying(active()), Provider::saying(without("aud")));
    assert_eq!(kind(&with.verifier(), TOKEN).await, Some(WrongAudience));
    assert_eq!(kind(&with.verifier().insecure_any_audience(), TOKEN).await, None);
    assert_eq!(kind(&without.verifier(), TOKEN).await, None);
}

#[tokio::test(start_paused = true)]
async fn token_type_tells_refresh_tokens() {
    for (name, response, expected) in [
        ("access token", json!({"active": true, "token_type": "Bearer"}), None),
        ("refresh token", json!({"active": true}), Some(WrongTokenType)),
    ] {
        let verifier = Provider::saying(response).verifier();
        assert_eq!(kind(&verifier, TOKEN).await, None, "{name}");
        assert_eq!(kind(&verifier.access_tokens_only(), TOKEN).await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_duplicate_members() {
    for member in ["exp", "aud", "iss", "token_type", "typ", "token_use", "cnf", "scope"] {
        let text = format!(r#"{{"active":true,"{member}":"Bearer","{member}":"Bearer"}}"#);
        let verifier =
            Provider::saying(text).verifier().insecure_any_audience().insecure_ignore_confirmation();
        // The plain JSON type keeps the last of two scopes, as for a JWT.
        let expected = (member != "scope").then_some(InvalidClaims);
        assert_eq!(kind(&verifier, TOKEN).await, expected, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn explains_rejections_for_logs() {
    for (name, value, expected) in [
        ("aud", json!("other"), "the verifier expects the audience `https://api.example.com`"),
        ("iss", json!("other"), "the verifier expects the issuer `https://id.example.com`"),
        ("exp", json!("soon"), "the claim `exp` is malformed or appears twice"),
        ("tenant", json!("other"), "the claim `tenant` has another value than the verifier requires"),
        ("token_type", json!("mac"), "the `token_type` of the introspection response is not `Bearer`"),
    ] {
        let verifier = strict(&Provider::saying(active_with(name, value)));
        let verifier = if name == "tenant" { verifier.require_claim("tenant", "acme") } else { verifier };
        assert_eq!(rejection(&verifier).await.1, expected);
    }
    let (kind, cause) = rejection(&Provider::saying(active()).verifier()).await;
    assert_eq!(kind, WrongAudience);
    assert!(cause.contains("set Introspection::audience"), "{cause}");
    let verifier = strict(&Provider::saying(active())).require_claim("tenant", "acme");
    assert_eq!(rejection(&verifier).await.0, WrongClaim);
}

#[tokio::test(start_paused = true)]
async fn odd_tokens_cost_no_call() {
    let provider = Provider::saying(active());
    let verifier = strict(&provider).max_token_bytes(30);
    let long = "a".repeat(31);
    for (token, expected) in [
        (&long[..], TokenTooLarge),
        ("", InvalidToken),
        ("a b", InvalidToken),
        ("a\u{7f}", InvalidToken),
        ("é", InvalidToken),
    ] {
        assert_eq!(kind(&verifier, token).await, Some(expected), "{token}");
    }
    assert_eq!(kind(&verifier, &long[1..]).await, None);
    assert_eq!(provider.requests(), 1);
    // No token is valid while the time is unknown.
    let verifier = verifier.clock(|| std::time::UNIX_EPOCH - std::time::Duration::from_secs(1));
    assert_eq!(kind(&verifier, TOKEN).await, Some(NotYetValid));
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn honours_revocations_at_each_use() {
    let provider = Provider::saying(active_with("jti", json!("t-1")));
    let revocations = Revocations::new();
    let verifier = strict(&provider).revocations(revocations.clone());
    assert_eq!(kind(&verifier, TOKEN).await, None);
    drop(revocations.revoke_token(ISSUER, "t-1", None));
    assert_eq!(kind(&verifier, TOKEN).await, Some(Revoked));
    assert_eq!(provider.requests(), 1);
    // With revocations, the IDs must be strings.
    provider.say(active_with("jti", json!(1)));
    assert_eq!(kind(&verifier, "another").await, Some(InvalidClaims));
}

#[tokio::test(start_paused = true)]
async fn layer_answers_like_for_jwts() {
    let provider = Provider::saying(active());
    let layer = JwtAuthLayer::new(strict(&provider)).require(policy::scope("orders:read"));
    assert_eq!(ask(&layer, bearer(TOKEN)).await.body(), "Hello eze@example.com");
    provider.say(active_with("scope", json!("")));
    let response = ask(&layer, bearer("without")).await;
    assert_eq!(response.status(), 403);
    for (response, expected, description) in [
        (json!({"active": false}), InvalidToken, "the token is not valid"),
        (active_with("exp", json!(1)), Expired, "the token has expired"),
        (active_with("aud", json!("x")), WrongAudience, "the token is not for this audience"),
    ] {
        provider.say(response);
        let response = ask(&layer, bearer(description.split(' ').next_back().unwrap())).await;
        let challenge =
            format!(r#"Bearer realm="api", error="invalid_token", error_description="{description}""#);
        let headers = [("www-authenticate", &challenge[..])];
        assert_rejected(description, &response, 401, expected, &headers);
    }
}

#[tokio::test(start_paused = true)]
async fn works_beside_jwts() {
    let provider = Provider::saying(active());
    let verifier = AnyOf::new().jwt(verifier()).opaque(strict(&provider));
    assert!(verifier.verify(&good_token()).await.is_ok());
    assert_eq!(provider.requests(), 0);
    assert!(verifier.verify(TOKEN).await.is_ok());
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn tells_issuer_and_expiry() {
    let verifier = strict(&Provider::saying(active()));
    let claims = Verify::verify(&verifier, Credential::from(TOKEN)).await.unwrap();
    assert_eq!(claims.token().issuer(), Some(ISSUER));
    assert_eq!(claims.token().expires_at(), Some(at(NOW + 300)));
}
