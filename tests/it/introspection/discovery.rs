use std::time::Duration;

use http::{Method, Response};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_jwt_auth::AuthErrorKind::{self, Unavailable, WrongIssuer};
use tower_jwt_auth::introspection::Introspection;
use tower_jwt_auth::revocation::Revocations;

use super::{ENDPOINT, Provider, TOKEN, active, active_with, auth, kind, rejection};
use crate::support::{ISSUER, NOW, at};

/// Has the provider name this endpoint, and say this about every token.
fn serve(provider: &Provider, endpoint: &str, response: &Value) {
    let document = json!({"issuer": ISSUER, "introspection_endpoint": endpoint}).to_string();
    let response = response.to_string();
    provider.answer(move |request| {
        let body = if request.method() == Method::GET { &document } else { &response };
        Ok(Response::new(body.clone().into()))
    });
}

fn verifier(provider: &Provider) -> Introspection<Value> {
    let verifier = Introspection::discover_with(ISSUER, auth(), provider.clone()).unwrap();
    verifier.clock(|| at(NOW)).insecure_any_audience()
}

fn documents(provider: &Provider) -> usize {
    provider.urls().iter().filter(|url| url.contains("/.well-known/")).count()
}

#[tokio::test(start_paused = true)]
async fn judges_discovered_issuer() {
    let mut unnamed = active_with("jti", json!("t-1"));
    unnamed.as_object_mut().unwrap().remove("iss");
    let other = active_with("iss", json!("https://other.example.com"));
    for (response, expected) in [(active(), None), (unnamed.clone(), None), (other, Some(WrongIssuer))] {
        let provider = Provider::saying("");
        serve(&provider, ENDPOINT, &response);
        assert_eq!(kind(&verifier(&provider), TOKEN).await, expected, "{response}");
        assert_eq!(provider.last().uri(), ENDPOINT);
    }
    let provider = Provider::saying("");
    serve(&provider, ENDPOINT, &unnamed);
    assert_eq!(kind(&verifier(&provider).issuer(ISSUER), TOKEN).await, Some(WrongIssuer));
    // Without an `iss`, the token can be revoked as one of the discovered issuer.
    let revocations = Revocations::new();
    let verifier = verifier(&provider).revocations(revocations.clone());
    assert_eq!(verifier.verify(TOKEN).await.unwrap().token().issuer(), Some(ISSUER));
    drop(revocations.revoke_token(ISSUER, "t-1", None));
    assert_eq!(kind(&verifier, TOKEN).await, Some(AuthErrorKind::Revoked));
}

#[tokio::test(start_paused = true)]
async fn reads_document_again_when_due() {
    let provider = Provider::saying("");
    serve(&provider, ENDPOINT, &active());
    let verifier = verifier(&provider);
    assert_eq!(provider.requests(), 0);
    for token in ["a", "b", "c"] {
        assert_eq!(kind(&verifier, token).await, None);
    }
    assert_eq!(documents(&provider), 1);
    sleep(Duration::from_secs(60 * 60)).await;
    serve(&provider, "https://id.example.com/moved", &active());
    assert_eq!(kind(&verifier, "d").await, None);
    assert_eq!((documents(&provider), provider.last().uri().path()), (2, "/moved"));
    // After a failure, the endpoint may have moved. If the document cannot be read, the old one is used.
    provider.respond(404, ("x", "y"), "");
    assert_eq!(kind(&verifier, "e").await, Some(Unavailable));
    sleep(Duration::from_secs(2)).await;
    serve(&provider, ENDPOINT, &active());
    assert_eq!(kind(&verifier, "f").await, None);
    assert_eq!((documents(&provider), provider.last().uri().path()), (3, "/introspect"));
    let response = active().to_string();
    provider.answer(move |request| match request.method() {
        &Method::GET => Err("down".into()),
        _ => Ok(Response::new(response.clone().into())),
    });
    sleep(Duration::from_secs(60 * 60)).await;
    assert_eq!(kind(&verifier, "g").await, None);
}

#[tokio::test(start_paused = true)]
async fn rejects_unusable_documents() {
    let provider = Provider::saying("");
    for (document, expected) in [
        (
            json!({"issuer": ISSUER}),
            "the discovery document has no valid `issuer` and `introspection_endpoint`",
        ),
        (
            json!({"issuer": "https://other.example.com", "introspection_endpoint": ENDPOINT}),
            "issuer mismatch: the discovery document says `https://other.example.com`, expected `https://id.example.com`",
        ),
        (
            json!({"issuer": ISSUER, "introspection_endpoint": "http://127.0.0.1/introspect"}),
            "the discovery document has an invalid `introspection_endpoint`",
        ),
    ] {
        provider.say(document);
        let (kind, cause) = rejection(&verifier(&provider)).await;
        let url = "https://id.example.com/.well-known/openid-configuration";
        assert_eq!((kind, cause), (Unavailable, format!("cannot fetch `{url}`: {expected}")));
    }
}

#[test]
fn requires_https() {
    let needs = "it needs to begin with `https://`, unless the client allows plain http";
    for url in ["http://id.example.com/introspect", "ftp://id.example.com"] {
        for result in [
            Introspection::<Value>::endpoint_with(url, auth(), Provider::saying("")),
            Introspection::discover_with(url, auth(), Provider::saying("")),
        ] {
            assert_eq!(result.unwrap_err().to_string(), format!("cannot ask `{url}` about tokens: {needs}"));
        }
    }
    assert!(
        Introspection::<Value>::endpoint_with("http://[::1]/a?b=c", auth(), Provider::saying("")).is_ok()
    );
}
