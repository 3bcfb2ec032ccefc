//! A token in the subprotocols of a WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::{Claims, JwtAuthLayer, JwtVerifier, TokenSource};

use crate::support::*;

const NAME: &str = "sec-websocket-protocol";

fn layer() -> JwtAuthLayer<JwtVerifier<Value>> {
    JwtAuthLayer::new(verifier()).add_token_source(TokenSource::websocket_protocol("bearer").unwrap())
}

/// Starts the layer in front of two routes: one selects a known subprotocol, the other selects none.
async fn start() -> SocketAddr {
    let picks = async |seen: HeaderMap, user: Claims<Value>, upgrade: WebSocketUpgrade| {
        upgrade.protocols(["orders.v1", "bearer"]).on_upgrade(move |socket| talk(socket, user, seen))
    };
    let picks_none = async |seen: HeaderMap, user: Claims<Value>, upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| talk(socket, user, seen))
    };
    let app = Router::new().route("/picks", any(picks)).route("/picks-none", any(picks_none)).layer(layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// Sends the user and the remaining subprotocols, then echoes every message.
async fn talk(mut socket: WebSocket, user: Claims<Value>, seen: HeaderMap) {
    let hello = format!("{}, {:?}", user["email"], lines(&seen));
    socket.send(hello.into()).await.unwrap();
    while let Some(Ok(Message::Text(text))) = socket.recv().await {
        socket.send(format!("you said {text}").into()).await.unwrap();
    }
}

/// Returns the lines of the list.
fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(NAME).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

type Opened = (WebSocketStream<TcpStream>, tungstenite::handshake::client::Response);

async fn open(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Opened, Error> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    within(client_async(request, stream)).await
}

/// Returns the next message, which must be text.
async fn receive(socket: &mut WebSocketStream<TcpStream>) -> String {
    within(socket.next()).await.unwrap().unwrap().into_text().unwrap().to_string()
}

/// Fails the test if the server does not respond.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("the server answers in time")
}

/// Returns the headers of a server's response, sorted and without the date.
fn sent<B>(response: &Response<B>) -> Vec<(&str, &str)> {
    let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let mut headers: Vec<_> = headers.filter(|(name, _)| *name != "date").collect();
    headers.sort_unstable();
    headers
}

#[tokio::test]
async fn accepts_client_and_hides_its_token() {
    let address = start().await;
    for (name, list, picked, left) in [
        ("a pair", "bearer, <T>", "bearer", r#"["bearer"]"#),
        ("joined", "orders.v1, bearer.<T>", "orders.v1", r#"["orders.v1"]"#),
        ("both offered", "a, bearer, <T>, orders.v1", "orders.v1", r#"["a, bearer, orders.v1"]"#),
    ] {
        let (mut socket, response) = open(address, "/picks", &[(NAME, &filled(list))]).await.unwrap();
        assert_eq!(response.status(), 101, "{name}");
        let accept = response.headers()["sec-websocket-accept"].to_str().unwrap();
        let expected = [
            ("connection", "upgrade"),
            ("sec-websocket-accept", accept),
            (NAME, picked),
            ("upgrade", "websocket"),
        ];
        assert_eq!(sent(&response), expected, "{name}");

        assert_eq!(receive(&mut socket).await, format!("\"eze@example.com\", {left}"), "{name}");
        socket.send("one".into()).await.unwrap();
        socket.send("two".into()).await.unwrap();
        assert_eq!(receive(&mut socket).await, "you said one", "{name}");
        assert_eq!(receive(&mut socket).await, "you said two", "{name}");
    }
}

#[tokio::test]
async fn reads_the_header_beside_the_list() {
    let address = start().await;
    let headers = [("authorization", &*filled("Bearer <T>")), (NAME, "orders.v1")];
    let (mut socket, response) = open(address, "/picks", &headers).await.unwrap();
    assert_eq!(response.headers()[NAME], "orders.v1");
    assert_eq!(receive(&mut socket).await, "\"eze@example.com\", [\"orders.v1\"]");
}

#[tokio::test]
async fn layer_selects_no_protocol() {
    let error = open(start().await, "/picks-none", &[(NAME, &filled("bearer, <T>"))]).await.unwrap_err();
    // The response was 101. A client that follows RFC 6455 rejects it because no protocol is named.
    let expected = ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol);
    assert!(matches!(&error, Error::Protocol(wrong) if *wrong == expected), "{error:?}");
}

#[tokio::test]
async fn rejects_handshake_without_one_good_token() {
    let address = start().await;
    let missing = (401, MissingCredential, r#"Bearer realm="api""#.to_owned());
    let invalid = |status, kind, code, why| {
        (status, kind, format!("Bearer realm=\"api\", error=\"{code}\", error_description=\"{why}\""))
    };
    let no_jwt = invalid(401, MalformedToken, "invalid_token", "the token is not a well-formed JWT");
    let expired = invalid(401, Expired, "invalid_token", "the token has expired");
    let several =
        invalid(400, MultipleCredentials, "invalid_request", "the request carries more than one credential");
    let malformed = invalid(
        400,
        MalformedCredential,
        "invalid_request",
        "the credential is not a single well-formed bearer token",
    );
    for (name, list, authorization, (status, kind, challenge)) in [
        ("no list", None, None, &missing),
        ("no token", Some("orders.v1"), None, &missing),
        ("another case", Some("Bearer, <T>"), None, &missing),
        ("a token alone", Some("<T>"), None, &missing),
        ("not a JWT", Some("bearer, a.b.c"), None, &no_jwt),
        ("not a JWT, joined", Some("orders.v1, bearer.a.b.c"), None, &no_jwt),
        ("expired", Some("bearer, <old>"), None, &expired),
        ("two pairs", Some("bearer, <T>, bearer, <T>"), None, &several),
        ("a pair and joined", Some("bearer, <T>, bearer.<T>"), None, &several),
        ("a bad one, too", Some("bearer, <T>, bearer.x"), None, &several),
        ("in the header, too", Some("bearer, <T>"), Some("Bearer <T>"), &several),
        ("marker alone", Some("bearer"), None, &malformed),
        ("marker at the end", Some("orders.v1, bearer"), None, &malformed),
        ("marker, token in the header", Some("bearer"), Some("Bearer <T>"), &malformed),
        ("nothing joined", Some("orders.v1, bearer."), None, &malformed),
        ("not of that form", Some("bearer, a b"), None, &malformed),
    ] {
        let (list, authorization) = (list.map(filled), authorization.map(filled));
        let headers = [(NAME, list.as_deref()), ("authorization", authorization.as_deref())];
        let headers: Vec<_> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let Error::Http(response) = open(address, "/picks", &headers).await.expect_err(name) else {
            panic!("{name}: not rejected by a response");
        };
        assert_eq!(response.status(), *status, "{name}");
        let expected =
            [("cache-control", "no-store"), ("content-length", "0"), ("www-authenticate", challenge)];
        assert_eq!(sent(&response), expected, "{name}");

        // The kind is not sent over the wire.
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = ask(&layer(), request.body(String::new()).unwrap()).await;
        assert_rejected(name, &response, *status, *kind, &[("www-authenticate", challenge)]);
    }
}

/// Replaces `<T>` by a good token and `<old>` by an expired one.
fn filled(text: &str) -> String {
    let old = token(&claims_with("exp", (NOW - 3600).into()));
    text.replace("<T>", &good_token()).replace("<old>", &old)
}

#[tokio::test]
async fn removes_only_the_token_from_the_list() {
    let answer = async |request: Request<String>| {
        request.extensions().get::<Claims<Value>>().expect("the request was accepted");
        Ok::<_, Infallible>(Response::new(lines(request.headers())))
    };
    let service = ServiceBuilder::new().layer(layer()).service_fn(answer);
    for (list, left) in [
        (&["bearer, <T>"][..], Some("bearer")),
        (&["bearer,<T>"], Some("bearer")),
        (&["orders.v1, bearer.<T>"], Some("orders.v1")),
        (&["bearer.<T>, orders.v1"], Some("orders.v1")),
        (&["bearer.<T>"], None),
        (&["a, bearer, <T>, b, c"], Some("a, bearer, b, c")),
        // Several lines are equivalent to one (RFC 6455, section 11.3.4).
        (&["a", "bearer, <T>"], Some("a, bearer")),
        (&["bearer, <T>", "a", "b"], Some("bearer, a, b")),
        (&["a, bearer", "<T>, b"], Some("a, bearer, b")),
        (&["bearer", "<T>"], Some("bearer")),
        (&["bearer", "", "<T>"], Some("bearer")),
        (&["bearer.<T>", "a"], Some("a")),
        (&["", "bearer.<T>", ""], None),
        // Spaces, tabs and empty entries (RFC 9110, section 5.6.1).
        (&["  bearer  ,  <T>  "], Some("bearer")),
        (&["\tbearer\t,\t<T>\t"], Some("bearer")),
        (&["a\t ,\t bearer.<T> \t,b"], Some("a, b")),
        (&["bearer,, <T>"], Some("bearer")),
        (&["bearer, \t , <T>"], Some("bearer")),
        (&[",, ,bearer.<T>,, ,"], None),
        (&[", a,, b,bearer.<T>,"], Some("a, b")),
        // The token is also offered as a protocol.
        (&["bearer, <T>, <T>"], Some("bearer")),
        (&["<T>, bearer, <T>"], Some("bearer")),
        (&["bearer.<T>, <T>"], None),
        (&["bearer, bearer.<T>"], Some("bearer")),
        (&["bearer.<T>, bearer"], Some("bearer")),
        // Entries similar to the marker stay, and so do duplicates.
        (&["Bearer, bearerx, x.bearer, bearer-1, bearer.<T>"], Some("Bearer, bearerx, x.bearer, bearer-1")),
        (&["Bearer.x, bearer.<T>"], Some("Bearer.x")),
        (&["a, a, bearer, <T>, a"], Some("a, a, bearer, a")),
    ] {
        let mut request = Request::builder();
        for line in list {
            request = request.header(NAME, filled(line));
        }
        let Ok(response) = service.clone().oneshot(request.body(String::new()).unwrap()).await;
        assert_eq!(response.into_body(), Vec::from_iter(left), "{list:?}");
    }
}

#[tokio::test]
async fn preference_decides_between_header_and_list() {
    let source = || TokenSource::websocket_protocol("bearer").unwrap();
    let header_first = layer().prefer_first_token_source();
    let list_first = JwtAuthLayer::new(verifier())
        .token_source(source())
        .add_token_source(TokenSource::authorization())
        .prefer_first_token_source();
    let answer = async |request: Request<String>| {
        request.extensions().get::<Claims<Value>>().expect("the request was accepted");
        Ok::<_, Infallible>(Response::new(lines(request.headers()).concat()))
    };
    let outcome = async |layer: &JwtAuthLayer<JwtVerifier<Value>>, list: &str, authorization: &str| {
        let request =
            Request::builder().header(NAME, filled(list)).header("authorization", filled(authorization));
        let service = ServiceBuilder::new().layer(layer.clone()).service_fn(answer);
        let Ok(response) = service.oneshot(request.body(String::new()).unwrap()).await;
        match response.extensions().get::<tower_jwt_auth::AuthError>() {
            Some(error) => Err(error.kind()),
            None => Ok(response.into_body()),
        }
    };
    // An ignored token is removed like any other.
    for (list, left) in [
        ("orders.v1, bearer, <old>", "orders.v1, bearer"),
        ("orders.v1, bearer.<T>", "orders.v1"),
        ("bearer.x, orders.v1, x", "orders.v1"),
        ("orders.v1, bearer", "orders.v1, bearer"),
        ("orders.v1, bearer.<T>, bearer.<old>", ""),
    ] {
        assert_eq!(outcome(&header_first, list, "Bearer <T>").await, Ok(left.to_owned()), "{list}");
    }
    for (list, authorization, expected) in [
        ("orders.v1, bearer.<T>", "Bearer <old>", Ok("orders.v1")),
        ("orders.v1", "Bearer <T>", Ok("orders.v1")),
        ("bearer.<old>", "Bearer <T>", Err(Expired)),
        ("bearer", "Bearer <T>", Err(MalformedCredential)),
        ("bearer, \"<T>\"", "Bearer <T>", Err(MalformedCredential)),
        ("bearer.<T>, bearer.<T>", "Bearer <T>", Err(MultipleCredentials)),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(outcome(&list_first, list, authorization).await, expected, "{list}, {authorization}");
    }
}
