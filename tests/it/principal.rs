//! The application's own user, loaded for the claims.

use std::error::Error;

use http::{Request, Response};
use serde_json::Value;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer, PrincipalLayer};

use crate::support::*;
use crate::tower_contract::call_of;

#[derive(Clone)]
struct User(String);

#[derive(Debug)]
struct DatabaseDown;

impl std::fmt::Display for DatabaseDown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection to db-7.internal refused")
    }
}

impl Error for DatabaseDown {}

async fn find(claims: Claims<Value>) -> Result<Option<User>, DatabaseDown> {
    tokio::task::yield_now().await;
    match claims["sub"].as_str() {
        Some("42") => Ok(Some(User("Eze".to_owned()))),
        Some("broken") => Err(DatabaseDown),
        _ => Ok(None),
    }
}

async fn greet(request: Request<String>) -> Result<Response<String>, std::convert::Infallible> {
    let name = request.extensions().get::<User>().map_or("stranger", |user| &user.0);
    Ok(Response::new(format!("Hello {name}")))
}

async fn ask_for_user(optional: bool, request: Request<String>) -> Response<String> {
    let layer = JwtAuthLayer::new(verifier()).realm("users").unwrap();
    let layer = if optional { layer.optional() } else { layer };
    let service = ServiceBuilder::new().layer(layer).layer(PrincipalLayer::new(find)).service_fn(greet);
    let Ok(response) = service.oneshot(request).await;
    response
}

fn of(subject: &str) -> Request<String> {
    bearer(&token(&claims_with("sub", subject.into())))
}

#[tokio::test]
async fn user_is_in_the_extensions() {
    assert_eq!(ask_for_user(false, of("42")).await.body(), "Hello Eze");
}

#[tokio::test]
async fn rejects_a_deleted_user() {
    let response = ask_for_user(false, of("43")).await;
    let expected = r#"Bearer realm="users", error="invalid_token", error_description="the token does not belong to a known user""#;
    assert_rejected("gone", &response, 401, UnknownPrincipal, &[("www-authenticate", expected)]);
}

/// The claims are loaded like any other user.
#[tokio::test]
async fn user_may_replace_the_claims() {
    let find = async |claims: Claims<Value>| {
        let is_known = claims["sub"] == "42";
        Ok::<_, DatabaseDown>(is_known.then(|| Claims::new(Value::from("Eze, a member of staff"))))
    };
    let layers = ServiceBuilder::new()
        .layer(JwtAuthLayer::new(verifier()).realm("users").unwrap())
        .layer(PrincipalLayer::new(find));
    let greet = async |request: Request<String>| {
        let user = Claims::<Value>::find(request.extensions()).unwrap();
        Ok::<_, std::convert::Infallible>(Response::new(format!("Hello {}", **user)))
    };
    let service = layers.service_fn(greet);
    let Ok(response) = service.clone().oneshot(of("42")).await;
    assert_eq!(response.body(), r#"Hello "Eze, a member of staff""#);
    let Ok(response) = service.oneshot(of("43")).await;
    let expected = r#"Bearer realm="users", error="invalid_token", error_description="the token does not belong to a known user""#;
    assert_rejected("gone", &response, 401, UnknownPrincipal, &[("www-authenticate", expected)]);
}

#[tokio::test]
async fn failed_lookup_is_a_server_error() {
    let response = ask_for_user(false, of("broken")).await;
    assert_rejected("down", &response, 503, PrincipalUnavailable, &[("retry-after", "5")]);
    assert_eq!(response.body(), "", "no details for the client");
    let error = response.extensions().get::<AuthError>().unwrap();
    assert_eq!(error.to_string(), "the user of the token cannot be looked up");
    assert_eq!(
        error.source().unwrap().to_string(),
        "connection to db-7.internal refused",
        "only for the log"
    );
}

#[tokio::test]
async fn removes_user_set_outside_the_layer() {
    let mut request = Request::new(String::new());
    request.extensions_mut().insert(User("smuggled".to_owned()));
    assert_eq!(ask_for_user(true, request).await.body(), "Hello stranger");

    let mut request = of("42");
    request.extensions_mut().insert(User("smuggled".to_owned()));
    assert_eq!(ask_for_user(false, request).await.body(), "Hello Eze");
}

#[tokio::test]
async fn missing_outer_layer_is_explained() {
    let service = ServiceBuilder::new().layer(PrincipalLayer::new(find)).service_fn(greet);
    let response = service.oneshot(of("42")).await.unwrap();
    assert_rejected("no layer", &response, 500, MissingLayer, &[]);
    let error = response.extensions().get::<AuthError>().unwrap();
    assert_eq!(error.to_string(), "the server is not set up to authenticate this request", "may be sent");
    let hint = error.source().unwrap().to_string();
    assert!(
        hint.starts_with(
            "no claims of type `serde_json::value::Value` in this request: put a JwtAuthLayer outside"
        ),
        "{hint}"
    );
}

#[tokio::test]
async fn closure_builds_the_response() {
    let service = ServiceBuilder::new()
        .layer(JwtAuthLayer::new(verifier()))
        .layer(PrincipalLayer::new(find).reject_with(|error, _| error.response(error.to_string())))
        .service_fn(greet);
    let response = service.oneshot(of("43")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.body().as_str()),
        (401, "the token does not belong to a known user")
    );
}

#[tokio::test(start_paused = true)]
async fn calls_the_service_that_was_ready() {
    type Mock = tower_test::mock::Mock<Request<String>, Response<String>>;
    let (mut service, mut handle) = tower_test::mock::spawn_with(|mock: Mock| {
        ServiceBuilder::new()
            .layer(JwtAuthLayer::new(verifier()))
            .layer(PrincipalLayer::new(find))
            .service(mock)
    });
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = async {
        let (request, reply) = call_of(&mut handle).await;
        assert_eq!(request.extensions().get::<User>().unwrap().0, "Eze");
        reply.send_error("from inside");
    };
    let (response, ()) = tokio::join!(service.get_mut().call(of("42")), answer);
    assert_eq!(response.unwrap_err().to_string(), "from inside");
}
