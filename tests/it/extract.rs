//! Claims as axum extractors.

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use tower::ServiceExt;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet, PrincipalLayer};

use crate::support::*;

#[derive(Deserialize)]
struct User {
    email: String,
}

fn users() -> JwtVerifier<User> {
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

async fn hello(user: Claims<User>) -> String {
    format!("Hello {}", user.email)
}

async fn welcome(user: Option<Claims<User>>) -> String {
    user.map_or("Welcome".to_owned(), |user| format!("Welcome back {}", user.email))
}

fn routes() -> Router {
    Router::new().route("/hello", get(hello)).route("/welcome", get(welcome))
}

async fn send(app: Router, path: &str, token: Option<&str>) -> (Response<()>, String) {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn claims_are_extracted() {
    let app = routes().layer(JwtAuthLayer::new(users()));
    assert_eq!(send(app.clone(), "/hello", Some(&good_token())).await.1, "Hello eze@example.com");
    assert_eq!(send(app.clone(), "/welcome", Some(&good_token())).await.1, "Welcome back eze@example.com");
    let bare = [("www-authenticate", r#"Bearer realm="api""#)];
    for path in ["/hello", "/welcome"] {
        let (response, body) = send(app.clone(), path, None).await;
        let without_length: Response<()> = without(response, "content-length");
        assert_refused(path, &without_length, 401, MissingCredential, &bare);
        assert_eq!(body, "");
    }
}

/// A response without a header that axum adds to every empty body.
fn without(mut response: Response<()>, header: &str) -> Response<()> {
    response.headers_mut().remove(header);
    response
}

#[tokio::test]
async fn an_optional_layer_lets_the_handler_choose() {
    let app = routes().layer(JwtAuthLayer::new(users()).optional().realm("members").unwrap());
    assert_eq!(send(app.clone(), "/welcome", Some(&good_token())).await.1, "Welcome back eze@example.com");
    assert_eq!(send(app.clone(), "/welcome", None).await.1, "Welcome");
    let (response, _) = send(app.clone(), "/welcome", Some("a.b.c")).await;
    assert_eq!(response.status(), 401);

    let (response, _) = send(app, "/hello", None).await;
    let expected = [("www-authenticate", r#"Bearer realm="members""#)];
    assert_refused("needs claims", &without(response, "content-length"), 401, MissingCredential, &expected);
}

#[tokio::test]
async fn without_a_layer_the_developer_is_told() {
    let other = JwtVerifier::<serde_json::Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .insecure_any_audience()
        .clock(|| at(NOW));
    let expected = "no claims of type `it::extract::User` in this request: put a JwtAuthLayer outside of what needs \
                    them, whose verifier is a `JwtVerifier::<it::extract::User>` (in axum, `.layer` covers only the \
                    routes that stand before it, and the layer that is added last runs first)";
    for (name, app) in [("none", routes()), ("of another type", routes().layer(JwtAuthLayer::new(other)))] {
        for path in ["/hello", "/welcome"] {
            let (response, body) = send(app.clone(), path, Some(&good_token())).await;
            assert_eq!((response.status().as_u16(), body.as_str()), (500, expected), "{name}, {path}");
            assert!(response.headers().get("www-authenticate").is_none());
        }
    }
}

#[tokio::test]
async fn handlers_can_be_tested_without_a_token() {
    let user = Claims::new(User { email: "eze@example.com".to_owned() });
    assert_eq!(hello(user).await, "Hello eze@example.com");
}

#[tokio::test]
async fn the_principal_is_an_extension() {
    #[derive(Clone)]
    struct CurrentUser(String);

    async fn profile(Extension(user): Extension<CurrentUser>) -> String {
        user.0
    }

    let find = |claims: Claims<User>| async move {
        Ok::<_, std::io::Error>(Some(CurrentUser(format!("the user {}", claims.email))))
    };
    let app = Router::new()
        .route("/profile", get(profile))
        .layer(PrincipalLayer::new(find))
        .layer(JwtAuthLayer::new(users()));
    assert_eq!(send(app, "/profile", Some(&good_token())).await.1, "the user eze@example.com");
}
