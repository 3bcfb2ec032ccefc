use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use tower_jwt_auth::introspection::{ClientAuth, Introspection};

use super::{ENDPOINT, Provider, TOKEN, active};
use crate::support::{NOW, at};

async fn sent(auth: ClientAuth) -> http::Request<Vec<u8>> {
    let provider = Provider::saying(active());
    let verifier =
        Introspection::<serde_json::Value>::endpoint_with(ENDPOINT, auth, provider.clone()).unwrap();
    verifier.insecure_any_audience().clock(|| at(NOW)).verify(TOKEN).await.unwrap();
    provider.last()
}

fn body(request: &http::Request<Vec<u8>>) -> &str {
    std::str::from_utf8(request.body()).unwrap()
}

const FORM: &str = "token=2YotnFZFEjr1zCsicMWpAA&token_type_hint=access_token";

#[tokio::test(start_paused = true)]
async fn sends_basic_credentials_form_encoded() {
    let request = sent(ClientAuth::basic("an api", "a:b+c%ü/~")).await;
    assert_eq!((request.method(), request.uri().to_string()), (&Method::POST, ENDPOINT.to_owned()));
    let value = request.headers()["authorization"].to_str().unwrap();
    let pair = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(std::str::from_utf8(&pair).unwrap(), "an+api:a%3Ab%2Bc%25%C3%BC%2F%7E");
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(request.headers().len(), 3);
    assert_eq!(body(&request), FORM);
}

#[tokio::test(start_paused = true)]
async fn sends_posted_credentials() {
    let request = sent(ClientAuth::post("an api", "a&b=c")).await;
    assert_eq!(body(&request), format!("{FORM}&client_id=an+api&client_secret=a%26b%3Dc"));
    assert_eq!(request.headers().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn replaces_credentials_of_all_clones() {
    let auth = ClientAuth::post("api", "old");
    let provider = Provider::saying(active());
    let verifier =
        Introspection::<serde_json::Value>::endpoint_with(ENDPOINT, auth.clone(), provider.clone()).unwrap();
    let verifier = verifier.insecure_any_audience().clock(|| at(NOW));
    verifier.verify("a").await.unwrap();
    assert!(body(&provider.last()).ends_with("client_secret=old"));
    auth.replace(&ClientAuth::post("api", "new"));
    verifier.verify("b").await.unwrap();
    assert!(body(&provider.last()).ends_with("client_secret=new"));
}

#[test]
fn debug_shows_no_secret() {
    for auth in [ClientAuth::basic("api", "hush"), ClientAuth::post("api", "hush")] {
        let verifier =
            Introspection::<serde_json::Value>::endpoint_with(ENDPOINT, auth, Provider::saying("")).unwrap();
        let text = format!("{verifier:?}");
        assert!(text.contains("api") && !text.contains("hush") && !text.contains("Basic "), "{text}");
    }
}

#[cfg(feature = "issue")]
#[tokio::test(start_paused = true)]
async fn signs_fresh_assertions() {
    use serde_json::{Value, json};
    use tower_jwt_auth::issue::SigningKey;
    use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};

    use crate::support::ISSUER;

    let key = SigningKey::generate(Algorithm::ES256).unwrap().with_kid("k1");
    let keys = KeySet::from(key.verifying_key());
    let auth = ClientAuth::private_key_jwt("api", key);
    let provider = Provider::saying(active());
    let document = json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT}).to_string();
    provider.answer(move |request| {
        let body = if request.method() == Method::GET { document.clone() } else { active().to_string() };
        Ok(http::Response::new(body.into()))
    });
    let known = Introspection::<Value>::discover_with(ISSUER, auth.clone(), provider.clone()).unwrap();
    let fixed = Introspection::<Value>::endpoint_with(ENDPOINT, auth, provider.clone()).unwrap();
    let mut ids = Vec::new();
    for (verifier, audience) in [(known, ISSUER), (fixed, ENDPOINT)] {
        verifier.insecure_any_audience().clock(|| at(NOW)).verify(TOKEN).await.unwrap();
        let request = provider.last();
        let rest = body(&request).strip_prefix(FORM).unwrap();
        let rest = rest.strip_prefix(
            "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=",
        );
        let checker = JwtVerifier::<Value>::new(keys.clone())
            .issuer("api")
            .audience(audience)
            .require_claim("sub", "api")
            .require_claim("iat", NOW)
            .require_claim("exp", NOW + 60)
            .clock(|| at(NOW));
        let claims = checker.verify(rest.unwrap()).await.unwrap();
        assert_eq!(claims.token().kid(), Some("k1"));
        ids.push(claims["jti"].clone());
        assert!(!request.headers().contains_key("authorization"));
    }
    assert_ne!(ids[0], ids[1]);
}
