//! Tokens that are bound to a key or certificate of the client.

use serde_json::{Value, json};
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::AuthErrorKind::SenderConstrained;
use tower_jwt_auth::issue::{IssueErrorKind, TokenIssuer};
use tower_jwt_auth::token::{Binding, Thumbprint};

use super::{issuer_of, json_parts, parts, signing_key};
use crate::support::{AUDIENCE, ISSUER, NOW, rejection};

const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fn issuer() -> TokenIssuer {
    issuer_of(signing_key(Algorithm::HS256))
}

fn thumbprint() -> Thumbprint {
    THUMBPRINT.parse().unwrap()
}

#[test]
fn bound_tokens_have_cnf() {
    for (binding, name) in
        [(Binding::to_key(thumbprint()), "jkt"), (Binding::to_certificate(thumbprint()), "x5t#S256")]
    {
        let token = issuer().bound_to(binding).issue(&json!({"sub": "42"})).unwrap();
        let expected = format!(
            r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","iat":{NOW},"exp":{},"jti":"{}","cnf":{{"{name}":"{THUMBPRINT}"}},"sub":"42"}}"#,
            NOW + 900,
            token.jti(),
        );
        assert_eq!(parts(&token).1, expected);
    }
}

#[test]
fn cnf_is_reserved_in_bound_tokens() {
    let claims = json!({"sub": "42", "cnf": {"kid": "k"}});
    let error = issuer().bound_to(Binding::to_key(thumbprint())).issue(&claims).unwrap_err();
    assert_eq!(error.kind(), IssueErrorKind::ReservedClaim);
    assert_eq!(error.to_string(), "reserved claim `cnf`: the issuer sets it; remove it from your claims");
    // The application may bind tokens by itself.
    assert_eq!(json_parts(&issuer().issue(&claims).unwrap()).1["cnf"], claims["cnf"]);
}

#[test]
fn clones_bind_the_tokens_of_each_client() {
    let issuer = issuer();
    let cnf = |issuer: &TokenIssuer| json_parts(&issuer.issue(&json!({})).unwrap()).1["cnf"].clone();
    let first = issuer.clone().bound_to(Binding::to_key(thumbprint()));
    let second = first.clone().bound_to(Binding::to_certificate(thumbprint()));
    assert_eq!(cnf(&first), json!({"jkt": THUMBPRINT}));
    assert_eq!(cnf(&second), json!({"x5t#S256": THUMBPRINT}));
    assert_eq!(cnf(&issuer), Value::Null);
}

#[tokio::test]
async fn plain_verifier_rejects_bound_tokens() {
    let issuer = issuer();
    for binding in [Binding::to_key(thumbprint()), Binding::to_certificate(thumbprint())] {
        let token = issuer.clone().bound_to(binding).issue(&json!({})).unwrap();
        assert_eq!(rejection(&issuer.verifier(), token.as_str()).await, Some(SenderConstrained));
    }
}
