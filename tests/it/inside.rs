//! Rejections inside a layer: by handlers, extractors and other layers. The layer's `Reject` makes their
//! bodies.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::{HasScope, scope};
use tower_jwt_auth::reject::{Grpc, ProblemJson, Reads, Reject};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, Credential, Head, JwtAuthLayer, PrincipalLayer, RequireLayer, Verdict,
    Verify,
};

use crate::support::*;

const FORBIDDEN: &str = r#"Bearer realm="shop", error="insufficient_scope", error_description="the token does not permit this request", scope="admin""#;

fn problem(kind: &str, title: &str, status: u16, more: &str) -> String {
    let page = "https://docs.rs/tower-jwt-auth/latest/tower_jwt_auth/enum.AuthErrorKind.html";
    format!(r#"{{"type":"{page}#variant.{kind}","title":"{title}","status":{status}{more}}}"#)
}

fn forbidden() -> String {
    problem("InsufficientScope", "the token does not permit this request", 403, r#","scope":"admin""#)
}

/// A handler that rejects every request, with the error from a layer or with one about the claims.
#[derive(Clone, Copy)]
struct Handler(fn(AuthError) -> Response<String>);

impl Service<Request<String>> for Handler {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let error = match Claims::<Value>::find(request.extensions()) {
            Ok(claims) => Claims::reject(claims, InsufficientScope).with_required_scope("admin"),
            Err(error) => error,
        };
        ready(Ok((self.0)(error)))
    }
}

const REJECTS: Handler = Handler(Response::from);

async fn through<L>(layer: L, inner: Handler, request: Request<String>) -> Response<String>
where
    L: Layer<Handler>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let Ok(response) = layer.layer(inner).oneshot(request).await;
    response
}

fn shop() -> JwtAuthLayer<tower_jwt_auth::JwtVerifier<Value>> {
    JwtAuthLayer::new(verifier()).realm("shop").unwrap()
}

fn good() -> Request<String> {
    bearer(&good_token())
}

#[tokio::test]
async fn layer_renders_handler_rejections() {
    let response = through(shop().on_reject(ProblemJson::new()), REJECTS, good()).await;
    let headers = [("www-authenticate", FORBIDDEN), ("content-type", "application/problem+json")];
    assert_rejected("problem", &response, 403, InsufficientScope, &headers);
    assert_eq!(*response.body(), forbidden());

    let response = through(shop(), REJECTS, good()).await;
    assert_rejected("default", &response, 403, InsufficientScope, &[("www-authenticate", FORBIDDEN)]);
    assert_eq!(response.body(), "");

    let closure = shop().strip_credential().reject_with(|error, request| {
        error.response(format!("{} {}: {error} {:?}", request.method(), request.uri(), request.headers()))
    });
    let response = through(closure, REJECTS, good()).await;
    assert_rejected("closure", &response, 403, InsufficientScope, &[("www-authenticate", FORBIDDEN)]);
    let expected = "GET /orders: the token does not permit this request {}";
    assert_eq!(response.body(), expected, "the request that the inner service saw");
}

/// Does not read the request, and says so in `reads`.
#[derive(Clone)]
struct PlainText;

impl<B: From<String>> Reject<B> for PlainText {
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<B> {
        error.response(format!("{} {}: {error}", request.method(), request.uri()).into())
    }

    fn reads(&self) -> Reads {
        Reads::Error
    }
}

#[tokio::test]
async fn keeps_no_request_data_that_is_not_read() {
    let mut request = good();
    *request.method_mut() = http::Method::PUT;
    let response = through(shop().on_reject(PlainText), REJECTS, request).await;
    assert_eq!(response.body(), "GET /: the token does not permit this request");
}

/// A copy of the head would contain `PUT`.
#[tokio::test]
async fn shared_reject_reads_the_same_as_the_inner() {
    let shared: Arc<dyn Reject<String> + Send + Sync> = Arc::new(PlainText);
    let mut request = good();
    *request.method_mut() = http::Method::PUT;
    let response = through(shop().on_reject(shared), REJECTS, request).await;
    assert_eq!(response.body(), "GET /: the token does not permit this request");
}

#[tokio::test]
async fn inner_rejections_get_a_grpc_status() {
    for (content_type, status, answered) in [
        ("application/grpc+proto", 200, Some("application/grpc")),
        ("application/grpc-web-text", 200, Some("application/grpc-web-text")),
        ("application/grpcevil", 403, None),
    ] {
        let mut request = good();
        *request.method_mut() = http::Method::POST;
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        let response = through(shop().on_reject(Grpc::new()), REJECTS, request).await;
        let headers = response.headers();
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), text("content-type")), (status, answered), "{content_type}");
        assert_eq!(text("grpc-status"), answered.map(|_| "7"), "{content_type}");
        assert_eq!(text("www-authenticate"), Some(FORBIDDEN), "{content_type}");
    }
}

#[tokio::test]
async fn keeps_headers_of_layers_between() {
    let between = |error| {
        let mut response = Response::<String>::from(error);
        for (name, value) in [
            ("access-control-allow-origin", "https://app.example.com"),
            ("set-cookie", "csrf=1"),
            ("vary", "origin"),
            ("content-length", "0"),
            ("etag", "\"empty\""),
        ] {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        response
    };
    let layer = shop().reject_with(|error, _| {
        let mut response = error.response("why".to_owned());
        response.headers_mut().append("set-cookie", HeaderValue::from_static("token="));
        response.headers_mut().append("vary", HeaderValue::from_static("accept-language"));
        response
    });
    let response = through(layer, Handler(between), good()).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (403, "why"));
    let expected = [
        "access-control-allow-origin: https://app.example.com",
        "cache-control: no-store",
        "set-cookie: csrf=1",
        "set-cookie: token=",
        "vary: origin",
        "vary: accept-language",
        &format!("www-authenticate: {FORBIDDEN}"),
    ];
    assert_eq!(lines(response.headers()), expected);
}

#[tokio::test]
async fn keeps_changed_headers_of_rejections() {
    let changed = |error| {
        let mut response = Response::<String>::from(error);
        let headers = response.headers_mut();
        headers.append("www-authenticate", HeaderValue::from_static("DPoP algs=\"ES256\""));
        headers.insert("cache-control", HeaderValue::from_static("private, no-cache"));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        response
    };
    let layer = shop().reject_with(|error, _| {
        let mut response = error.response("why".to_owned());
        response.headers_mut().insert("retry-after", HeaderValue::from_static("5"));
        response
    });
    let response = through(layer, Handler(changed), good()).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (403, "why"));
    let expected = [
        "cache-control: private, no-cache",
        "retry-after: 7",
        &format!("www-authenticate: {FORBIDDEN}"),
        "www-authenticate: DPoP algs=\"ES256\"",
    ];
    assert_eq!(lines(response.headers()), expected);
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort_by_key(|line| line.split(':').next().unwrap().to_owned());
    lines
}

#[tokio::test]
async fn does_not_overwrite_another_body() {
    type Respond = fn(AuthError) -> Response<String>;
    let rows: [(&str, Respond); 7] = [
        ("a custom response", |error| error.response("own".to_owned())),
        ("an error beside it", |error| {
            let mut response = error.response("own".to_owned());
            response.extensions_mut().insert(error);
            response
        }),
        ("a copy of a rejection's error beside it", |error| {
            let rejection = Response::<String>::from(error);
            let error = rejection.extensions().get::<AuthError>().unwrap().clone();
            let mut response = error.response("own".to_owned());
            response.extensions_mut().insert(error);
            response
        }),
        ("a body with a type", |error| {
            let mut response = Response::<String>::from(error).map(|_| "own".to_owned());
            response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
            response
        }),
        ("a body with a length", |error| {
            let mut response = Response::<String>::from(error).map(|_| "own".to_owned());
            response.headers_mut().insert("content-length", HeaderValue::from_static("3"));
            response
        }),
        ("another status", |error| {
            let mut response = Response::<String>::from(error).map(|_| "own".to_owned());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }),
        ("the error taken out", |error| {
            let mut response = Response::<String>::from(error).map(|_| "own".to_owned());
            response.extensions_mut().remove::<AuthError>();
            response
        }),
    ];
    for (name, respond) in rows {
        let response = through(shop().on_reject(ProblemJson::new()), Handler(respond), good()).await;
        assert_eq!(response.body(), "own", "{name}");
        assert_ne!(
            response.headers().get("content-type"),
            Some(&HeaderValue::from_static("application/problem+json")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_mode_renders_inner_rejections() {
    let missing = problem("MissingCredential", "the request carries no bearer token", 401, "");
    let malformed = problem("MalformedToken", "the token is not a well-formed JWT", 401, "");
    let layer = || shop().on_reject(ProblemJson::new());
    for (name, layer, request, expected) in [
        ("optional", layer().optional(), get(""), &missing),
        ("optional, with a token", layer().optional(), good(), &forbidden()),
        ("allow_invalid", layer().allow_invalid(), bearer("a.b.c"), &malformed),
        ("unread", layer().skip_when(|_| true), good(), &missing),
    ] {
        assert_eq!(through(layer, REJECTS, request).await.body(), expected, "{name}");
    }
}

#[tokio::test]
async fn renders_rejections_after_waiting() {
    #[derive(Clone)]
    struct Late;

    impl Verify for Late {
        type Claims = Value;

        fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
            Verdict::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                Ok(Claims::new(json!({})))
            }))
        }
    }

    let layer = JwtAuthLayer::new(Late).realm("shop").unwrap();
    let response = through(layer.clone().on_reject(ProblemJson::new()), REJECTS, good()).await;
    assert_eq!(*response.body(), forbidden());
    let layer = layer.reject_with(|error, request| error.response(request.uri().to_string()));
    assert_eq!(through(layer, REJECTS, good()).await.body(), "/orders");
}

struct Nobody;

impl HasScope for Nobody {
    fn has_scope(&self, _: &str) -> bool {
        false
    }
}

#[derive(Clone)]
struct AsNobody;

impl Verify for AsNobody {
    type Claims = Nobody;

    fn verify(&self, _: Credential<'_>) -> Verdict<Nobody> {
        Verdict::Ready(Ok(Claims::new(Nobody)))
    }
}

#[tokio::test]
async fn inner_layers_leave_the_body_to_the_outer() {
    let outside = || JwtAuthLayer::new(AsNobody).realm("shop").unwrap().on_reject(ProblemJson::new());
    let require = || RequireLayer::<Nobody>::new(scope("admin"));
    let service = ServiceBuilder::new().layer(outside()).layer(require()).service(REJECTS);
    let Ok(response) = service.oneshot(good()).await;
    assert_eq!(*response.body(), forbidden());

    let own = require().reject_with(|error, _| error.response("own".to_owned()));
    let service = ServiceBuilder::new().layer(outside()).layer(own).service(REJECTS);
    let Ok(response) = service.oneshot(good()).await;
    assert_eq!(response.body(), "own");

    let from_default =
        |error: &AuthError, _: Head<'_>| Response::from(error.clone()).map(|_: String| "own".to_owned());
    let service =
        ServiceBuilder::new().layer(outside()).layer(require().reject_with(from_default)).service(REJECTS);
    let Ok(response) = service.oneshot(good()).await;
    assert_eq!(response.body(), "own", "made of an empty response");

    let find = async |_: Claims<Nobody>| Ok::<Option<u8>, Infallible>(None);
    let service = ServiceBuilder::new().layer(outside()).layer(PrincipalLayer::new(find)).service(REJECTS);
    let Ok(response) = service.oneshot(good()).await;
    assert_eq!(
        *response.body(),
        problem("UnknownPrincipal", "the token does not belong to a known user", 401, "")
    );
}

#[tokio::test]
async fn innermost_rendering_layer_makes_the_body() {
    let outer = || JwtAuthLayer::new(AsNobody).on_reject(ProblemJson::new());
    let service = ServiceBuilder::new().layer(outer()).layer(shop()).service(REJECTS);
    let Ok(response) = service.clone().oneshot(good()).await;
    assert_eq!(*response.body(), forbidden(), "rejected by the handler");
    let Ok(response) = service.oneshot(bearer("a.b.c")).await;
    let malformed = problem("MalformedToken", "the token is not a well-formed JWT", 401, "");
    assert_eq!(*response.body(), malformed, "rejected by the inner layer");

    let text = shop().on_reject(PlainText);
    let service = ServiceBuilder::new().layer(outer()).layer(text).service(REJECTS);
    let Ok(response) = service.clone().oneshot(good()).await;
    assert_eq!(response.body(), "GET /: the token does not permit this request");
    let Ok(response) = service.oneshot(bearer("a.b.c")).await;
    assert_eq!(response.body(), "GET /orders: the token is not a well-formed JWT");
}

/// `reject_with` shows this text, so it must be safe for untrusted clients.
#[test]
fn error_text_names_no_type() {
    let error = Claims::<Nobody>::find(&http::Extensions::new()).err().unwrap();
    assert_eq!(error.kind(), AuthErrorKind::MissingLayer);
    assert_eq!(error.to_string(), MissingLayer.to_string());
}
