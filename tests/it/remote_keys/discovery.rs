//! Discovery: where keys are looked for, and which issuer they belong to.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use serde_json::json;
use tokio::time::sleep;
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey, WrongIssuer};
use tower_jwt_auth::jwks::{HttpClient, RemoteKeys};
use tower_jwt_auth::{ConfigErrorKind, JwtVerifier};

use super::{JWKS, Provider, jwks, pass, rejection, rejection_of, token, token_from, verifier};
use crate::support::{AUDIENCE, ISSUER, NOW, at};

fn metadata(issuer: &str, keys: &str) -> Vec<u8> {
    json!({"issuer": issuer, "jwks_uri": keys, "token_endpoint": 7}).to_string().into()
}

/// Returns a provider with metadata at one location only.
fn provider_at(place: &'static str, issuer: &'static str, keys: &'static str) -> Provider {
    let provider = Provider::new();
    provider.answer(move |request| {
        let uri = request.uri().to_string();
        if uri == place {
            Ok(Response::new(metadata(issuer, keys)))
        } else if uri == keys {
            Ok(Response::new(jwks(&["a"]).into()))
        } else {
            Ok(Response::builder().status(404).body(Vec::new()).unwrap())
        }
    });
    provider
}

fn uris(provider: &Provider) -> Vec<String> {
    provider.0.lock().unwrap().requests.iter().map(|asked| asked.uri.clone()).collect()
}

const OPENID: &str = "https://id.example.com/.well-known/openid-configuration";

#[tokio::test(start_paused = true)]
async fn metadata_sets_key_url_and_required_issuer() {
    let provider = provider_at(OPENID, ISSUER, "https://keys.example.net/jwks?v=1");
    let keys = RemoteKeys::discover_with(ISSUER, provider.clone()).unwrap();
    let verifier = JwtVerifier::<serde_json::Value>::new(keys.clone()).audience(AUDIENCE).clock(|| at(NOW));
    assert_eq!(rejection(&verifier, "a").await, None);
    assert_eq!(uris(&provider), [OPENID, "https://keys.example.net/jwks?v=1"]);
    let other = verifier.clone().issuer("https://other.example.com");
    assert_eq!(rejection(&other, "a").await, Some(WrongIssuer));

    // The keys move, and the old URL keeps responding. Both use the same ETag for their first version.
    let moved = |to: &'static str| {
        move |request: &http::Request<Vec<u8>>| {
            let mut response = Response::new(Vec::new());
            response.headers_mut().insert("etag", "\"1\"".parse().unwrap());
            match request.uri().path() {
                "/.well-known/openid-configuration" => *response.body_mut() = metadata(ISSUER, to),
                _ if request.headers().contains_key("if-none-match") => {
                    *response.status_mut() = http::StatusCode::NOT_MODIFIED;
                }
                "/moved" => *response.body_mut() = jwks(&["b"]).into(),
                _ => *response.body_mut() = jwks(&["a"]).into(),
            }
            Ok(response)
        }
    };
    provider.answer(moved("https://keys.example.net/jwks"));
    pass(600).await;
    assert_eq!(rejection(&verifier, "a").await, None);
    provider.answer(moved("https://keys.example.net/moved"));
    pass(30).await;
    assert_eq!(rejection(&verifier, "b").await, None);
    assert_eq!(rejection(&verifier, "a").await, Some(UnknownKey));
    assert_eq!(keys.stats().failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn unreadable_metadata_does_not_stop_discovery() {
    let provider = Provider::new();
    provider.answer(|request| match request.uri().path() {
        "/.well-known/openid-configuration" => Err("it has more than 524288 bytes".into()),
        "/.well-known/oauth-authorization-server" => Ok(Response::new(metadata(ISSUER, JWKS))),
        _ => Ok(Response::new(jwks(&["a"]).into())),
    });
    RemoteKeys::discover_with(ISSUER, provider).unwrap().ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn finds_metadata_at_each_known_location() {
    for (issuer, place, tried) in [
        (ISSUER, OPENID, 1),
        (ISSUER, "https://id.example.com/.well-known/oauth-authorization-server", 2),
        ("https://id.example.com/", OPENID, 1),
        ("https://id.example.com/a/b", "https://id.example.com/a/b/.well-known/openid-configuration", 1),
        (
            "https://id.example.com/a/b",
            "https://id.example.com/.well-known/oauth-authorization-server/a/b",
            2,
        ),
        (
            "https://id.example.com/a/b",
            "https://id.example.com/a/b/.well-known/oauth-authorization-server",
            3,
        ),
        ("https://id.example.com/a/b", "https://id.example.com/.well-known/openid-configuration/a/b", 4),
    ] {
        let provider = provider_at(place, issuer, JWKS);
        let keys = RemoteKeys::discover_with(issuer, provider.clone()).unwrap();
        keys.ready().await.unwrap();
        assert_eq!(provider.requests(), tried + 1, "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn finds_document_at_another_url() {
    const ELSEWHERE: &str = "https://proxy.example.net/.well-known/openid-configuration?tenantId=1";
    let provider = provider_at(ELSEWHERE, "acme.com", "https://proxy.example.net/jwks");
    let keys = RemoteKeys::discover_at_with("acme.com", ELSEWHERE, provider.clone()).unwrap();
    let verifier = JwtVerifier::<serde_json::Value>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    assert_eq!(rejection_of(&verifier, &token_from("acme.com", "a")).await, None);
    assert_eq!(uris(&provider), [ELSEWHERE, "https://proxy.example.net/jwks"]);
    let url_as_issuer = token_from("https://proxy.example.net", "a");
    assert_eq!(rejection_of(&verifier, &url_as_issuer).await, Some(WrongIssuer));
}

#[tokio::test(start_paused = true)]
async fn document_at_another_url_must_name_the_issuer() {
    const ELSEWHERE: &str = "https://proxy.example.net/metadata";
    for (issuer, stated) in [
        (ISSUER, "https://id.example.com/"),
        (ISSUER, "https://proxy.example.net"),
        ("https://proxy.example.net", ISSUER),
        ("acme.com", "ACME.com"),
    ] {
        let provider = provider_at(ELSEWHERE, stated, JWKS);
        let keys = RemoteKeys::discover_at_with(issuer, ELSEWHERE, provider.clone()).unwrap();
        keys.ready().await.unwrap_err();
        assert_eq!(
            keys.last_error().unwrap().to_string(),
            format!(
                "cannot fetch `{ELSEWHERE}`: issuer mismatch: the discovery document says `{stated}`, \
                 expected `{issuer}`"
            )
        );
        assert!(uris(&provider).iter().all(|uri| uri == ELSEWHERE), "no other place is tried");
    }
    let error = RemoteKeys::discover_at_with(ISSUER, "http://id.example.com/m", Provider::new()).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::InvalidUrl);
}

#[tokio::test(start_paused = true)]
async fn reports_the_most_telling_error() {
    const OAUTH: &str = "https://id.example.com/.well-known/oauth-authorization-server";
    let status = |status: u16| move || Ok(Response::builder().status(status).body(Vec::new()).unwrap());
    let document = |issuer: &'static str| move || Ok(Response::new(metadata(issuer, JWKS)));
    type Answer = Box<dyn Fn() -> Result<Response<Vec<u8>>, String> + Send + Sync>;
    let html = || || Ok(Response::new(b"<html>".to_vec()));
    let cases: [(&str, Answer, Answer, &str, &str); 9] = [
        (
            "the document is in the second place",
            Box::new(status(404)),
            Box::new(document("https://id.example.com/")),
            OAUTH,
            "issuer mismatch: the discovery document says `https://id.example.com/`, \
             expected `https://id.example.com`",
        ),
        (
            "a website in the first place",
            Box::new(html()),
            Box::new(document("x")),
            OAUTH,
            "issuer mismatch: the discovery document says `x`, expected `https://id.example.com`",
        ),
        (
            "fails in the second",
            Box::new(status(404)),
            Box::new(status(500)),
            OAUTH,
            "the response has status 500",
        ),
        (
            "refuses the second",
            Box::new(status(404)),
            Box::new(status(403)),
            OAUTH,
            "the response has status 403",
        ),
        (
            "limits the second",
            Box::new(status(403)),
            Box::new(status(429)),
            OAUTH,
            "the response has status 429",
        ),
        ("is down", Box::new(|| Err("down".into())), Box::new(status(404)), OPENID, "the request failed"),
        (
            "fails in the first",
            Box::new(status(503)),
            Box::new(document("x")),
            OPENID,
            "the response has status 503",
        ),
        ("nowhere", Box::new(status(404)), Box::new(status(410)), OPENID, "the response has status 404"),
        (
            "websites",
            Box::new(html()),
            Box::new(status(404)),
            OPENID,
            "the discovery document has no valid `issuer` and `jwks_uri`",
        ),
    ];
    for (name, first, second, place, expected) in cases {
        let provider = Provider::new();
        provider.answer(move |request| match request.uri().path().ends_with("openid-configuration") {
            true => first(),
            false => second(),
        });
        let keys = RemoteKeys::discover_with(ISSUER, provider).unwrap();
        keys.ready().await.unwrap_err();
        let error = keys.last_error().unwrap().to_string();
        assert_eq!(error, format!("cannot fetch `{place}`: {expected}"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_names_the_unanswered_request() {
    const SECOND: &str = "https://id.example.com/.well-known/oauth-authorization-server";
    for (place, seconds, asked) in
        [(OPENID, 6, &[OPENID][..]), (OPENID, 3, &[OPENID, JWKS]), (SECOND, 3, &[OPENID, SECOND])]
    {
        let provider = provider_at(place, ISSUER, JWKS);
        provider.delay(Duration::from_secs(seconds));
        let keys = RemoteKeys::discover_with(ISSUER, provider.clone()).unwrap();
        assert!(!keys.is_ready());
        // Before the next attempt.
        sleep(Duration::from_millis(5200)).await;
        assert_eq!(uris(&provider), asked);
        let waited_for = asked.last().unwrap();
        assert_eq!(
            keys.last_error().unwrap().to_string(),
            format!(
                "cannot fetch `{waited_for}`: timed out after 5 s; RemoteKeys::fetch_timeout sets the limit"
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_untrusted_metadata_with_the_reason() {
    let not_metadata = "the discovery document has no valid `issuer` and `jwks_uri`";
    let bad_address = "the discovery document has an invalid `jwks_uri`";
    for (name, answer, expected) in [
        (
            "another issuer",
            metadata("https://id.example.com/", JWKS),
            "issuer mismatch: the discovery document says `https://id.example.com/`, \
             expected `https://id.example.com`",
        ),
        ("no issuer", json!({ "jwks_uri": JWKS }).to_string().into(), not_metadata),
        ("no keys", json!({ "issuer": ISSUER }).to_string().into(), not_metadata),
        ("not JSON", b"<html>".to_vec(), not_metadata),
        ("an array", json!([ISSUER, JWKS]).to_string().into(), not_metadata),
        (
            "two issuers",
            format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":"{JWKS}"}}"#).into(),
            not_metadata,
        ),
        ("keys without TLS", metadata(ISSUER, "http://id.example.com/jwks"), bad_address),
        ("keys on this machine", metadata(ISSUER, "http://127.0.0.1/jwks"), bad_address),
        ("keys in a file", metadata(ISSUER, "file:///etc/passwd"), bad_address),
        ("keys nowhere", metadata(ISSUER, "/jwks.json"), bad_address),
        ("keys behind a name", metadata(ISSUER, "https://id.example.com@example.net/"), bad_address),
    ] {
        let provider = Provider::new();
        provider.answer(move |request| {
            assert!(request.uri().path().starts_with("/.well-known/"), "{}", request.uri());
            Ok(Response::new(answer.clone()))
        });
        let keys = RemoteKeys::discover_with(ISSUER, provider).unwrap();
        let error = keys.ready().await.unwrap_err();
        assert_eq!(error.kind(), KeysUnavailable, "{name}");
        assert_eq!(
            keys.last_error().unwrap().to_string(),
            format!("cannot fetch `{OPENID}`: {expected}"),
            "{name}"
        );
    }
}

#[test]
fn rejects_urls_that_may_not_be_fetched() {
    for (issuer, reason) in [
        ("http://id.example.com", "it needs to begin with `https://`, unless the client allows plain http"),
        ("https://id.example.com/?tenant=1", "an issuer has no query"),
        ("https://id.example.com/#1", "it has a user name or a fragment"),
        ("id.example.com", "it needs to begin with `https://`, unless the client allows plain http"),
        ("", "it is not a URL"),
    ] {
        let error = RemoteKeys::discover_with(issuer, Provider::new()).unwrap_err();
        let shown = issuer.replace("tenant=1", "..").replace("#1", "#..");
        assert_eq!(error.to_string(), format!("cannot fetch keys from `{shown}`: {reason}"));
    }
    let error =
        RemoteKeys::jwks_with("http://keys.example.com/jwks?key=s3cret", Provider::new()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    assert!(RemoteKeys::jwks_with("https://id.example.com/keys?tenant=1", Provider::new()).is_ok());
    assert!(RemoteKeys::discover_with("http://localhost:8080", Provider::new()).is_ok());

    /// For example a proxy on this machine that terminates TLS.
    struct Guarded(Provider);

    impl HttpClient for Guarded {
        fn fetch(&self, request: http::Request<Vec<u8>>, limit: usize) -> tower_jwt_auth::jwks::ClientFuture {
            self.0.fetch(request, limit)
        }

        fn allows_plain_http(&self) -> bool {
            true
        }
    }

    assert!(RemoteKeys::discover_with("http://id.example.com", Guarded(Provider::new())).is_ok());
    let error = RemoteKeys::jwks_with("ftp://id.example.com", Guarded(Provider::new())).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::InvalidUrl);
    let shared: Arc<dyn HttpClient> = Arc::new(Guarded(Provider::new()));
    assert!(RemoteKeys::discover_with("http://id.example.com", Arc::clone(&shared)).is_ok(), "in an Arc");
}

#[tokio::test(start_paused = true)]
async fn one_client_may_fetch_several_sets() {
    let provider = Provider::of(&["a"]);
    let client: Arc<dyn HttpClient> = Arc::new(provider.clone());
    for _ in 0..2 {
        let keys = RemoteKeys::jwks_with(JWKS, Arc::clone(&client)).unwrap();
        assert_eq!(rejection(&verifier(&keys), "a").await, None);
    }
    assert_eq!(provider.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_without_discovery_need_an_issuer_setting() {
    let keys = Provider::of(&["a"]).keys();
    let open = JwtVerifier::<serde_json::Value>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    let error = open.verify(&token("a")).await.unwrap_err();
    assert_eq!(error.kind(), WrongIssuer);
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the key source does not name an issuer: set JwtVerifier::issuer or insecure_any_issuer"
    );
    assert_eq!(rejection(&open.clone().issuer(ISSUER), "a").await, None);
    assert_eq!(rejection(&open.clone().issuer("https://other.example.com"), "a").await, Some(WrongIssuer));
    assert_eq!(rejection(&open.insecure_any_issuer(), "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn redirect_error_names_its_target() {
    let provider = Provider::new();
    provider.answer(|_| {
        let response =
            Response::builder().status(301).header("location", "https://id.example.net/?session=1");
        Ok(response.body(Vec::new()).unwrap())
    });
    let keys = RemoteKeys::discover_with(ISSUER, provider).unwrap();
    keys.ready().await.unwrap_err();
    assert_eq!(
        keys.last_error().unwrap().to_string(),
        format!(
            "cannot fetch `{OPENID}`: the response has status 301 and redirects to `https://id.example.net/?..`; \
             redirects are not followed"
        )
    );
}
