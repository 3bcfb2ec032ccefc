//! Response formats: problem details, closures, and the headers of every rejection.

use http::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::{HasScope, scope};
use tower_jwt_auth::reject::{EmptyBody, Grpc, ProblemJson, Reject};
use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, Head, JwtAuthLayer, RequireLayer};

use crate::support::*;

/// Returns the response of a [`Reject`] for this method and content type.
fn answer(
    reject: &impl Reject<String>,
    error: &AuthError,
    method: Method,
    content_type: &str,
) -> Response<String> {
    let mut request = Request::builder().method(method).uri("/").body(()).unwrap();
    if !content_type.is_empty() {
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
    }
    reject.reject(error, Head::from(&request))
}

fn sorted(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

const EVERY_KIND: [AuthErrorKind; 40] = [
    MissingCredential,
    MalformedCredential,
    MultipleCredentials,
    TokenTooLarge,
    MalformedToken,
    UnsupportedToken,
    WrongTokenType,
    UnsupportedAlgorithm,
    UnknownKey,
    InvalidSignature,
    InvalidClaims,
    WrongIssuer,
    WrongAudience,
    WrongClaim,
    SenderConstrained,
    MissingBinding,
    MissingProof,
    MalformedProof,
    InvalidProofSignature,
    WrongProofRequest,
    WrongProofToken,
    WrongProofTime,
    WrongProofNonce,
    WrongProofKey,
    ReplayedProof,
    MissingCertificate,
    WrongCertificate,
    MissingExpiry,
    NotYetValid,
    Expired,
    Revoked,
    MalformedApiKey,
    InvalidToken,
    UnknownPrincipal,
    InsufficientScope,
    KeysUnavailable,
    RevocationsUnavailable,
    PrincipalUnavailable,
    Unavailable,
    MissingLayer,
];

/// Returns the status, the error code of RFC 6750 or 9449 (or `Retry-After`), and the gRPC status.
fn expected(kind: AuthErrorKind) -> (u16, Option<&'static str>, &'static str) {
    match kind {
        MissingCredential => (401, Some(""), "16"),
        MalformedCredential | MultipleCredentials => (400, Some("invalid_request"), "3"),
        MissingProof
        | MalformedProof
        | InvalidProofSignature
        | WrongProofRequest
        | WrongProofToken
        | WrongProofTime
        | ReplayedProof => (401, Some("invalid_dpop_proof"), "16"),
        WrongProofNonce => (401, Some("use_dpop_nonce"), "16"),
        InsufficientScope => (403, Some("insufficient_scope"), "7"),
        KeysUnavailable | RevocationsUnavailable | PrincipalUnavailable | Unavailable => (503, None, "14"),
        MissingLayer => (500, None, "13"),
        _ => (401, Some("invalid_token"), "16"),
    }
}

/// Returns the headers of every response with this kind.
fn headers_of(kind: AuthErrorKind) -> Vec<String> {
    let mut headers = vec!["cache-control: no-store".to_owned()];
    match expected(kind) {
        (_, Some(""), _) => headers.push(r#"www-authenticate: Bearer realm="api""#.to_owned()),
        (_, Some(code), _) => headers.push(format!(
            r#"www-authenticate: Bearer realm="api", error="{code}", error_description="{kind}""#
        )),
        (503, ..) => headers.push("retry-after: 5".to_owned()),
        _ => {}
    }
    headers
}

#[test]
fn renders_every_kind_with_an_empty_body() {
    for kind in EVERY_KIND {
        let response = answer(&EmptyBody, &kind.into(), Method::GET, "");
        assert_eq!(response.status().as_u16(), expected(kind).0, "{kind:?}");
        assert_eq!(sorted(response.headers()), headers_of(kind), "{kind:?}");
        assert_eq!(response.body(), "", "{kind:?}");
    }
}

#[test]
fn renders_every_kind_as_problem_details() {
    for kind in EVERY_KIND {
        let response = answer(&ProblemJson::new(), &kind.into(), Method::GET, "");
        let status = expected(kind).0;
        assert_eq!(response.status().as_u16(), status, "{kind:?}");
        let mut headers = headers_of(kind);
        headers.insert(1, "content-type: application/problem+json".to_owned());
        assert_eq!(sorted(response.headers()), headers, "{kind:?}");
        let expected = format!(
            r##"{{"type":"https://docs.rs/tower-jwt-auth/latest/tower_jwt_auth/enum.AuthErrorKind.html#variant.{kind:?}","title":"{kind}","status":{status}}}"##
        );
        assert_eq!(response.body(), &expected, "{kind:?}");
        serde_json::from_str::<Value>(response.body()).unwrap();
    }
}

#[test]
fn problem_details_name_scopes() {
    let error = AuthError::new(InsufficientScope).with_required_scope("orders:read orders:write");
    let response = answer(&ProblemJson::new(), &error, Method::GET, "");
    let problem: Value = serde_json::from_str(response.body()).unwrap();
    let kind = "https://docs.rs/tower-jwt-auth/latest/tower_jwt_auth/enum.AuthErrorKind.html#variant.InsufficientScope";
    let expected = json!({
        "type": kind,
        "title": "the token does not permit this request",
        "status": 403,
        "scope": "orders:read orders:write",
    });
    assert_eq!(problem, expected);
}

struct Nobody;

impl HasScope for Nobody {
    fn has_scope(&self, _: &str) -> bool {
        false
    }
}

#[tokio::test]
async fn problem_details_explain_what_is_missing() {
    let layer = RequireLayer::<Nobody>::new(scope("a")).on_reject(ProblemJson::new());
    let response = ask(&layer, get("")).await;
    assert_rejected(
        "no layer",
        &response,
        500,
        MissingLayer,
        &[("content-type", "application/problem+json")],
    );
    let problem: Value = serde_json::from_str(response.body()).unwrap();
    let hint = "no claims of type `it::reject::Nobody` in this request: put a JwtAuthLayer";
    let detail = problem["detail"].as_str();
    assert_eq!(detail.is_some(), cfg!(debug_assertions), "only debug builds explain");
    assert!(detail.unwrap_or(hint).starts_with(hint), "{detail:?}");
    let error = response.extensions().get::<AuthError>().unwrap();
    assert!(std::error::Error::source(error).unwrap().to_string().starts_with(hint));
}

#[test]
fn renders_every_kind_as_a_grpc_status() {
    for kind in EVERY_KIND {
        let response = answer(&Grpc::new(), &kind.into(), Method::POST, "application/grpc");
        assert_eq!(response.status().as_u16(), 200, "{kind:?}");
        let mut headers = headers_of(kind);
        headers.push("content-type: application/grpc".to_owned());
        headers.push(format!("grpc-message: {kind}"));
        headers.push(format!("grpc-status: {}", expected(kind).2));
        assert_eq!(AuthError::new(kind).grpc_status().to_string(), expected(kind).2, "{kind:?}");
        headers.sort();
        assert_eq!(sorted(response.headers()), headers, "{kind:?}");
        assert_eq!(response.body(), "", "{kind:?}");
    }
}

#[tokio::test]
async fn rejections_are_never_stored() {
    let silent = JwtAuthLayer::new(verifier()).reject_with(|_, _| Response::new(String::new()));
    let response = ask(&silent, get("")).await;
    assert_eq!(sorted(response.headers()), ["cache-control: no-store"]);

    let own = JwtAuthLayer::new(verifier()).reject_with(|_, _| {
        Response::builder().header("cache-control", "private, no-store").body(String::new()).unwrap()
    });
    let response = ask(&own, get("")).await;
    assert_eq!(sorted(response.headers()), ["cache-control: private, no-store"]);

    let behind_another = JwtAuthLayer::new(verifier()).reject_with(|_, _| {
        let response = Response::builder().header("x-request-id", "1").header("cache-control", "private");
        response.body(String::new()).unwrap()
    });
    let response = ask(&behind_another, get("")).await;
    assert_eq!(sorted(response.headers()), ["cache-control: private", "x-request-id: 1"]);

    let route = RequireLayer::<Nobody>::new(scope("a")).reject_with(|_, _| Response::new(String::new()));
    let mut request = get("");
    request.extensions_mut().insert(Claims::new(Nobody));
    let response = ask(&route, request).await;
    assert_eq!(sorted(response.headers()), ["cache-control: no-store"]);
    assert_eq!(response.extensions().get::<AuthError>().unwrap().kind(), InsufficientScope);
}

#[tokio::test]
async fn challenge_names_resource_metadata_and_scope() {
    let layer = JwtAuthLayer::new(verifier())
        .resource_metadata("https://api.example.com/.well-known/oauth-protected-resource/mcp")
        .unwrap()
        .challenge_scope("mcp:tools profile")
        .unwrap()
        .realm("mcp")
        .unwrap();
    let metadata = r#"resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp""#;
    let response = ask(&layer, Request::new(String::new())).await;
    let challenge = format!(r#"Bearer realm="mcp", scope="mcp:tools profile", {metadata}"#);
    assert_rejected("no token", &response, 401, MissingCredential, &[("www-authenticate", &challenge)]);

    let response = ask(&layer, bearer("a.b.c")).await;
    let challenge = format!(
        r#"Bearer realm="mcp", error="invalid_token", error_description="the token is not a well-formed JWT", scope="mcp:tools profile", {metadata}"#
    );
    assert_rejected("bad token", &response, 401, MalformedToken, &[("www-authenticate", &challenge)]);

    let response = ask(&layer, get("Bearer")).await;
    let challenge = format!(
        r#"Bearer realm="mcp", error="invalid_request", error_description="the credential is not a single well-formed bearer token", {metadata}"#
    );
    assert_rejected("no grammar", &response, 400, MalformedCredential, &[("www-authenticate", &challenge)]);
}

#[test]
fn checks_challenge_settings() {
    let layer = || JwtAuthLayer::new(verifier());
    let scopes = "scopes must be printable ASCII without `\"` and `\\`, with one space between them, got ";
    for scope in ["", " ", "a  b", "a ", "a\"b", "a\\b", "ä", "a\nb"] {
        let error = layer().challenge_scope(scope).unwrap_err();
        assert_eq!(error.to_string(), format!("{scopes}`{}`", scope.escape_debug()));
    }
    for (url, reason) in [
        ("", "it is not a URL"),
        ("/metadata", "it names no host"),
        ("api.example.com", "it needs to begin with `https://`"),
        ("http://api.example.com/", "it needs to begin with `https://`"),
        ("ftp://api.example.com/", "it needs to begin with `https://`"),
        ("https://me@example.com/", "it has a user name or a fragment"),
        ("https://example.com/#b", "it has a user name or a fragment"),
        ("https://example.com:x/", "its port is not a number"),
        ("https://example.com/\"", "it has a character that is not valid in a URL"),
    ] {
        let error = layer().resource_metadata(url).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid URL `{}`: {reason}", url.escape_debug())
                .replace("me@", "..@")
                .replace("#b", "#..")
        );
    }
    for url in ["http://localhost:8080/m", "http://127.0.0.1/", "http://[::1]:1/", "https://example.com"] {
        assert!(layer().resource_metadata(url).is_ok(), "{url}");
    }
}
