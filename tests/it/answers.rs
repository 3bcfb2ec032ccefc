//! The table of responses, row by row: status, every header, kind.

use http::{HeaderName, HeaderValue, Request};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, Credential, JwtAuthLayer, TokenSource, Verdict, Verify,
};

use crate::support::*;

const BARE: &[(&str, &str)] = &[("www-authenticate", r#"Bearer realm="api""#)];
const BROKEN: &str = "the credential is not a single well-formed bearer token";

fn challenge(code: &str, description: &str) -> String {
    format!(r#"Bearer realm="api", error="{code}", error_description="{description}""#)
}

#[track_caller]
fn assert_bad_token<B>(name: &str, response: &http::Response<B>, kind: AuthErrorKind, description: &str) {
    let challenge = challenge("invalid_token", description);
    assert_rejected(name, response, 401, kind, &[("www-authenticate", &challenge)]);
}

#[track_caller]
fn assert_bad_request<B>(name: &str, response: &http::Response<B>, kind: AuthErrorKind, description: &str) {
    let challenge = challenge("invalid_request", description);
    assert_rejected(name, response, 400, kind, &[("www-authenticate", &challenge)]);
}

#[tokio::test]
async fn accepts_good_token() {
    let layer = JwtAuthLayer::new(verifier());
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEARER   "] {
        let response = ask(&layer, get(&format!("{scheme}{}", good_token()))).await;
        assert_eq!(
            (response.status().as_u16(), response.body().as_str()),
            (200, "Hello eze@example.com"),
            "{scheme}"
        );
        assert!(response.headers().is_empty(), "an accepted response is left as it is");
    }
}

#[tokio::test]
async fn missing_or_foreign_credential_gets_bare_challenge() {
    let layer = JwtAuthLayer::new(verifier());
    let response = ask(&layer, Request::new(String::new())).await;
    assert_rejected("no header", &response, 401, MissingCredential, BARE);

    let other =
        ["Basic ZXplOm9rb24=", "Digest a=\"b\", c=\"d\"", "Negotiate", "BearerToken abc", "DPoP abc", ""];
    for header in other {
        assert_rejected(header, &ask(&layer, get(header)).await, 401, MissingCredential, BARE);
    }
}

#[tokio::test]
async fn malformed_credential_is_a_bad_request() {
    let layer = JwtAuthLayer::new(verifier());
    let token = good_token();
    let broken = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer    ".to_owned(),
        format!("Bearer\t{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token} "),
        format!("Bearer {token},"),
        format!("Bearer {token}, Basic abc"),
        format!("Bearer, {token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer '{token}'"),
        format!("Bearer \t{token}"),
        format!("Bearer {token}\t"),
        format!("Bearer token={token}"),
        format!("Bearer {token}%20"),
        format!("Bearer: {token}"),
        format!("\"Bearer\" {token}"),
        format!(" Bearer {token}"),
        "Bearer =".to_owned(),
    ];
    for header in broken {
        assert_bad_request(&header, &ask(&layer, get(&header)).await, MalformedCredential, BROKEN);
    }
    for bytes in
        [&b"Bearer \xff"[..], b"Bearer a.b.\xc3\xa9", b"Bearer \xe2\x80\x8babc", b"B\xc3\xa9arer abc"]
    {
        let mut request = get("");
        request.headers_mut().insert("authorization", HeaderValue::from_bytes(bytes).unwrap());
        assert_bad_request(&format!("{bytes:?}"), &ask(&layer, request).await, MalformedCredential, BROKEN);
    }
}

#[tokio::test]
async fn rejects_two_credentials() {
    let description = "the request carries more than one credential";
    let layer = JwtAuthLayer::new(verifier());
    let good = format!("Bearer {}", good_token());
    for second in [good.as_str(), "Bearer x", "Basic abc"] {
        let mut request = get(&good);
        request.headers_mut().append("authorization", second.parse().unwrap());
        assert_bad_request(second, &ask(&layer, request).await, MultipleCredentials, description);
    }

    let name = HeaderName::from_static("x-access-token");
    let layer = layer
        .add_token_source(TokenSource::authorization())
        .add_token_source(TokenSource::header(name.clone()));
    assert_eq!(ask(&layer, get(&good)).await.status(), 200, "the same source twice is one");
    let mut request = get(&good);
    request.headers_mut().insert(&name, good_token().parse().unwrap());
    assert_bad_request("two sources", &ask(&layer, request).await, MultipleCredentials, description);

    let mut request = get("Basic abc");
    request.headers_mut().insert(&name, good_token().parse().unwrap());
    assert_eq!(ask(&layer, request).await.status(), 200, "another scheme does not count as a credential");
}

#[tokio::test]
async fn reads_token_from_custom_header() {
    let name = HeaderName::from_static("x-access-token");
    let layer = JwtAuthLayer::new(verifier()).token_source(TokenSource::header(name.clone()));
    let with = |value: &str| Request::get("/").header(&name, value).body(String::new()).unwrap();

    assert_eq!(ask(&layer, with(&good_token())).await.status(), 200);
    let response = ask(&layer, bearer(&good_token())).await;
    assert_rejected("a source that was not asked for", &response, 401, MissingCredential, BARE);
    assert_bad_request("empty", &ask(&layer, with("")).await, MalformedCredential, BROKEN);
    for bad in ["a b", "Bearer a.b.c"] {
        assert_bad_token(
            bad,
            &ask(&layer, with(bad)).await,
            MalformedToken,
            "the token is not a well-formed JWT",
        );
    }
}

#[tokio::test]
async fn rejects_each_bad_token_with_its_kind() {
    let layer = JwtAuthLayer::new(verifier());
    let good = good_token();
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let with_header = |header: &str| token_of(header, &good_claims().to_string());
    let tampered_claims = {
        let payload = base64url(claims_with("sub", json!("1")).to_string());
        let header = good.split('.').next().unwrap();
        format!("{header}.{payload}.{signature}")
    };

    let malformed = "the token is not a well-formed JWT";
    let forged = "the signature of the token is not valid";
    let algorithm = "the token is signed with an algorithm that is not accepted";
    let extension = "the token is encrypted or uses an extension that is not supported";
    let claims = "the claims of the token are not well-formed";
    let rows: &[(&str, String, AuthErrorKind, &str)] = &[
        ("one part", "abc".into(), MalformedToken, malformed),
        ("two parts", unsigned.into(), MalformedToken, malformed),
        ("four parts", format!("{good}.x"), MalformedToken, malformed),
        ("five parts: encrypted", "a.b.c.d.e".into(), UnsupportedToken, extension),
        ("only dots", "..".into(), MalformedToken, malformed),
        ("no base64url", "!a.b.c".replace('!', "~"), MalformedToken, malformed),
        ("padding", format!("{good}="), MalformedToken, malformed),
        ("header not JSON", with_header("hello"), MalformedToken, malformed),
        ("header an array", with_header(r#"["HS256"]"#), MalformedToken, malformed),
        ("header twice", with_header(r#"{"alg":"HS256"}{"alg":"HS256"}"#), MalformedToken, malformed),
        ("alg missing", with_header(r#"{"typ":"JWT"}"#), MalformedToken, malformed),
        ("alg twice", with_header(r#"{"alg":"HS256","alg":"HS256"}"#), MalformedToken, malformed),
        (
            "alg twice, escaped",
            with_header(r#"{"alg":"HS256","\u0061lg":"none"}"#),
            MalformedToken,
            malformed,
        ),
        ("kid twice", with_header(r#"{"alg":"HS256","kid":"a","kid":"a"}"#), MalformedToken, malformed),
        ("typ twice", with_header(r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#), MalformedToken, malformed),
        ("alg a number", with_header(r#"{"alg":256}"#), MalformedToken, malformed),
        ("alg null", with_header(r#"{"alg":null}"#), MalformedToken, malformed),
        ("b64 null", with_header(r#"{"alg":"HS256","b64":null}"#), MalformedToken, malformed),
        ("kid a number", with_header(r#"{"alg":"HS256","kid":1}"#), MalformedToken, malformed),
        ("alg none", with_header(r#"{"alg":"none"}"#), UnsupportedAlgorithm, algorithm),
        (
            "alg none, unsigned",
            format!("{}.{}.", base64url(r#"{"alg":"none"}"#), base64url("{}")),
            UnsupportedAlgorithm,
            algorithm,
        ),
        ("alg in other case", with_header(r#"{"alg":"hs256"}"#), UnsupportedAlgorithm, algorithm),
        ("alg with a space", with_header(r#"{"alg":"HS256 "}"#), UnsupportedAlgorithm, algorithm),
        ("alg unknown", with_header(r#"{"alg":"HS1"}"#), UnsupportedAlgorithm, algorithm),
        (
            "no key for alg",
            with_header(r#"{"alg":"RS256"}"#),
            UnknownKey,
            "the token is not signed with a known key",
        ),
        ("crit", with_header(r#"{"alg":"HS256","crit":["exp"]}"#), UnsupportedToken, extension),
        ("crit empty", with_header(r#"{"alg":"HS256","crit":[]}"#), UnsupportedToken, extension),
        ("crit null", with_header(r#"{"alg":"HS256","crit":null}"#), UnsupportedToken, extension),
        ("unencoded payload", with_header(r#"{"alg":"HS256","b64":false}"#), UnsupportedToken, extension),
        (
            "typ",
            with_header(r#"{"alg":"HS256","typ":"dpop+jwt"}"#),
            WrongTokenType,
            "the token is of the wrong type",
        ),
        ("forged", format!("{unsigned}.{}", base64url([0; 32])), InvalidSignature, forged),
        ("no signature", format!("{unsigned}."), InvalidSignature, forged),
        ("short signature", format!("{unsigned}.{}", &signature[..40]), InvalidSignature, forged),
        ("tampered claims", tampered_claims, InvalidSignature, forged),
        ("payload not JSON", token_of(r#"{"alg":"HS256"}"#, "hello"), InvalidClaims, claims),
        ("payload an array", token_of(r#"{"alg":"HS256"}"#, "[]"), InvalidClaims, claims),
        ("payload empty", token_of(r#"{"alg":"HS256"}"#, ""), InvalidClaims, claims),
        (
            "payload with more behind",
            token_of(r#"{"alg":"HS256"}"#, &format!("{}x", good_claims())),
            InvalidClaims,
            claims,
        ),
        ("exp a string", token(&claims_with("exp", json!("1800000300"))), InvalidClaims, claims),
        ("no exp", token(&claims_with("exp", Value::Null)), MissingExpiry, "the token has no expiry"),
        ("expired", token(&claims_with("exp", json!(NOW - 60))), Expired, "the token has expired"),
        (
            "not yet valid",
            token(&claims_with("nbf", json!(NOW + 61))),
            NotYetValid,
            "the token is not valid yet",
        ),
        (
            "iss",
            token(&claims_with("iss", json!("https://evil.example"))),
            WrongIssuer,
            "the token is not from the expected issuer",
        ),
        (
            "aud",
            token(&claims_with("aud", json!("other"))),
            WrongAudience,
            "the token is not for this audience",
        ),
        (
            "cnf",
            token(&claims_with("cnf", json!({"jkt": "x"}))),
            SenderConstrained,
            "the token is bound to a key and cannot be used as a bearer token",
        ),
        ("too large", format!("a.b.{}", "c".repeat(16 * 1024)), TokenTooLarge, "the token is too large"),
    ];
    for (name, token, kind, description) in rows {
        assert_bad_token(name, &ask(&layer, bearer(token)).await, *kind, description);
    }

    let layer = JwtAuthLayer::new(verifier().require_claim("client_id", "web"));
    let response = ask(&layer, bearer(&good)).await;
    assert_bad_token("client_id", &response, WrongClaim, "the token lacks a required claim");
}

/// Rejects every token with one error.
#[derive(Clone)]
struct Always(AuthError);

impl Verify for Always {
    type Claims = Value;

    fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
        Verdict::Ready(Err(self.0.clone()))
    }
}

#[tokio::test]
async fn good_token_without_permission_is_forbidden() {
    let scoped = AuthError::new(InsufficientScope).with_required_scope("orders:write");
    let response = ask(&JwtAuthLayer::new(Always(scoped)), bearer("x")).await;
    let expected = r#"Bearer realm="api", error="insufficient_scope", error_description="the token does not permit this request", scope="orders:write""#;
    assert_rejected("scope", &response, 403, InsufficientScope, &[("www-authenticate", expected)]);

    let expected = challenge("insufficient_scope", "the token does not permit this request");
    for odd in ["a\"\r\nx: y", "", " ", "a  b", " a", "é"] {
        let error = AuthError::new(InsufficientScope).with_required_scope(odd);
        let response = ask(&JwtAuthLayer::new(Always(error)), bearer("x")).await;
        assert_rejected(odd, &response, 403, InsufficientScope, &[("www-authenticate", &expected)]);
    }
}

#[tokio::test]
async fn unavailable_keys_give_503_and_retry_after() {
    let error = AuthError::new(KeysUnavailable);
    let response = ask(&JwtAuthLayer::new(Always(error.clone())), bearer("x")).await;
    assert_rejected("default", &response, 503, KeysUnavailable, &[("retry-after", "5")]);

    let later = error.with_retry_after(std::time::Duration::from_millis(29_001));
    let response = ask(&JwtAuthLayer::new(Always(later)), bearer("x")).await;
    assert_rejected("set", &response, 503, KeysUnavailable, &[("retry-after", "30")]);
}

/// Rejects every token as unknown, and times out for one.
#[derive(Clone)]
struct Introspection;

impl Verify for Introspection {
    type Claims = Value;

    fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
        let answer = match credential.token() {
            b"slow" => AuthError::new(Unavailable).with_source("timed out after 2 s"),
            _ => AuthError::new(InvalidToken),
        };
        Verdict::Pending(Box::pin(std::future::ready(Err(answer))))
    }
}

#[tokio::test]
async fn custom_verifier_uses_general_kinds() {
    let layer = JwtAuthLayer::new(Introspection);
    let response = ask(&layer, bearer("unknown")).await;
    assert_bad_token("unknown", &response, InvalidToken, "the token is not valid");

    let response = ask(&layer, bearer("slow")).await;
    assert_rejected("slow", &response, 503, Unavailable, &[("retry-after", "5")]);
    let error = response.extensions().get::<AuthError>().unwrap();
    assert_eq!(error.to_string(), "the token cannot be checked at this time");
    assert_eq!(std::error::Error::source(error).unwrap().to_string(), "timed out after 2 s");
}

#[tokio::test]
async fn optional_layer_only_admits_missing_credentials() {
    let layer = JwtAuthLayer::new(verifier()).optional();
    for request in [Request::new(String::new()), get("Basic abc"), get("")] {
        let response = ask(&layer, request).await;
        assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "Hello stranger"));
    }
    let response = ask(&layer, bearer(&good_token())).await;
    assert_eq!(response.body(), "Hello eze@example.com");

    let response = ask(&layer, bearer("a.b.c")).await;
    assert_bad_token("bad token", &response, MalformedToken, "the token is not a well-formed JWT");
    assert_bad_request("grammar", &ask(&layer, get("Bearer")).await, MalformedCredential, BROKEN);
}

#[tokio::test]
async fn removes_claims_set_outside_the_layer() {
    let layer = JwtAuthLayer::new(verifier()).optional();
    let mut request = Request::new(String::new());
    request.extensions_mut().insert(Claims::new(json!({"email": "smuggled@example.com"})));
    assert_eq!(ask(&layer, request).await.body(), "Hello stranger");

    let mut request = bearer(&good_token());
    request.extensions_mut().insert(Claims::new(json!({"email": "smuggled@example.com"})));
    assert_eq!(ask(&layer, request).await.body(), "Hello eze@example.com");
}

#[tokio::test]
async fn rejections_drop_request_extensions() {
    let from_a_peer = || Request::builder().extension("a peer").body(String::new()).unwrap();
    let rejections = [
        ask(&JwtAuthLayer::new(verifier()), from_a_peer()).await,
        ask(
            &JwtAuthLayer::new(verifier()).reject_with(|error, _| {
                let mut response = error.response(String::new());
                response.extensions_mut().insert(7_u8);
                response
            }),
            from_a_peer(),
        )
        .await,
    ];
    for response in &rejections {
        assert_eq!(response.extensions().get::<&str>(), None);
        assert_eq!(response.extensions().get::<AuthError>().unwrap().kind(), MissingCredential);
    }
    assert_eq!(rejections[1].extensions().get::<u8>(), Some(&7));
}

#[tokio::test]
async fn challenge_contains_the_realm() {
    let layer = JwtAuthLayer::new(verifier()).realm(r#"the "orders" api"#).unwrap();
    let response = ask(&layer, Request::new(String::new())).await;
    let expected = [("www-authenticate", r#"Bearer realm="the \"orders\" api""#)];
    assert_rejected("realm", &response, 401, MissingCredential, &expected);

    let error = JwtAuthLayer::new(verifier()).realm("a\r\nb").unwrap_err();
    assert_eq!(error.to_string(), r"a realm must be printable ASCII, got `a\r\nb`");
}

#[tokio::test]
async fn closure_builds_the_response() {
    let layer = JwtAuthLayer::new(verifier()).reject_with(|error, request| {
        error.response(format!("{} {}: {error}", request.method(), request.uri()))
    });
    let mut request = bearer("a.b.c");
    *request.method_mut() = http::Method::PUT;
    let response = ask(&layer, request).await;
    assert_bad_token("closure", &response, MalformedToken, "the token is not a well-formed JWT");
    assert_eq!(response.body(), "PUT /orders: the token is not a well-formed JWT");

    let layer =
        JwtAuthLayer::new(verifier()).reject_with(|_, _| http::Response::new("nothing to see".to_owned()));
    let response = ask(&layer, bearer("a.b.c")).await;
    assert_eq!(
        response.extensions().get::<AuthError>().unwrap().kind(),
        MalformedToken,
        "added to any answer"
    );
}

#[tokio::test]
async fn marks_credential_sensitive() {
    let name = HeaderName::from_static("x-access-token");
    let tells = JwtAuthLayer::new(verifier())
        .reject_with(|_, request| http::Response::new(format!("{:?}", request.headers())));
    let layer = tells.clone().add_token_source(TokenSource::header(name.clone()));

    let mut request = bearer("top-secret-1");
    request.headers_mut().append("authorization", "Bearer top-secret-2".parse().unwrap());
    request.headers_mut().insert(&name, "top-secret-3".parse().unwrap());
    for request in [request, bearer("top-secret-4")] {
        let response = ask(&layer, request).await;
        assert!(
            response.body().contains("Sensitive") && !response.body().contains("top-secret"),
            "{}",
            response.body()
        );
    }

    let mut request = bearer("top-secret-5");
    request.headers_mut().append("authorization", "Bearer top-secret-6".parse().unwrap());
    request.headers_mut().insert(&name, "of no concern".parse().unwrap());
    let expected =
        r#"{"authorization": Sensitive, "authorization": Sensitive, "x-access-token": "of no concern"}"#;
    assert_eq!(ask(&tells, request).await.body(), expected);

    let inner = tower::service_fn(async |request: Request<String>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(format!("{:?}", request.headers())))
    });
    let service = tower_layer::Layer::layer(&JwtAuthLayer::new(verifier()), inner);
    let response = tower::ServiceExt::oneshot(service, bearer(&good_token())).await.unwrap();
    assert_eq!(response.body(), r#"{"authorization": Sensitive}"#);
}

#[tokio::test]
async fn custom_verifier_may_accept_any_token() {
    struct Opaque;
    impl Verify for Opaque {
        type Claims = Value;

        fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
            Verdict::Ready(match credential.token() {
                b"opaque+/~=" | b"" => Ok(Claims::new(json!({"email": "opaque@example.com"}))),
                _ => Err(AuthErrorKind::UnknownKey.into()),
            })
        }
    }

    let shared: std::sync::Arc<dyn Verify<Claims = Value>> = std::sync::Arc::new(Opaque);
    let layer = JwtAuthLayer::new(shared.clone());
    assert_eq!(ask(&layer, bearer("opaque+/~=")).await.body(), "Hello opaque@example.com");
    let response = ask(&layer, bearer("other")).await;
    assert_bad_token("other", &response, UnknownKey, "the token is not signed with a known key");

    // The verifier need not handle bytes that are not text, or an empty credential.
    let bytes = HeaderValue::from_bytes(b"Bearer opa\xe9que").unwrap();
    let request = Request::get("/").header("authorization", bytes).body(String::new()).unwrap();
    assert_eq!(ask(&layer, request).await.status(), 400);
    let request = Request::get("/?token=").body(String::new()).unwrap();
    assert_eq!(ask(&layer.token_source(TokenSource::query("token")), request).await.status(), 400);

    assert_eq!(shared.verify("opaque+/~=".into()).await.unwrap()["email"], "opaque@example.com");
    let error = Credential::new(Scheme::BEARER, b"opa\xe9que").token_str().unwrap_err();
    assert_eq!(error.kind(), MalformedCredential);
}
