//! Token sources: each one alone, in pairs, and with the credential removed.

use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, COOKIE, SEC_WEBSOCKET_PROTOCOL, VARY};
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, Credential, Head, JwtAuthLayer, JwtVerifier, TokenSource, Verdict,
    Verify,
};

use crate::support::*;

const X_TOKEN: HeaderName = HeaderName::from_static("x-token");
const X_OTHER: HeaderName = HeaderName::from_static("x-other");

type Auth = JwtAuthLayer<JwtVerifier<Value>>;

fn from(source: TokenSource) -> Auth {
    JwtAuthLayer::new(verifier()).token_source(source)
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

fn expected(kind: Option<AuthErrorKind>) -> (u16, Vec<(&'static str, String)>) {
    let challenge = match kind {
        None => return (200, vec![]),
        Some(MissingCredential) => (401, r#"Bearer realm="api""#.to_owned()),
        Some(kind @ (MalformedCredential | MultipleCredentials)) => {
            (400, format!(r#"Bearer realm="api", error="invalid_request", error_description="{kind}""#))
        }
        Some(kind) => {
            (401, format!(r#"Bearer realm="api", error="invalid_token", error_description="{kind}""#))
        }
    };
    (challenge.0, vec![("www-authenticate", challenge.1)])
}

/// Path, headers, and the expected kind of rejection.
type Row<'a> = (&'a str, &'a [(HeaderName, &'a str)], Option<AuthErrorKind>);

async fn assert_answers(layer: &Auth, rows: &[Row<'_>]) {
    for (path, headers, kind) in rows {
        let name = format!("{path} {headers:?}");
        let response = ask(layer, with(path, headers)).await;
        let (status, headers) = expected(*kind);
        match kind {
            None => {
                assert_eq!(
                    (response.status().as_u16(), response.body().as_str()),
                    (200, "Hello eze@example.com"),
                    "{name}"
                );
                let only_for_caches = |name: &HeaderName| *name == VARY || *name == CACHE_CONTROL;
                assert!(response.headers().keys().all(only_for_caches), "{name}");
            }
            Some(kind) => {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                assert_rejected(&name, &response, status, *kind, &headers);
            }
        }
    }
}

#[tokio::test]
async fn reads_header_with_a_scheme() {
    assert_answers(
        &from(TokenSource::header_with_scheme(AUTHORIZATION, Scheme::from_static("Token"))),
        &[
            ("/", &[(AUTHORIZATION, "Token {}")], None),
            ("/", &[(AUTHORIZATION, "TOKEN   {}")], None),
            ("/", &[(AUTHORIZATION, "Bearer {}")], Some(MissingCredential)),
            ("/", &[(AUTHORIZATION, "Tokens {}")], Some(MissingCredential)),
            ("/", &[(AUTHORIZATION, "")], Some(MissingCredential)),
            ("/", &[], Some(MissingCredential)),
            ("/", &[(AUTHORIZATION, "Token")], Some(MalformedCredential)),
            ("/", &[(AUTHORIZATION, "Token\t{}")], Some(MalformedCredential)),
            ("/", &[(AUTHORIZATION, "Token token=\"{}\"")], Some(MalformedCredential)),
            ("/", &[(AUTHORIZATION, "Token {}"), (AUTHORIZATION, "Token {}")], Some(MultipleCredentials)),
            ("/", &[(AUTHORIZATION, "Token a.b.c")], Some(MalformedToken)),
        ],
    )
    .await;
    for scheme in ["", " ", "Bearer ", "a b", "a,b", "Bärer", "\"Bearer\""] {
        let needed = "must be one word of letters, digits and `!#$%&'*+-.^_`|~`, got";
        let shown = format!("`{}`", scheme.escape_debug());
        let error = Scheme::new(scheme).unwrap_err();
        assert_eq!(error.to_string(), format!("a scheme {needed} {shown}"));
        let error = TokenSource::websocket_protocol(scheme).unwrap_err();
        assert_eq!(error.to_string(), format!("a subprotocol {needed} {shown}"));
        assert_eq!(
            TokenSource::cookie(scheme).unwrap_err().to_string(),
            format!("a cookie's name {needed} {shown}")
        );
    }
}

#[tokio::test]
async fn reads_cookie() {
    assert_answers(
        &from(TokenSource::cookie("__Host-token").unwrap()),
        &[
            ("/", &[(COOKIE, "__Host-token={}")], None),
            ("/", &[(COOKIE, "a=b; __Host-token={}; c=d")], None),
            ("/", &[(COOKIE, "a=b;__Host-token={};")], None),
            ("/", &[(COOKIE, "a=b"), (COOKIE, "__Host-token={}")], None),
            ("/", &[(COOKIE, "flag; =x; a=\"; \"; __Host-token={}")], None),
            ("/", &[(COOKIE, "name=\u{e9}\u{1f980}; __Host-token={}")], None),
            ("/", &[(COOKIE, "a=b")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__host-token={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "x__Host-token={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__Host-token")], Some(MissingCredential)),
            ("/", &[(COOKIE, "a=__Host-token={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__Host-token=")], Some(MissingCredential)),
            ("/", &[(AUTHORIZATION, "Bearer {}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__Host-token=\"{}\"")], Some(MalformedToken)),
            ("/", &[(COOKIE, "__Host-token=Bearer {}")], Some(MalformedToken)),
            ("/", &[(COOKIE, "__Host-token={}\u{e9}")], Some(MalformedToken)),
            ("/", &[(COOKIE, "__Host-token=a.b.c")], Some(MalformedToken)),
            ("/", &[(COOKIE, "\u{2000}__Host-token={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "a=b; \u{a0}__Host-token={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "\u{85}__Host-token={}; \u{3000}__Host-token={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__Host-token\u{2003}={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__Host-token ={}")], Some(MissingCredential)),
            ("/", &[(COOKIE, "__Host-token={}\u{2028}")], Some(MalformedToken)),
            ("/", &[(COOKIE, "__Host-token={}; __Host-token={}")], Some(MultipleCredentials)),
            ("/", &[(COOKIE, "__Host-token={}"), (COOKIE, "__Host-token=x")], Some(MultipleCredentials)),
        ],
    )
    .await;
}

#[tokio::test]
async fn reads_cookie_beside_bytes_that_are_not_text() {
    let layer = from(TokenSource::cookie("token").unwrap());
    let with = |start: &[u8], end: &[u8]| {
        let bytes = [start, good_token().as_bytes(), end].concat();
        let value = http::HeaderValue::from_bytes(&bytes).unwrap();
        Request::get("/").header(COOKIE, value).body(String::new()).unwrap()
    };
    assert_eq!(ask(&layer, with(b"a=\xff; token=", b"")).await.status(), 200, "another's value");
    assert_eq!(ask(&layer, with(b"\xff=a; token=", b"; b\xff")).await.status(), 200, "another's name");
    assert_eq!(ask(&layer, with(b"token=", b"\xff")).await.status(), 401, "its own value");
}

#[tokio::test]
async fn reads_query_parameter() {
    assert_answers(
        &from(TokenSource::query("access_token")),
        &[
            ("/?access_token={}", &[], None),
            ("/a?x=1&access_token={}&y", &[], None),
            ("/?access%5Ftoken={}", &[], None),
            ("/", &[], Some(MissingCredential)),
            ("/?", &[], Some(MissingCredential)),
            ("/?Access_token={}", &[], Some(MissingCredential)),
            ("/?x=access_token={}", &[], Some(MissingCredential)),
            ("/access_token={}", &[], Some(MissingCredential)),
            ("/", &[(AUTHORIZATION, "Bearer {}")], Some(MissingCredential)),
            ("/?access_token", &[], Some(MalformedCredential)),
            ("/?access_token=", &[], Some(MalformedCredential)),
            ("/?access_token=Bearer+{}", &[], Some(MalformedCredential)),
            ("/?access_token={}%00", &[], Some(MalformedCredential)),
            ("/?access_token={}%FF", &[], Some(MalformedCredential)),
            ("/?access_token=a.b.c", &[], Some(MalformedToken)),
            ("/?access_token={}&access_token={}", &[], Some(MultipleCredentials)),
            ("/?access_token={}&%61ccess_token=", &[], Some(MultipleCredentials)),
        ],
    )
    .await;
    // No other source reads the query.
    let ordinary = from(TokenSource::authorization());
    assert_answers(&ordinary, &[("/?access_token={}", &[], Some(MissingCredential))]).await;
}

#[tokio::test]
async fn reads_websocket_subprotocol() {
    assert_answers(
        &from(TokenSource::websocket_protocol("bearer").unwrap()),
        &[
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, {}")], None),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "chat,bearer\t,\t{} , v2")], None),
            (
                "/",
                &[
                    (SEC_WEBSOCKET_PROTOCOL, "chat"),
                    (SEC_WEBSOCKET_PROTOCOL, "bearer"),
                    (SEC_WEBSOCKET_PROTOCOL, "{}"),
                ],
                None,
            ),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "chat, bearer.{}")], None),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, ", bearer,, {},")], None),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "chat")], Some(MissingCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "{}, chat")], Some(MissingCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "Bearer, {}")], Some(MissingCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearers, {}")], Some(MissingCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "")], Some(MissingCredential)),
            ("/", &[(AUTHORIZATION, "Bearer {}")], Some(MissingCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer")], Some(MalformedCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "chat, bearer")], Some(MalformedCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer.")], Some(MalformedCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer {}")], Some(MissingCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, \"{}\"")], Some(MalformedCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, a.b.c")], Some(MalformedToken)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, bearer, {}")], None),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, bearer")], Some(MalformedCredential)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, {}, bearer, {}")], Some(MultipleCredentials)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, {}, bearer.{}")], Some(MultipleCredentials)),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer, bearer.{}")], None),
            ("/", &[(SEC_WEBSOCKET_PROTOCOL, "bearer.{}, bearer")], None),
        ],
    )
    .await;
}

#[tokio::test]
async fn reads_token_by_function() {
    let source = TokenSource::custom([], |request| {
        let path = request.uri().path().strip_prefix("/feeds/")?;
        path.strip_suffix(".ics").map(Into::into)
    });
    assert_answers(
        &from(source),
        &[
            ("/feeds/{}.ics", &[], None),
            ("/feeds/{}", &[], Some(MissingCredential)),
            ("/feeds/a.b.c.ics", &[], Some(MalformedToken)),
            ("/feeds/.ics", &[], Some(MalformedCredential)), // an empty token
            ("/feeds/a,b.ics", &[], Some(MalformedToken)),
        ],
    )
    .await;

    let decoding = TokenSource::custom([], |request| {
        let text = request.headers().get("x-token")?.to_str().ok()?;
        Some(text.chars().rev().collect::<String>().into())
    });
    let backwards: String = good_token().chars().rev().collect();
    assert_answers(&from(decoding), &[("/", &[(X_TOKEN, &backwards)], None)]).await;
}

/// Accepts the API key `id:secret`, at once or later.
#[derive(Clone)]
struct ApiKeys {
    waits: bool,
}

impl Verify for ApiKeys {
    type Claims = Value;

    fn verify(&self, key: Credential<'_>) -> Verdict<Value> {
        let judged = match key.token() {
            b"id:secret" => Ok(Claims::new(json!({"email": "eze@example.com"}))),
            _ => Err(UnknownKey.into()),
        };
        match self.waits {
            true => Verdict::Pending(Box::pin(std::future::ready(judged))),
            false => Verdict::Ready(judged),
        }
    }
}

#[tokio::test]
async fn only_bearer_sources_require_the_bearer_grammar() {
    let text = |status: u16| match status {
        200 => "Hello eze@example.com".to_owned(),
        401 => format!("{UnknownKey:?}"),
        _ => format!("{MalformedCredential:?}"),
    };
    for (name, source, path, headers) in sources() {
        let has_grammar = ["authorization", "scheme", "query", "websocket"].contains(&name);
        for (key, waits, status) in [
            ("id:secret", false, 200),
            ("id:secret", true, if has_grammar { 400 } else { 200 }),
            ("id:wrong", false, if has_grammar { 400 } else { 401 }),
            ("id:wrong", true, if has_grammar { 400 } else { 401 }),
            ("wrong", false, 401),
            ("wrong", true, 401),
        ] {
            let fill = |text: &str| text.replace("{}", key);
            let mut request = Request::get(fill(path)).body(String::new()).unwrap();
            for (name, value) in &headers {
                request.headers_mut().append(name, fill(value).parse().unwrap());
            }
            let layer = JwtAuthLayer::new(ApiKeys { waits }).token_source(source.clone());
            let response = ask(&layer, request).await;
            let error = response.extensions().get::<AuthError>().map(|error| format!("{:?}", error.kind()));
            let outcome = error.unwrap_or_else(|| response.body().clone());
            let name = format!("{name}, {key}, waits: {waits}");
            assert_eq!((response.status().as_u16(), outcome), (status, text(status)), "{name}");
        }
    }
}

/// Name, source, path, headers.
type Example = (&'static str, TokenSource, &'static str, Vec<(HeaderName, &'static str)>);

/// Returns every source, and a request with the good token in its place.
fn sources() -> Vec<Example> {
    vec![
        ("authorization", TokenSource::authorization(), "/", vec![(AUTHORIZATION, "Bearer {}")]),
        ("header", TokenSource::header(X_TOKEN), "/", vec![(X_TOKEN, "{}")]),
        (
            "scheme",
            TokenSource::header_with_scheme(X_OTHER, Scheme::from_static("JWT")),
            "/",
            vec![(X_OTHER, "JWT {}")],
        ),
        ("cookie", TokenSource::cookie("token").unwrap(), "/", vec![(COOKIE, "a=b; token={}")]),
        ("query", TokenSource::query("t"), "/?a=b&t={}", vec![]),
        (
            "websocket",
            TokenSource::websocket_protocol("bearer").unwrap(),
            "/",
            vec![(SEC_WEBSOCKET_PROTOCOL, "chat, bearer, {}")],
        ),
        (
            "custom",
            TokenSource::custom([HeaderName::from_static("x-custom")], |request| {
                Some(request.headers().get("x-custom")?.to_str().ok()?.into())
            }),
            "/",
            vec![(HeaderName::from_static("x-custom"), "{}")],
        ),
    ]
}

#[tokio::test]
async fn rejects_any_two_credentials() {
    let all = sources()
        .into_iter()
        .fold(JwtAuthLayer::new(verifier()), |layer, (_, source, ..)| layer.add_token_source(source));
    for (name, _, path, headers) in sources() {
        assert_eq!(ask(&all, with(path, &headers)).await.status(), 200, "{name} alone");
        let mut with_basic = headers.clone();
        if name != "authorization" {
            with_basic.push((AUTHORIZATION, "Basic abc"));
        }
        assert_eq!(ask(&all, with(path, &with_basic)).await.status(), 200, "{name} and another scheme");

        for (other, _, other_path, other_headers) in sources() {
            if name == other {
                continue;
            }
            let path = if other_path == "/" { path } else { other_path };
            let both = [headers.clone(), other_headers].concat();
            let response = ask(&all, with(path, &both)).await;
            let (status, challenge) = expected(Some(MultipleCredentials));
            let challenge = [("www-authenticate", challenge[0].1.as_str())];
            assert_rejected(
                &format!("{name} and {other}"),
                &response,
                status,
                MultipleCredentials,
                &challenge,
            );
        }
    }
}

/// Returns the path, query and headers that the inner service sees, and whether the headers are sensitive.
async fn seen(layer: &Auth, request: Request<String>) -> String {
    let show = |request: &Request<String>| {
        let headers = request.headers().iter().map(|(name, value)| {
            let mark = if value.is_sensitive() { "!" } else { "" };
            format!(" {name}:{mark}{}", String::from_utf8_lossy(value.as_bytes()))
        });
        format!("{}{}", request.uri(), headers.collect::<String>())
    };
    ask_service(show, layer, request).await.into_body().replace(&good_token(), "{}")
}

#[tokio::test]
async fn keeps_the_credential_but_marks_it_sensitive() {
    for (name, source, path, headers) in sources() {
        let expected = match name {
            "authorization" => "/ authorization:!Bearer {}",
            "header" => "/ x-token:!{}",
            "scheme" => "/ x-other:!JWT {}",
            "cookie" => "/ cookie:!a=b; token={}",
            "query" => "/?a=b&t={}",
            "websocket" => "/ sec-websocket-protocol:!chat, bearer",
            _ => "/ x-custom:!{}",
        };
        assert_eq!(seen(&from(source), with(path, &headers)).await, expected, "{name}");
    }
}

#[tokio::test]
async fn strip_credential_removes_the_credential() {
    for (name, source, path, headers) in sources() {
        let expected = match name {
            "cookie" => "/ cookie:!a=b",
            "query" => "/?a=b",
            "websocket" => "/ sec-websocket-protocol:!chat, bearer",
            _ => "/",
        };
        let layer = from(source).strip_credential();
        assert_eq!(seen(&layer, with(path, &headers)).await, expected, "{name}");
    }
}

#[tokio::test]
async fn strip_credential_removes_nothing_else() {
    /// Source, path, headers, and the rest of the request.
    type Left<'a> = (TokenSource, &'a str, &'a [(HeaderName, &'a str)], &'a str);
    let rows: &[Left<'_>] = &[
        (
            TokenSource::header(X_TOKEN),
            "/",
            &[(X_TOKEN, "{}"), (AUTHORIZATION, "Basic abc")],
            "/ authorization:Basic abc",
        ),
        (TokenSource::cookie("token").unwrap(), "/", &[(COOKIE, "token={}")], "/"),
        (
            TokenSource::cookie("token").unwrap(),
            "/",
            &[(COOKIE, "x=\"a b\";  y; token={};token2=1")],
            "/ cookie:!x=\"a b\"; y; token2=1",
        ),
        (
            TokenSource::cookie("token").unwrap(),
            "/",
            &[(COOKIE, "a=1"), (COOKIE, "token={}"), (COOKIE, "b=\u{e9}")],
            "/ cookie:!a=1 cookie:!b=\u{e9}",
        ),
        (TokenSource::query("t"), "/p?t={}", &[], "/p"),
        (TokenSource::query("t"), "/?t={}&a=%20+x&&tt=1", &[], "/?a=%20+x&&tt=1"),
        (TokenSource::query("t"), "/?a&%74={}", &[], "/?a"),
        (TokenSource::query("t"), "http://example.com:81?t={}", &[], "http://example.com:81/"),
        (
            TokenSource::websocket_protocol("bearer").unwrap(),
            "/",
            &[(SEC_WEBSOCKET_PROTOCOL, "bearer.{}")],
            "/",
        ),
        (
            TokenSource::websocket_protocol("bearer").unwrap(),
            "/",
            &[(SEC_WEBSOCKET_PROTOCOL, "a"), (SEC_WEBSOCKET_PROTOCOL, "bearer,{},b")],
            "/ sec-websocket-protocol:!a, bearer, b",
        ),
    ];
    for (source, path, headers, expected) in rows {
        let layer = from(source.clone()).strip_credential();
        assert_eq!(seen(&layer, with(path, headers)).await, *expected, "{source:?} {path} {headers:?}");
    }
}

#[tokio::test]
async fn strips_credentials_in_every_mode() {
    let (name, path, headers) = ("/", "/?t=a.b.c", [(AUTHORIZATION, "Bearer {}"), (X_OTHER, "stays")]);
    let all = || JwtAuthLayer::new(verifier()).add_token_source(TokenSource::query("t")).strip_credential();
    let failed = all().allow_invalid();
    assert_eq!(seen(&failed, with(path, &headers)).await, format!("{name} x-other:stays"), "two credentials");
    let unread = all().skip_when(|_| true);
    assert_eq!(seen(&unread, with(path, &headers)).await, format!("{name} x-other:stays"), "unread");
    let basic = [(AUTHORIZATION, "Basic abc")];
    let optional = all().optional();
    assert_eq!(
        seen(&optional, with("/?x=1", &basic)).await,
        "/?x=1 authorization:!Basic abc",
        "another scheme"
    );
    let websocket = from(TokenSource::websocket_protocol("bearer").unwrap()).allow_invalid();
    let several = [(SEC_WEBSOCKET_PROTOCOL, "a, bearer, x, bearer, y, bearer.{}, {}")];
    assert_eq!(seen(&websocket, with("/", &several)).await, "/", "several, one of them as a protocol, too");
}

#[tokio::test]
async fn duplicate_source_counts_once() {
    for (name, source, path, headers) in sources() {
        let layer = from(source.clone()).add_token_source(source);
        assert_eq!(ask(&layer, with(path, &headers)).await.status(), 200, "{name}");
    }
}

#[tokio::test]
async fn two_functions_are_two_sources() {
    let layer = from(TokenSource::custom([], |_| None))
        .add_token_source(TokenSource::custom([], |request| {
            Some(request.headers().get(X_TOKEN)?.to_str().ok()?.into())
        }));
    assert_answers(&layer, &[("/", &[(X_TOKEN, "{}")], None), ("/", &[], Some(MissingCredential))]).await;
}

#[test]
fn debug_of_a_source_shows_no_function() {
    let source = TokenSource::custom([X_TOKEN], |_| None);
    let shown = r#"TokenSource { place: Custom(Custom { headers: ["x-token"], .. }), conditions: [] }"#;
    assert_eq!(format!("{source:?}"), shown);
    let limited = TokenSource::authorization().only_if(|_| true);
    let shown = "TokenSource { place: Authorization, conditions: [Condition { .. }] }";
    assert_eq!(format!("{limited:?}"), shown);
}

/// Reads and removes the member `token` of a header such as `user=42; token=eyJ0`.
fn member_of_header() -> TokenSource {
    const NAME: HeaderName = HeaderName::from_static("x-custom");
    let find = |request: Head<'_>| -> Option<String> {
        let value = request.headers().get(NAME)?.to_str().ok()?;
        value.split("; ").find_map(|part| part.strip_prefix("token=")).map(str::to_owned)
    };
    let strip = |headers: &mut HeaderMap, _: &mut Uri| {
        let Some(value) = headers.remove(NAME) else {
            return;
        };
        let parts = value.to_str().unwrap().split("; ").filter(|part| !part.starts_with("token="));
        headers.insert(NAME, parts.collect::<Vec<_>>().join("; ").parse().unwrap());
    };
    TokenSource::custom_with_strip([NAME], move |request| find(request).map(Into::into), strip)
}

/// Reads and removes the last segment of `/feeds/eyJ0`.
fn segment_of_path() -> TokenSource {
    TokenSource::custom_with_strip(
        [],
        |request| request.uri().path().strip_prefix("/feeds/").map(Into::into),
        |_, uri| {
            if uri.path().starts_with("/feeds/") {
                *uri = "/feeds/".parse().unwrap();
            }
        },
    )
}

#[tokio::test]
async fn strips_what_a_custom_source_found() {
    const NAME: HeaderName = HeaderName::from_static("x-custom");
    let rows: [CustomRow<'_>; 4] = [
        ("part of a header", member_of_header(), "/", &[(NAME, "user=42; token={}")], "/ x-custom:!user=42"),
        ("part of the path", segment_of_path(), "/feeds/{}", &[], "/feeds/"),
        ("bad token", member_of_header(), "/", &[(NAME, "user=42; token=x")], "/ x-custom:!user=42"),
        ("no token", segment_of_path(), "/orders?x=1", &[(NAME, "y")], "/orders?x=1 x-custom:y"),
    ];
    for (name, source, path, headers, left) in rows {
        let layer = || from(source.clone()).strip_credential();
        for layer in [layer().allow_invalid(), layer().skip_when(|_| true)] {
            assert_eq!(seen(&layer, with(path, headers)).await, left, "{name}");
        }
    }
    let layer = from(segment_of_path());
    assert_eq!(seen(&layer, with("/feeds/{}", &[])).await, "/feeds/{}", "only where it is asked for");
}

/// Name, source, path, headers, and the request that the inner service sees.
type CustomRow<'a> = (&'a str, TokenSource, &'a str, &'a [(HeaderName, &'a str)], &'a str);

fn is_event_stream(request: Head<'_>) -> bool {
    let accept = request.headers().get(ACCEPT);
    request.method() == Method::GET && accept.is_some_and(|accept| accept == "text/event-stream")
}

#[tokio::test]
async fn reads_a_source_only_if_its_predicate_holds() {
    let layer = JwtAuthLayer::new(verifier())
        .add_token_source(TokenSource::query("t").only_if(is_event_stream))
        .strip_credential();
    const SSE: (HeaderName, &str) = (ACCEPT, "text/event-stream");
    const JSON: (HeaderName, &str) = (ACCEPT, "application/json");
    const GOOD: (HeaderName, &str) = (AUTHORIZATION, "Bearer {}");
    let rows: &[Row<'_>] = &[
        ("/?t={}", &[SSE], None),
        ("/?t={}", &[JSON], Some(MissingCredential)),
        ("/?t={}", &[], Some(MissingCredential)),
        ("/?t=a.b.c", &[SSE], Some(MalformedToken)),
        ("/?t=a.b.c&t=", &[SSE], Some(MultipleCredentials)),
        ("/?t=a.b.c&t=", &[JSON], Some(MissingCredential)),
        ("/?t={}", &[SSE, GOOD], Some(MultipleCredentials)),
        ("/?t=a.b.c", &[JSON, GOOD], None),
        ("/?t=", &[GOOD], None),
    ];
    assert_answers(&layer, rows).await;

    let mut post = with("/?t={}", &[SSE]);
    *post.method_mut() = Method::POST;
    assert_eq!(ask(&layer, post).await.status(), 401, "another method");

    // An ignored token is still a secret.
    assert_eq!(seen(&layer, with("/?t={}&x=1", &[GOOD])).await, "/?x=1");
    let optional = layer.clone().optional();
    assert_eq!(seen(&optional, with("/?t={}", &[JSON])).await, "/ accept:application/json");
}

#[tokio::test]
async fn strips_and_marks_unread_credentials() {
    for (name, source, path, headers) in sources() {
        let unread = source.only_if(|_| false);
        assert_eq!(ask(&from(unread.clone()), with(path, &headers)).await.status(), 401, "{name}");
        let kept = seen(&from(unread.clone()).optional(), with(path, &headers)).await;
        assert_eq!(kept.contains(":!"), name != "query", "{name}: {kept}");
        let left = seen(&from(unread).optional().strip_credential(), with(path, &headers)).await;
        assert!(!left.contains("{}"), "{name}: {left}");
    }
}

#[tokio::test]
async fn one_place_with_two_predicates_is_one_source() {
    let is = |method: Method| TokenSource::query("t").only_if(move |request| request.method() == method);
    let any_get = TokenSource::query("t").only_if(|request| request.method() == Method::GET);
    let layer = from(is(Method::GET)).add_token_source(is(Method::POST)).add_token_source(any_get);
    for (method, status) in [(Method::GET, 200), (Method::POST, 200), (Method::PUT, 401)] {
        let mut request = with("/?t={}", &[]);
        *request.method_mut() = method.clone();
        assert_eq!(ask(&layer, request).await.status(), status, "{method}");
    }
    let both = from(is(Method::GET).only_if(is_event_stream));
    assert_eq!(ask(&both, with("/?t={}", &[])).await.status(), 401, "all predicates must hold");
    let headers = [(ACCEPT, "text/event-stream")];
    assert_eq!(ask(&both, with("/?t={}", &headers)).await.status(), 200, "all predicates hold");
}

/// A token of another user, and an expired one.
const ANN: &str = "<ann>";
const OLD: &str = "<old>";

/// Like [`with`], with more tokens.
fn with_others(path: &str, headers: &[(HeaderName, &str)]) -> Request<String> {
    let ann = token(&claims_with("email", "ann@example.com".into()));
    let old = token(&claims_with("exp", (NOW - 3600).into()));
    let fill = |text: &str| text.replace(ANN, &ann).replace(OLD, &old);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), &**value)).collect();
    with(&fill(path), &headers)
}

/// Reads `Authorization`, a cookie, the query and a header, in this order of preference.
fn preferring() -> Auth {
    JwtAuthLayer::new(verifier())
        .add_token_source(TokenSource::cookie("token").unwrap())
        .add_token_source(TokenSource::query("t"))
        .add_token_source(TokenSource::header(X_TOKEN))
        .prefer_first_token_source()
}

#[tokio::test]
async fn first_source_with_a_credential_wins() {
    let eze = Ok("Hello eze@example.com");
    let ann = Ok("Hello ann@example.com");
    let stranger = Ok("Hello stranger");
    /// Path, headers, and the expected response.
    type Outcome<'a> = (&'a str, &'a [(HeaderName, &'a str)], Result<&'a str, AuthErrorKind>);
    let rows: &[Outcome<'_>] = &[
        ("/", &[(AUTHORIZATION, "Bearer {}"), (COOKIE, "token=<ann>")], eze),
        ("/", &[(AUTHORIZATION, "Bearer <ann>"), (COOKIE, "token={}")], ann),
        ("/?t=<ann>", &[(COOKIE, "token={}")], eze),
        ("/?t=<ann>", &[(X_TOKEN, "{}")], ann),
        ("/", &[(X_TOKEN, "{}")], eze),
        // An ignored credential may be expired, malformed or a duplicate.
        ("/", &[(AUTHORIZATION, "Bearer {}"), (COOKIE, "token=<old>")], eze),
        ("/?t=&t=", &[(AUTHORIZATION, "Bearer {}"), (COOKIE, "token=a; token=b"), (X_TOKEN, "")], eze),
        ("/", &[(COOKIE, "token={}"), (X_TOKEN, "a"), (X_TOKEN, "b")], eze),
        // A source without a credential is passed over.
        ("/", &[(AUTHORIZATION, ""), (COOKIE, "token={}")], eze),
        ("/", &[(AUTHORIZATION, "Basic abc"), (COOKIE, "token={}")], eze),
        ("/?t={}", &[(COOKIE, "token=")], eze),
        ("/", &[(AUTHORIZATION, "Basic abc"), (COOKIE, "token=")], Err(MissingCredential)),
        // A bad preferred credential is not replaced by a good one.
        ("/", &[(AUTHORIZATION, "Bearer <old>"), (COOKIE, "token={}")], Err(Expired)),
        ("/", &[(AUTHORIZATION, "Bearer"), (COOKIE, "token={}")], Err(MalformedCredential)),
        ("/", &[(AUTHORIZATION, "Bearer "), (COOKIE, "token={}")], Err(MalformedCredential)),
        ("/", &[(AUTHORIZATION, "Bearer a b"), (COOKIE, "token={}")], Err(MalformedCredential)),
        ("/?t={}", &[(COOKIE, "token=a; token=b")], Err(MultipleCredentials)),
        ("/?t=", &[(X_TOKEN, "{}")], Err(MalformedCredential)),
    ];
    for (path, headers, expected) in rows {
        let name = format!("{path} {headers:?}");
        let request = || with_others(path, headers);
        let outcome = |response: &Response<String>| match response.extensions().get::<AuthError>() {
            Some(error) => Err(error.kind()),
            None => Ok(response.body().clone()),
        };
        let owned = |expected: Result<&str, AuthErrorKind>| expected.map(str::to_owned);
        assert_eq!(outcome(&ask(&preferring(), request()).await), owned(*expected), "{name}");
        let optional = if *expected == Err(MissingCredential) { stranger } else { *expected };
        assert_eq!(
            outcome(&ask(&preferring().optional(), request()).await),
            owned(optional),
            "optional: {name}"
        );
        let failed = expected.or(stranger);
        let layer = preferring().allow_invalid();
        assert_eq!(outcome(&ask(&layer, request()).await), owned(failed), "allow_invalid: {name}");
    }
}

#[tokio::test]
async fn rejects_two_authorization_headers() {
    let token_scheme = TokenSource::header_with_scheme(AUTHORIZATION, Scheme::from_static("Token"));
    let cookie = TokenSource::cookie("token").unwrap();
    let layers = [
        preferring(),
        from(cookie.clone()).add_token_source(TokenSource::authorization()).prefer_first_token_source(),
        from(cookie.clone()).add_token_source(token_scheme).prefer_first_token_source(),
    ];
    for layer in layers {
        for second in ["Bearer {}", "Basic abc", ""] {
            let headers = [(COOKIE, "token={}"), (AUTHORIZATION, "Bearer {}"), (AUTHORIZATION, second)];
            assert_answers(&layer, &[("/", &headers, Some(MultipleCredentials))]).await;
        }
    }
    let cookie_first =
        from(cookie).add_token_source(TokenSource::authorization()).prefer_first_token_source();
    for single in ["Bearer x", "Bearer", "Basic abc"] {
        let headers = [(COOKIE, "token={}"), (AUTHORIZATION, single)];
        assert_answers(&cookie_first, &[("/", &headers, None)]).await;
    }
}

#[tokio::test]
async fn strips_ignored_credentials() {
    let headers = [
        (AUTHORIZATION, "Bearer {}"),
        (COOKIE, "a=b; token={}; token=x"),
        (X_TOKEN, "{}"),
        (X_TOKEN, "y"),
        (X_OTHER, "stays"),
    ];
    let kept = seen(&preferring(), with("/?t={}&a=1", &headers)).await;
    let marked = "cookie:!a=b; token={}; token=x x-token:!{} x-token:!y x-other:stays";
    assert_eq!(kept, format!("/?t={{}}&a=1 authorization:!Bearer {{}} {marked}"));
    let left = seen(&preferring().strip_credential(), with("/?t={}&a=1", &headers)).await;
    assert_eq!(left, "/?a=1 x-other:stays cookie:!a=b");
}

/// An unauthenticated client must not be able to keep a server busy.
#[tokio::test]
async fn long_lists_are_read_quickly() {
    let fast = async |layer: Auth, request: Request<String>| {
        let layer = layer.allow_invalid().strip_credential();
        let mut times = Vec::new();
        // A busy machine may stall, but not every time.
        for _ in 0..3 {
            let start = std::time::Instant::now();
            seen(&layer, request.clone()).await;
            let taken = start.elapsed();
            if taken < std::time::Duration::from_secs(2) {
                return;
            }
            times.push(taken);
        }
        panic!("{times:?}");
    };
    let list = "b.A,".repeat(50_000) + &"B,".repeat(100_000);
    let websocket = from(TokenSource::websocket_protocol("b").unwrap());
    fast(websocket.clone(), with("/", &[(SEC_WEBSOCKET_PROTOCOL, &list)])).await;
    fast(websocket, with("/", &[(SEC_WEBSOCKET_PROTOCOL, &("b.A,".to_owned() + &"B,".repeat(200_000)))]))
        .await;
    fast(from(TokenSource::cookie("b").unwrap()), with("/", &[(COOKIE, &"b=A;".repeat(100_000))])).await;
    fast(from(TokenSource::query("b")), with(&format!("/?{}", "b=A&".repeat(16_000)), &[])).await;
}

proptest! {
    /// The layer responds to any input, and the inner service never sees the token.
    #[test]
    fn no_request_passes_its_token_on_or_stalls(
        query in "[t=&%7476?/+a;]{0,20}",
        cookie in "[token=;, \"\\u{e9}]{0,24}",
        protocols in "[bear,. \\t]{0,24}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let layer = sources()
            .into_iter()
            .fold(JwtAuthLayer::new(verifier()), |layer, (_, source, ..)| layer.add_token_source(source))
            .strip_credential()
            .allow_invalid();
        let mut request = with(&format!("/?{}", query.replace("%?", "%25")), &[(AUTHORIZATION, "Bearer {}")]);
        request.headers_mut().insert(COOKIE, http::HeaderValue::from_bytes(cookie.as_bytes()).unwrap());
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
        let seen = runtime.block_on(seen(&layer, request));
        prop_assert!(!seen.contains("{}"), "{}", seen);
    }
}

#[tokio::test]
async fn custom_source_gets_no_claims_set_outside() {
    let layer = from(TokenSource::custom([], |_| None)).optional();
    let mut request = bearer(&good_token());
    request.extensions_mut().insert(Claims::new(json!({"email": "smuggled@example.com"})));
    assert_eq!(ask(&layer, request).await.body(), "Hello stranger");
}
