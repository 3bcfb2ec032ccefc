//! `Cache-Control` and `Vary` of accepted responses.

use std::convert::Infallible;

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, VARY};
use http::{HeaderName, Request, Response, StatusCode};
use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{Credential, JwtAuthLayer, JwtVerifier, TokenSource, Verdict, Verify};

use crate::support::*;

type Auth = JwtAuthLayer<JwtVerifier<serde_json::Value>>;

const X_TOKEN: HeaderName = HeaderName::from_static("x-token");

fn from(source: TokenSource) -> Auth {
    JwtAuthLayer::new(verifier()).token_source(source)
}

fn cookie() -> Auth {
    from(TokenSource::cookie("token").unwrap())
}

/// Returns a request with the good token in place of `{}` in its path and headers.
fn with(path: &str, headers: &[(HeaderName, &str)]) -> Request<String> {
    let fill = |text: &str| text.replace("{}", &good_token());
    let mut request = Request::get(fill(path)).body(String::new()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(name, fill(value).parse().unwrap());
    }
    request
}

/// Returns status, `Cache-Control` and `Vary` of a response whose service sets the headers `own` itself.
async fn cache_headers<V>(
    layer: JwtAuthLayer<V>,
    request: Request<String>,
    own: &[(HeaderName, &str)],
) -> String
where
    V: Verify<Claims = serde_json::Value> + Clone,
{
    let service = ServiceBuilder::new().layer(layer).service_fn(|_: Request<String>| async {
        let mut response = Response::new(String::new());
        for (name, value) in own {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        Ok::<_, Infallible>(response)
    });
    let Ok(response) = service.oneshot(request).await;
    let lines = |name| {
        let lines = response.headers().get_all(name).iter().map(|line| line.to_str().unwrap().to_owned());
        Vec::from_iter(lines).join("; ")
    };
    format!("{} [{}] [{}]", response.status().as_u16(), lines(CACHE_CONTROL), lines(VARY))
}

/// Name, layer, path, headers, and the expected result.
type Row<'a> = (&'a str, Auth, &'a str, &'a [(HeaderName, &'a str)], &'a str);

#[tokio::test]
async fn each_source_sets_cache_control_and_vary() {
    let custom = |headers: &[HeaderName]| {
        TokenSource::custom(headers.to_vec(), |request| {
            Some(request.headers().get("x-token")?.to_str().ok()?.into())
        })
    };
    let scheme = |name| TokenSource::header_with_scheme(name, Scheme::from_static("Token"));
    let websocket = || TokenSource::websocket_protocol("bearer").unwrap();
    let protocol = HeaderName::from_static("sec-websocket-protocol");
    let rows: [Row<'_>; 11] = [
        ("header", JwtAuthLayer::new(verifier()), "/", &[(AUTHORIZATION, "Bearer {}")], "200 [] []"),
        ("scheme", from(scheme(AUTHORIZATION)), "/", &[(AUTHORIZATION, "Token {}")], "200 [] []"),
        ("query", from(TokenSource::query("token")), "/?token={}", &[], "200 [private] []"),
        ("cookie", cookie(), "/", &[(COOKIE, "token={}")], "200 [private] [cookie]"),
        (
            "other header",
            from(TokenSource::header(X_TOKEN)),
            "/",
            &[(X_TOKEN, "{}")],
            "200 [private] [x-token]",
        ),
        ("its scheme", from(scheme(X_TOKEN)), "/", &[(X_TOKEN, "Token {}")], "200 [private] [x-token]"),
        ("custom", from(custom(&[])), "/", &[(X_TOKEN, "{}")], "200 [private] []"),
        ("named", from(custom(&[X_TOKEN])), "/", &[(X_TOKEN, "{}")], "200 [private] [x-token]"),
        (
            "no upgrade",
            from(websocket()),
            "/",
            &[(protocol, "bearer, {}")],
            "200 [private] [sec-websocket-protocol]",
        ),
        (
            "cookie or header: the cookie",
            cookie()
                .add_token_source(TokenSource::authorization())
                .add_token_source(TokenSource::header(X_TOKEN)),
            "/",
            &[(COOKIE, "token={}")],
            "200 [private] [cookie; x-token]",
        ),
        (
            "cookie or header: the header",
            cookie().add_token_source(TokenSource::authorization()),
            "/",
            &[(AUTHORIZATION, "Bearer {}")],
            "200 [] []",
        ),
    ];
    for (name, layer, path, headers, expected) in rows {
        assert_eq!(cache_headers(layer, with(path, headers), &[]).await, expected, "{name}");
    }
}

#[tokio::test]
async fn service_may_set_its_own_cache_headers() {
    let query = || from(TokenSource::query("token"));
    for (name, layer, own, expected) in [
        ("query", query(), &[(CACHE_CONTROL, "no-store")][..], "200 [no-store] []"),
        ("public", query(), &[(CACHE_CONTROL, "public, max-age=60")], "200 [public, max-age=60] []"),
        ("another", cookie(), &[(VARY, "accept-language")], "200 [private] [accept-language; cookie]"),
        ("the same", cookie(), &[(VARY, "Accept, COOKIE")], "200 [private] [Accept, COOKIE]"),
        ("two lines", cookie(), &[(VARY, "accept"), (VARY, "Cookie")], "200 [private] [accept; Cookie]"),
        ("anything", cookie(), &[(VARY, "*")], "200 [private] [*]"),
        ("a similar name", cookie(), &[(VARY, "cookie2")], "200 [private] [cookie2; cookie]"),
        ("both", cookie(), &[(CACHE_CONTROL, "public"), (VARY, "cookie")], "200 [public] [cookie]"),
    ] {
        let request = with("/?token={}", &[(COOKIE, "token={}")]);
        assert_eq!(cache_headers(layer, request, own).await, expected, "{name}");
    }
}

/// A page stored for an anonymous client must not be shown to a user, and vice versa.
#[tokio::test]
async fn responses_without_credential_vary_too() {
    let stranger = || with("/", &[]);
    let expired = || with("/", &[(COOKIE, "token=a.b.c")]);
    assert_eq!(cache_headers(cookie().optional(), stranger(), &[]).await, "200 [] [cookie]");
    assert_eq!(cache_headers(cookie().allow_invalid(), stranger(), &[]).await, "200 [] [cookie]");
    assert_eq!(cache_headers(cookie().allow_invalid(), expired(), &[]).await, "200 [private] [cookie]");
    assert_eq!(
        cache_headers(from(TokenSource::query("token")).optional(), stranger(), &[]).await,
        "200 [] []"
    );
    assert_eq!(
        cache_headers(cookie().skip_when(|_| true), expired(), &[]).await,
        "200 [] []",
        "no token was read"
    );
    assert_eq!(cache_headers(cookie().optional(), expired(), &[]).await, "401 [no-store] []");
    assert_eq!(cache_headers(JwtAuthLayer::new(verifier()).optional(), stranger(), &[]).await, "200 [] []");
}

#[tokio::test]
async fn waiting_requests_get_the_same_cache_headers() {
    #[derive(Clone)]
    struct Late(JwtVerifier<serde_json::Value>);

    impl Verify for Late {
        type Claims = serde_json::Value;

        fn verify(&self, credential: Credential<'_>) -> Verdict<serde_json::Value> {
            let verdict = self.0.verify(credential);
            Verdict::Pending(Box::pin(async move {
                tokio::task::yield_now().await;
                verdict.await
            }))
        }
    }

    let layer = JwtAuthLayer::new(Late(verifier())).token_source(TokenSource::cookie("token").unwrap());
    assert_eq!(cache_headers(layer, with("/", &[(COOKIE, "token={}")]), &[]).await, "200 [private] [cookie]");
}

#[tokio::test]
async fn upgrade_response_is_unchanged() {
    let service = ServiceBuilder::new().layer(cookie()).service_fn(async |_: Request<String>| {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Ok::<_, Infallible>(response)
    });
    let Ok(response) = service.oneshot(with("/", &[(COOKIE, "token={}")])).await;
    assert!(response.headers().is_empty(), "{:?}", response.headers());
}
