//! The four modes, and requests that skip authentication.

use std::convert::Infallible;

use http::{Method, Request, Response};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::{Policy, claim};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, Credential, JwtAuthLayer, PrincipalLayer, Verdict, Verify,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::support::*;

/// Returns what the inner service finds in the extensions, or the layer's rejection.
async fn found<L>(layer: &L, request: Request<String>) -> String
where
    L: Layer<InnerService>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let look = |request: &Request<String>| {
        let claims = match Claims::<Value>::find(request.extensions()) {
            Ok(claims) => claims["email"].to_string(),
            Err(error) => format!("{:?} {}", error.kind(), error.status().as_u16()),
        };
        format!("inside: {claims}, {:?}", request.extensions().get::<AuthError>().map(AuthError::kind))
    };
    let response = ask_service(look, layer, request).await;
    match response.extensions().get::<AuthError>() {
        Some(error) => format!("rejected: {:?} {}", error.kind(), response.status().as_u16()),
        None => response.into_body(),
    }
}

#[tokio::test]
async fn each_mode_handles_each_type_of_request() {
    let layer = || JwtAuthLayer::new(verifier());
    let expired = token(&claims_with("exp", json!(NOW - 300)));
    let mut two = bearer(&good_token());
    two.headers_mut().append("authorization", "Bearer x".parse().unwrap());
    let rows = [
        (bearer(&good_token()), ["inside: \"eze@example.com\", None"; 3]),
        (
            Request::new(String::new()),
            [
                "rejected: MissingCredential 401",
                "inside: MissingCredential 401, None",
                "inside: MissingCredential 401, Some(MissingCredential)",
            ],
        ),
        (
            get("Basic abc"),
            [
                "rejected: MissingCredential 401",
                "inside: MissingCredential 401, None",
                "inside: MissingCredential 401, Some(MissingCredential)",
            ],
        ),
        (
            bearer(&expired),
            ["rejected: Expired 401", "rejected: Expired 401", "inside: Expired 401, Some(Expired)"],
        ),
        (
            get("Bearer"),
            [
                "rejected: MalformedCredential 400",
                "rejected: MalformedCredential 400",
                "inside: MalformedCredential 400, Some(MalformedCredential)",
            ],
        ),
        (
            two,
            [
                "rejected: MultipleCredentials 400",
                "rejected: MultipleCredentials 400",
                "inside: MultipleCredentials 400, Some(MultipleCredentials)",
            ],
        ),
    ];
    for (request, [required, optional, allow_invalid]) in rows {
        let name = format!("{request:?}");
        assert_eq!(found(&layer(), request.clone()).await, required, "{name}");
        assert_eq!(found(&layer().optional(), request.clone()).await, optional, "{name}");
        assert_eq!(found(&layer().allow_invalid(), request.clone()).await, allow_invalid, "{name}");
        let unread = layer().skip_when(|_| true);
        assert_eq!(found(&unread, request).await, "inside: MissingCredential 401, None", "{name}");
    }
}

#[tokio::test]
async fn insufficient_claims_count_as_failed() {
    let layer = || JwtAuthLayer::new(verifier()).require(claim("admin", true));
    let good = || bearer(&good_token());
    assert_eq!(found(&layer(), good()).await, "rejected: InsufficientScope 403");
    assert_eq!(found(&layer().optional(), good()).await, "rejected: InsufficientScope 403");
    assert_eq!(
        found(&layer().allow_invalid(), good()).await,
        "inside: InsufficientScope 403, Some(InsufficientScope)"
    );
    let admin = token(&claims_with("admin", json!(true)));
    assert_eq!(found(&layer(), bearer(&admin)).await, "inside: \"eze@example.com\", None");
}

#[tokio::test]
async fn only_absent_credentials_count_as_missing() {
    let nobody_home = JwtAuthLayer::new(Slow(MissingCredential)).optional();
    assert_eq!(
        found(&nobody_home, bearer("x")).await,
        "rejected: MissingCredential 401",
        "the verifier says so"
    );

    let sign_in_again = |_: &Claims<Value>, _: tower_jwt_auth::Head<'_>| Err(MissingCredential.into());
    let layer = JwtAuthLayer::new(verifier()).optional().require(Asks(sign_in_again));
    assert_eq!(
        found(&layer, bearer(&good_token())).await,
        "rejected: MissingCredential 401",
        "the policy says so"
    );
}

/// A policy made from a closure.
#[derive(Clone)]
struct Asks<F>(F);

impl<F> Policy<Value> for Asks<F>
where
    F: Fn(&Claims<Value>, tower_jwt_auth::Head<'_>) -> Result<(), AuthError>,
{
    fn check(&self, claims: &Claims<Value>, request: tower_jwt_auth::Head<'_>) -> Result<(), AuthError> {
        (self.0)(claims, request)
    }
}

#[tokio::test]
async fn removes_extensions_set_outside_the_layer() {
    let smuggle = |mut request: Request<String>| {
        request.extensions_mut().insert(Claims::new(json!({"email": "smuggled@example.com"})));
        request.extensions_mut().insert(AuthError::new(Expired));
        request
    };
    let layer = || JwtAuthLayer::new(verifier()).allow_invalid();
    assert_eq!(found(&layer(), smuggle(bearer(&good_token()))).await, "inside: \"eze@example.com\", None");
    assert_eq!(
        found(&layer(), smuggle(get("Bearer"))).await,
        "inside: MalformedCredential 400, Some(MalformedCredential)"
    );
    let unread = JwtAuthLayer::new(verifier()).skip_when(|_| true);
    let mut request = Request::new(String::new());
    request.extensions_mut().insert(Claims::new(json!({"email": "smuggled@example.com"})));
    assert_eq!(found(&unread, request).await, "inside: MissingCredential 401, None");
}

#[tokio::test]
async fn predicate_sees_the_request() {
    let layer = JwtAuthLayer::new(verifier()).skip_when(|request| {
        request.method() == Method::GET && request.uri().path() == "/health" && request.headers().is_empty()
    });
    let ask = async |method: &str, path: &str, header: bool| {
        let mut request = Request::builder().method(method).uri(path).body(String::new()).unwrap();
        if header {
            request.headers_mut().insert("x", "y".parse().unwrap());
        }
        found(&layer, request).await
    };
    assert_eq!(ask("GET", "/health", false).await, "inside: MissingCredential 401, None");
    for (method, path, header) in [
        ("POST", "/health", false),
        ("GET", "/health/", false),
        ("GET", "/health/../orders", false),
        ("GET", "/health", true),
    ] {
        assert_eq!(ask(method, path, header).await, "rejected: MissingCredential 401", "{method} {path}");
    }
}

/// Rejects every token after a delay.
#[derive(Clone)]
struct Slow(AuthErrorKind);

impl Verify for Slow {
    type Claims = Value;

    fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
        let kind = self.0;
        Verdict::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            Err(kind.into())
        }))
    }
}

#[tokio::test]
async fn waiting_does_not_change_the_outcome() {
    let layer = || JwtAuthLayer::new(Slow(UnknownKey)).strip_credential();
    assert_eq!(found(&layer(), bearer("x")).await, "rejected: UnknownKey 401");
    assert_eq!(found(&layer().optional(), bearer("x")).await, "rejected: UnknownKey 401");
    assert_eq!(
        found(&layer().allow_invalid(), bearer("x")).await,
        "inside: UnknownKey 401, Some(UnknownKey)"
    );
}

#[tokio::test]
async fn does_not_wait_for_malformed_tokens() {
    let layer = JwtAuthLayer::new(Slow(UnknownKey));
    for broken in ["Bearer a b c", "Bearer a,b", "Bearer \"a\"", "Bearer =a"] {
        assert_eq!(found(&layer, get(broken)).await, "rejected: MalformedCredential 400", "{broken}");
    }
}

#[tokio::test]
async fn principal_layer_follows_the_outer_layer() {
    #[derive(Clone)]
    struct User;
    let find = async |_: Claims<Value>| Ok::<_, Infallible>(Some(User));
    let layer = tower::layer::util::Stack::new(
        PrincipalLayer::new(find),
        JwtAuthLayer::new(verifier()).allow_invalid(),
    );
    assert_eq!(
        found(&layer, get("Bearer")).await,
        "inside: MalformedCredential 400, Some(MalformedCredential)"
    );
}
