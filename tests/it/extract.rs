//! Claims as axum extractors.

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use tower::ServiceExt;
use tower_http::cors::CorsLayer;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::extract::Permitted;
use tower_jwt_auth::policy::{Policy, when};
use tower_jwt_auth::reject::{ProblemJson, RespondWith};
use tower_jwt_auth::{
    Algorithm, AuthError, Claims, Head, JwtAuthLayer, JwtVerifier, KeySet, PrincipalLayer, RequireLayer,
    TokenSource,
};

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
async fn closures_return_anything_that_axum_renders() {
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, NoContent, Redirect};

    let challenge = r#"Bearer realm="api""#;
    let layer = || JwtAuthLayer::new(users());
    let ask = async |app: Router| {
        let (response, body) = send(app, "/hello", None).await;
        let headers = response.headers();
        assert!(response.extensions().get::<AuthError>().is_some(), "{body}");
        let text = |name: &str| {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
        };
        (
            response.status().as_u16(),
            body,
            [text("content-type"), text("cache-control"), text("www-authenticate")]
                .map(|text| text.join("; ")),
        )
    };
    let told = |kind: &str, cache: &str, challenge: &str| [kind, cache, challenge].map(str::to_owned);

    let json = RespondWith::new(|error, request| Json(format!("{} {}", request.uri(), error.kind().name())));
    let expected =
        (401, r#""/hello missing_credential""#.to_owned(), told("application/json", "no-store", challenge));
    assert_eq!(ask(routes().layer(layer().on_reject(json))).await, expected);

    let tuple = RespondWith::new(|_, _| (StatusCode::NOT_FOUND, [("cache-control", "private")], "gone"));
    let expected = (404, "gone".to_owned(), told("text/plain; charset=utf-8", "private", challenge));
    assert_eq!(ask(routes().layer(layer().on_reject(tuple))).await, expected);

    let own = RespondWith::new(|_, _| ([("www-authenticate", "Own")], NoContent).into_response());
    let expected = (204, String::new(), told("", "no-store", "Own"));
    assert_eq!(ask(routes().layer(layer().on_reject(own))).await, expected);

    let to_sign_in = RespondWith::new(|_, _| Redirect::to("/signin"));
    assert_eq!(ask(routes().layer(layer().on_reject(to_sign_in))).await.0, 303);
}

#[tokio::test]
async fn closures_render_rejections_from_inside() {
    async fn forbidden(user: Claims<User>) -> AuthError {
        Claims::reject(&user, InsufficientScope)
    }

    let app = |require: Option<RequireLayer<User, _, RespondWith<_>>>| {
        let route = get(forbidden);
        let route = match require {
            Some(require) => route.layer(require),
            None => route,
        };
        let json = RespondWith::new(|error: &AuthError, _: Head<'_>| Json(error.kind().name()));
        Router::new().route("/", route).layer(JwtAuthLayer::new(users()).on_reject(json))
    };
    let nobody = RequireLayer::<User>::new(when(|_: &Claims<User>, _| false));
    let inner = nobody.on_reject(RespondWith::new(|_, _| "from the inner layer"));
    for (require, expected) in [(None, r#""insufficient_scope""#), (Some(inner), "from the inner layer")] {
        let (response, body) = send(app(require), "/", Some(&good_token())).await;
        assert_eq!((response.status().as_u16(), body.as_str()), (403, expected));
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with(r#"Bearer realm="api", error="insufficient_scope""#), "{challenge}");
    }
}

#[tokio::test]
async fn serializes_claims_as_json() {
    async fn me(claims: Claims<serde_json::Value>) -> Json<Claims<serde_json::Value>> {
        Json(claims)
    }
    let claims = serde_json::json!({"sub": "42"});
    let app = Router::new().route("/me", get(me)).layer(Extension(Claims::new(claims)));
    assert_eq!(send(app, "/me", None).await.1, r#"{"sub":"42"}"#);
}

#[tokio::test]
async fn extracts_claims() {
    let app = routes().layer(JwtAuthLayer::new(users()));
    assert_eq!(send(app.clone(), "/hello", Some(&good_token())).await.1, "Hello eze@example.com");
    assert_eq!(send(app.clone(), "/welcome", Some(&good_token())).await.1, "Welcome back eze@example.com");
    let bare = [("www-authenticate", r#"Bearer realm="api""#)];
    for path in ["/hello", "/welcome"] {
        let (response, body) = send(app.clone(), path, None).await;
        let without_length: Response<()> = without(response, "content-length");
        assert_rejected(path, &without_length, 401, MissingCredential, &bare);
        assert_eq!(body, "");
    }
}

/// Returns the response without a header that axum adds to every empty body.
fn without(mut response: Response<()>, header: &str) -> Response<()> {
    response.headers_mut().remove(header);
    response
}

#[tokio::test]
async fn handler_decides_behind_optional_layer() {
    let app = routes().layer(JwtAuthLayer::new(users()).optional().realm("members").unwrap());
    assert_eq!(send(app.clone(), "/welcome", Some(&good_token())).await.1, "Welcome back eze@example.com");
    assert_eq!(send(app.clone(), "/welcome", None).await.1, "Welcome");
    let (response, _) = send(app.clone(), "/welcome", Some("a.b.c")).await;
    assert_eq!(response.status(), 401);

    let (response, _) = send(app, "/hello", None).await;
    let expected = [("www-authenticate", r#"Bearer realm="members""#)];
    assert_rejected("needs claims", &without(response, "content-length"), 401, MissingCredential, &expected);
}

#[tokio::test]
async fn missing_layer_is_explained() {
    let other = JwtVerifier::<serde_json::Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .insecure_any_audience()
        .clock(|| at(NOW));
    let expected = "no claims of type `it::extract::User` in this request: put a JwtAuthLayer outside the service that \
                    needs them, with a `JwtVerifier::<it::extract::User>` (in axum, `.layer` covers only the routes \
                    added before it, and the layer added last runs first)";
    let expected = if cfg!(debug_assertions) { expected } else { "" };
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

/// Permits only the user whose address is in the path.
#[derive(Default)]
struct Owner;

impl Policy<User> for Owner {
    fn check(&self, user: &Claims<User>, request: Head<'_>) -> Result<(), AuthError> {
        if request.method() == Method::GET && request.uri().path().ends_with(&user.email) {
            return Ok(());
        }
        Err(AuthError::new(InsufficientScope).with_required_scope("any_page"))
    }
}

#[tokio::test]
async fn policy_can_be_a_type() {
    async fn page(user: Permitted<User, Owner>) -> String {
        format!("the page of {}", user.email)
    }
    let routes = || Router::new().route("/pages/{email}", get(page));
    let app = routes().layer(JwtAuthLayer::new(users()).realm("pages").unwrap().allow_invalid());
    let own = "/pages/eze@example.com";
    assert_eq!(send(app.clone(), own, Some(&good_token())).await.1, "the page of eze@example.com");

    let forbidden = r#"Bearer realm="pages", error="insufficient_scope", error_description="the token does not permit this request", scope="any_page""#;
    let (response, body) = send(app.clone(), "/pages/ada@example.com", Some(&good_token())).await;
    let response = without(response, "content-length");
    assert_rejected("another's", &response, 403, InsufficientScope, &[("www-authenticate", forbidden)]);
    assert_eq!(body, "");

    let (response, _) = send(app.clone(), own, None).await;
    let expected = [("www-authenticate", r#"Bearer realm="pages""#)];
    assert_rejected("none", &without(response, "content-length"), 401, MissingCredential, &expected);
    let (response, _) = send(app, own, Some("a.b.c")).await;
    let expected = r#"Bearer realm="pages", error="invalid_token", error_description="the token is not a well-formed JWT""#;
    let expected = [("www-authenticate", expected)];
    assert_rejected("bad", &without(response, "content-length"), 401, MalformedToken, &expected);
    let (response, body) = send(routes(), own, Some(&good_token())).await;
    assert_eq!(response.status(), 500);
    let hint = if cfg!(debug_assertions) { "no claims of type `it::extract::User`" } else { "" };
    assert!(body.starts_with(hint), "{body}");
}

/// Every rejection has the same form of body.
#[tokio::test]
async fn layer_makes_the_body_of_every_rejection() {
    async fn purge(user: Claims<User>) -> Result<&'static str, AuthError> {
        Err(Claims::reject(&user, InsufficientScope).with_required_scope("admin"))
    }
    async fn page(_: Permitted<User, Owner>) {}
    async fn of_others(_: Claims<String>) {}

    let routes = Router::new()
        .route("/purge", get(purge))
        .route("/page", get(page))
        .route("/others", get(of_others))
        .route("/hello", get(hello))
        .route("/route", get(hello).layer(RequireLayer::<User>::new(when(|_: &Claims<User>, _| false))))
        .layer(CorsLayer::permissive());
    let app = routes
        .layer(JwtAuthLayer::new(users()).realm("pages").unwrap().optional().on_reject(ProblemJson::new()));

    let token = good_token();
    for (path, token, status, kind) in [
        ("/purge", Some(&*token), 403, InsufficientScope),
        ("/page", Some(&*token), 403, InsufficientScope),
        ("/route", Some(&*token), 403, InsufficientScope),
        ("/others", Some(&*token), 500, MissingLayer),
        ("/hello", None, 401, MissingCredential),
        ("/hello", Some("a.b.c"), 401, MalformedToken),
    ] {
        let (response, body) = send(app.clone(), path, token).await;
        let name = format!("{path} {token:?}");
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(response.extensions().get::<AuthError>().unwrap().kind(), kind, "{name}");
        let problem: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|_| panic!("{name}: {body}"));
        assert_eq!(problem["title"], kind.to_string(), "{name}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{name}");
        assert_eq!(response.headers()["content-length"], body.len().to_string(), "{name}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!(
            challenge.is_some_and(|text| text.starts_with("Bearer realm=\"pages\"")),
            status != 500,
            "{name}"
        );
        let passed_cors = token != Some("a.b.c");
        assert_eq!(response.headers().contains_key("access-control-allow-origin"), passed_cors, "{name}");
    }
    assert_eq!(send(app, "/hello", Some(&token)).await.1, "Hello eze@example.com");
}

#[tokio::test]
async fn handler_decides_behind_permissive_layer() {
    async fn why(user: Result<Claims<User>, AuthError>) -> String {
        user.map_or_else(|error| error.to_string(), |user| format!("Hello {}", user.email))
    }
    let app = routes().route("/why", get(why)).layer(JwtAuthLayer::new(users()).allow_invalid());
    for (token, welcome, why, status) in [
        (Some(&*good_token()), "Welcome back eze@example.com", "Hello eze@example.com", 200),
        (None, "Welcome", "the request carries no bearer token", 401),
        (Some("a.b.c"), "Welcome", "the token is not a well-formed JWT", 401),
    ] {
        assert_eq!(send(app.clone(), "/welcome", token).await.1, welcome);
        assert_eq!(send(app.clone(), "/why", token).await.1, why);
        assert_eq!(send(app.clone(), "/hello", token).await.0.status(), status);
    }
}

/// The order of layers in a router.
#[tokio::test]
async fn nested_router_sees_the_rest_of_the_path() {
    let rule =
        |path: &'static str| when(move |_: &Claims<User>, request: Head<'_>| request.uri().path() == path);
    let page =
        |path| Router::new().route("/page", get(async || "")).layer(RequireLayer::<User>::new(rule(path)));
    let app = Router::new()
        .nest("/outer", page("/page"))
        .nest("/whole", page("/whole/page"))
        .layer(JwtAuthLayer::new(users()));
    assert_eq!(send(app.clone(), "/outer/page", Some(&good_token())).await.0.status(), 200);
    assert_eq!(send(app.clone(), "/whole/page", Some(&good_token())).await.0.status(), 403);
    assert_eq!(send(app.clone(), "/none", Some(&good_token())).await.0.status(), 404);
    assert_eq!(send(app, "/none", None).await.0.status(), 401, "`layer` covers unknown paths");

    let app = Router::new().route("/page", get(async || "")).route_layer(JwtAuthLayer::new(users()));
    assert_eq!(send(app.clone(), "/page", None).await.0.status(), 401);
    assert_eq!(send(app, "/none", None).await.0.status(), 404, "`route_layer` does not");
}

#[tokio::test]
async fn cors_layer_works_outside() {
    let preflight = || {
        Request::options("/hello")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .body(Body::empty())
            .unwrap()
    };
    let cors = CorsLayer::new()
        .allow_origin(["https://app.example.com".parse().unwrap()])
        .allow_headers([http::header::AUTHORIZATION]);
    let app = routes().layer(JwtAuthLayer::new(users())).layer(cors.clone());
    let response = app.clone().oneshot(preflight()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-headers"], "authorization");
    let request =
        Request::get("/hello").header("origin", "https://app.example.com").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example.com",
        "a page may read why"
    );

    let inside = routes().layer(cors).layer(JwtAuthLayer::new(users()));
    assert_eq!(inside.oneshot(preflight()).await.unwrap().status(), 401);
}

#[tokio::test]
async fn csrf_layer_works_outside_cookie_authentication() {
    let app = Router::new()
        .route("/transfer", axum::routing::post(async || "done"))
        .layer(JwtAuthLayer::new(users()).token_source(TokenSource::cookie("token").unwrap()))
        .layer(tower_http::csrf::CsrfLayer::new());
    let send = async |site: &str| {
        let request = Request::post("/transfer")
            .header("cookie", format!("token={}", good_token()))
            .header("sec-fetch-site", site)
            .body(Body::empty())
            .unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(send("same-origin").await, 200);
    assert_eq!(send("cross-site").await, 403);
}

#[tokio::test]
async fn principal_is_a_request_extension() {
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
