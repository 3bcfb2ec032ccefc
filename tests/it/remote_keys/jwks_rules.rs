//! The rules for reading a fetched set.

use http::Response;
use serde_json::json;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::keys::JwksRules;

use super::*;

/// Returns a provider with this many keys, named 0, 1 and so on.
fn provider_of(keys: usize) -> Provider {
    let keys: Vec<_> = (0..keys).map(|n| jwk_with(Algorithm::EdDSA, json!({"kid": n.to_string()}))).collect();
    let (provider, set) = (Provider::new(), set_of(&keys));
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    provider
}

#[tokio::test(start_paused = true)]
async fn maximum_number_of_keys_can_be_set() {
    for (keys, rules, expected) in [
        (100, JwksRules::new(), None),
        (101, JwksRules::new(), Some(KeysUnavailable)),
        (101, JwksRules::new().max_keys(101), None),
        (250, JwksRules::new().max_keys(250), None),
        (4, JwksRules::new().max_keys(3), Some(KeysUnavailable)),
    ] {
        let remote = provider_of(keys).keys().rules(rules);
        let last = (keys - 1).to_string();
        assert_eq!(rejection(&verifier(&remote), &last).await, expected, "{keys} keys");
    }
}

#[cfg(feature = "aws-lc-rs")]
#[tokio::test(start_paused = true)]
async fn hundred_longest_keys_fit() {
    let named = |n: usize| jwk_with(Algorithm::MlDsa87, json!({"kid": n.to_string(), "use": "sig"}));
    let set = set_of(&(0..100).map(named).collect::<Vec<_>>());
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let token = crate::keys::token_with(Algorithm::MlDsa87, Some("99"), &crate::support::good_claims());
    assert_eq!(super::rejection_of(&verifier(&provider.keys()), &token).await, None);
}

#[tokio::test(start_paused = true)]
async fn fetched_symmetric_keys_are_always_skipped() {
    let set = set_of(&[
        jwk_with(Algorithm::HS256, json!({"kid": "s"})),
        jwk_with(Algorithm::EdDSA, json!({"kid": "a"})),
    ]);
    let provider = Provider::new();
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let keys = provider.keys().rules(JwksRules::new().allow_symmetric_keys());
    assert_eq!(rejection(&verifier(&keys), "a").await, None);
    assert_eq!((keys.stats().keys(), keys.stats().skipped()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn disabled_algorithm_causes_no_fetch() {
    let provider = provider_of(1);
    let keys = provider.keys();
    let verifier = verifier(&keys).algorithms([Algorithm::RS256]);
    for kid in ["0", "unknown"] {
        assert_eq!(rejection(&verifier, kid).await, Some(UnsupportedAlgorithm), "{kid}");
    }
}

#[tokio::test(start_paused = true)]
async fn ignores_unreadable_metadata_members() {
    let provider = Provider::new();
    provider.answer(|request| {
        Ok(Response::new(match request.uri().path() {
            "/jwks.json" => jwks(&["a"]).into(),
            _ => format!(
                r#"{{"issuer":"{ISSUER}","jwks_uri":"{JWKS}","token_endpoint":null,"scopes_supported":null,"x":1e400,"y":"\ud800"}}"#
            )
            .into(),
        }))
    });
    let keys = RemoteKeys::discover_with(ISSUER, provider).unwrap();
    assert_eq!(rejection(&verifier(&keys), "a").await, None);
}
