//! Verifiers of several kinds behind one layer, over real sockets with axum, hyper and tonic.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::reject::{Grpc, ProblemJson};
use tower_jwt_auth::verifiers::{AnyOf, Challenges, Issuers, Scheme};
use tower_jwt_auth::{Claims, Credential, JwtAuthLayer, TokenSource, Verdict, Verify};

use crate::grpc::{Watched, soon};
use crate::support::*;

/// A peer certificate. A TLS server inserts it into the extensions of each request on a connection.
#[derive(Clone)]
struct PeerCertificate(&'static str);

/// Accepts the token that belongs to the peer's certificate.
struct Certificates;

impl Verify for Certificates {
    type Claims = Value;

    fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
        let certificate =
            credential.request().and_then(|request| request.extensions().get::<PeerCertificate>());
        Verdict::Ready(match certificate {
            Some(PeerCertificate(name)) if credential.token() == format!("cert_{name}").as_bytes() => {
                Ok(Claims::new(json!({"email": name})))
            }
            _ => Err(SenderConstrained.into()),
        })
    }
}

/// Accepts every token, at once or later, and sends the client a nonce.
#[derive(Clone)]
struct Nonces {
    waits: bool,
}

impl Verify for Nonces {
    type Claims = Value;

    fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
        let nonce = (HeaderName::from_static("dpop-nonce"), HeaderValue::from_static("n-42"));
        let claims = Claims::new(json!({"email": "nonce"}));
        let claims = Claims::with_response_header(claims, nonce.0, nonce.1);
        match self.waits {
            true => Verdict::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                Ok(claims)
            })),
            false => Verdict::Ready(Ok(claims)),
        }
    }
}

/// Accepts one API key.
struct Keys(&'static str);

impl Verify for Keys {
    type Claims = Value;

    fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
        Verdict::Ready(match credential.token() == self.0.as_bytes() {
            true => Ok(Claims::new(json!({"email": self.0}))),
            false => Err(InvalidToken.into()),
        })
    }
}

fn any_of() -> AnyOf<Value> {
    AnyOf::new()
        .scheme(Scheme::from_static("ApiKey"), Keys("secret"))
        .unwrap()
        .prefix("cert_", Certificates)
        .unwrap()
        .prefix("nonce_", Nonces { waits: false })
        .unwrap()
        .prefix("nonce_later_", Nonces { waits: true })
        .unwrap()
        .jwt(verifier())
        .opaque(Keys("opaque"))
}

/// `Authorization`, then status, user and nonce of the response, or the rest of the `Bearer` and `ApiKey`
/// challenges.
type Row =
    (&'static str, String, Result<(&'static str, Option<&'static str>), (u16, &'static str, &'static str)>);

const INVALID: &str = r#", error="invalid_token", error_description="#;

fn rows() -> Vec<Row> {
    const UNKNOWN: &str = r#""the token is not valid""#;
    vec![
        ("JWT", format!("Bearer {}", good_token()), Ok(("eze@example.com", None))),
        ("opaque", "Bearer opaque".to_owned(), Ok(("opaque", None))),
        ("a key with its scheme", "apikey secret".to_owned(), Ok(("secret", None))),
        ("the certificate of the peer", "Bearer cert_eze".to_owned(), Ok(("eze", None))),
        ("a nonce", "Bearer nonce_1".to_owned(), Ok(("nonce", Some("n-42")))),
        ("a nonce, later", "Bearer nonce_later_1".to_owned(), Ok(("nonce", Some("n-42")))),
        ("nothing", String::new(), Err((401, "", ""))),
        ("another scheme", "Basic ZXpl".to_owned(), Err((401, "", ""))),
        ("unknown opaque", "Bearer other".to_owned(), Err((401, UNKNOWN, ""))),
        ("key of the scheme as bearer", "Bearer secret".to_owned(), Err((401, UNKNOWN, ""))),
        ("opaque token as key", "ApiKey opaque".to_owned(), Err((401, "", UNKNOWN))),
        (
            "JWT with a broken signature",
            format!("Bearer {}A", good_token()),
            Err((401, r#""the signature of the token is not valid""#, "")),
        ),
        (
            "the certificate of another client",
            "Bearer cert_other".to_owned(),
            Err((401, r#""the token is bound to a key and cannot be used as a bearer token""#, "")),
        ),
    ]
}

fn challenge(scheme: &str, description: &str) -> String {
    let error = if description.is_empty() { String::new() } else { format!("{INVALID}{description}") };
    format!(r#"{scheme} realm="api"{error}"#)
}

/// Sends each row over a socket and checks the response.
async fn assert_rows(name: &str, address: SocketAddr) {
    for (row, authorization, expected) in rows() {
        let header = match authorization.as_str() {
            "" => String::new(),
            value => format!("authorization: {value}\r\n"),
        };
        let text =
            send(address, &format!("GET / HTTP/1.1\r\nhost: x\r\n{header}connection: close\r\n\r\n")).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let values = |name: &str| -> Vec<&str> {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(header, _)| *header == name).map(|(_, value)| value).collect()
        };
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        match expected {
            Ok((user, nonce)) => {
                assert_eq!((status, body), (200, user), "{name}, {row}");
                assert_eq!(values("dpop-nonce"), Vec::from_iter(nonce), "{name}, {row}");
            }
            Err((expected, bearer, api_key)) => {
                assert_eq!(status, expected, "{name}, {row}");
                let challenges = [challenge("Bearer", bearer), challenge("ApiKey", api_key)];
                assert_eq!(values("www-authenticate"), challenges, "{name}, {row}");
            }
        }
    }
}

async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    text
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn axum_serves_every_kind_of_credential() {
    let (listener, address) = listen().await;
    let hello = async |user: Claims<Value>| user["email"].as_str().unwrap().to_owned();
    let app = Router::new()
        .route("/", get(hello))
        .layer(JwtAuthLayer::new(any_of()))
        .layer(Extension(PeerCertificate("eze")));
    tokio::spawn(axum::serve(listener, app).into_future());
    assert_rows("axum", address).await;
}

#[tokio::test]
async fn hyper_serves_every_kind_of_credential() {
    let (listener, address) = listen().await;
    let service = ServiceBuilder::new()
        .map_request(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerCertificate("eze"));
            request
        })
        .layer(JwtAuthLayer::new(any_of()))
        .service_fn(async |request: Request<Incoming>| {
            let user = Claims::<Value>::find(request.extensions()).unwrap();
            Ok::<_, Infallible>(Response::new(user["email"].as_str().unwrap().to_owned()))
        });
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    assert_rows("hyper", address).await;
}

#[tokio::test]
async fn tonic_serves_every_kind_of_credential() {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    let mut client = HealthClient::new(Endpoint::try_from(address).unwrap().connect_lazy());
    let layers = ServiceBuilder::new()
        .map_request(|mut request: Request<tonic::body::Body>| {
            request.extensions_mut().insert(PeerCertificate("eze"));
            request
        })
        .layer(JwtAuthLayer::new(any_of()).on_reject(Grpc::new()))
        .into_inner();
    let server = Server::builder().layer(layers).add_service(HealthServer::new(Watched::default()));
    tokio::spawn(server.serve_with_incoming(incoming));

    for (row, authorization, expected) in rows() {
        let mut call = tonic::Request::new(HealthCheckRequest::default());
        if !authorization.is_empty() {
            call.metadata_mut().insert("authorization", authorization.parse().unwrap());
        }
        let answer = soon(client.check(call)).await;
        match expected {
            Ok((user, nonce)) => {
                let answer = answer.unwrap_or_else(|status| panic!("{row}: {status}"));
                assert_eq!(answer.metadata().get("x-user").unwrap(), user, "{row}");
                let given = answer.metadata().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap());
                assert_eq!(given, nonce, "{row}");
            }
            Err((_, bearer, api_key)) => {
                let status = answer.map(drop).unwrap_err();
                assert_eq!(status.code(), tonic::Code::Unauthenticated, "{row}");
                let seen = status.metadata().get_all("www-authenticate");
                let seen: Vec<_> = seen.iter().map(|value| value.to_str().unwrap()).collect();
                let challenges = [challenge("Bearer", bearer), challenge("ApiKey", api_key)];
                assert_eq!(seen, challenges, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn inner_rejections_keep_every_scheme() {
    let rejects = async |user: Claims<Value>| Err::<(), _>(Claims::reject(&user, InsufficientScope));
    let layer = JwtAuthLayer::new(any_of()).realm("shop").unwrap().on_reject(ProblemJson::new());
    let app = Router::<()>::new().route("/", get(rejects)).layer(layer);
    let request = Request::get("/").header("authorization", "ApiKey secret");
    let response = app.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 403);
    let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
    let forbidden = r#"ApiKey realm="shop", error="insufficient_scope", error_description="the token does not permit this request""#;
    assert_eq!(challenges, [r#"Bearer realm="shop""#, forbidden]);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn verifier_headers_replace_service_headers() {
    let layer = JwtAuthLayer::new(Nonces { waits: false });
    let mut service = ServiceBuilder::new().layer(layer).service_fn(async |_: Request<String>| {
        let response = Response::builder().header("dpop-nonce", "other").header("vary", "accept");
        Ok::<_, Infallible>(response.body(String::new()).unwrap())
    });
    let response = service.ready().await.unwrap();
    let response = tower::Service::call(response, bearer("x")).await.unwrap();
    assert_eq!(response.headers().get_all("dpop-nonce").iter().collect::<Vec<_>>(), ["n-42"]);
    assert_eq!(response.headers()["vary"], "accept");
}

#[tokio::test]
async fn credential_goes_to_exactly_one_verifier() {
    let jwt = good_token();
    let kind = async |verifier: &AnyOf<Value>, token: &str| {
        verifier.verify(token).await.err().map(|error| error.kind())
    };
    // No verifier matches these.
    for token in [&*jwt, "opaque", "key_1", "..", "a.b", "a.b.c.d.e", "a.b.c+"] {
        assert_eq!(kind(&AnyOf::new(), token).await, Some(InvalidToken), "{token}");
    }
    let jwt_alone = AnyOf::new().jwt(verifier());
    assert_eq!(kind(&jwt_alone, &jwt).await, None);
    assert_eq!(kind(&jwt_alone, "opaque").await, Some(InvalidToken));
    assert_eq!(kind(&jwt_alone, "..").await, Some(MalformedToken), "it has the form of a JWT");
    // The longest prefix wins in any order, and a prefix wins over the form of the token.
    let nested = AnyOf::new().prefix("a_b_", Keys("a_b_1")).unwrap().prefix("a_", Keys("a_1")).unwrap();
    assert_eq!((kind(&nested, "a_1").await, kind(&nested, "a_b_1").await), (None, None));
    let before = jwt_alone.prefix("eyJ", Keys("eyJ")).unwrap();
    assert_eq!(kind(&before, &jwt).await, Some(InvalidToken));
    // The scheme is matched first.
    let schemes = AnyOf::new().scheme(Scheme::BEARER, Keys("x")).unwrap().jwt(verifier());
    assert_eq!(kind(&schemes, &jwt).await, Some(InvalidToken));
}

#[test]
fn rejects_two_verifiers_for_one_route() {
    let error = AnyOf::new().prefix("a_", Keys("")).unwrap().prefix("a_", Keys("")).unwrap_err();
    assert_eq!(error.to_string(), "duplicate verifier for the scheme or prefix `a_`; remove one");
    let api_key = |name| Scheme::from_static(name);
    let error = AnyOf::new()
        .scheme(api_key("ApiKey"), Keys(""))
        .unwrap()
        .scheme(api_key("APIKEY"), Keys(""))
        .unwrap_err();
    assert_eq!(error.to_string(), "duplicate verifier for the scheme or prefix `APIKEY`; remove one");
    AnyOf::new().prefix("", Keys("")).unwrap_err();
}

#[tokio::test]
async fn verifiers_offer_schemes_with_parameters() {
    struct Dpop;
    impl Verify for Dpop {
        type Claims = Value;

        fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
            let scheme = credential.scheme().to_string();
            Verdict::Ready(Ok(Claims::new(json!({"email": scheme}))))
        }

        fn challenges(&self) -> Challenges {
            {
                let challenges = Challenges::bearer().add_scheme(Scheme::DPOP);
                challenges.add_param(Scheme::DPOP, "algs", "ES256 EdDSA").unwrap()
            }
        }
    }

    let layer = JwtAuthLayer::new(std::sync::Arc::new(Dpop)).token_source(TokenSource::authorization());
    let response = ask(&layer, with_authorization("dpop x")).await;
    assert_eq!(response.body(), "Hello DPoP");
    let layer = layer.challenge_scope("read").unwrap();
    let error = r#"error="invalid_request", error_description="the credential is not a single well-formed bearer token""#;
    let dpop = format!(r#"DPoP realm="api", {error}, algs="ES256 EdDSA""#);
    let bearer = format!(r#"Bearer realm="api", {error}"#);
    let bare = [r#"Bearer realm="api""#, r#"DPoP realm="api", algs="ES256 EdDSA""#];
    for (value, expected) in [
        ("dpop ", [bare[0], &dpop]),
        ("DPoP", [bare[0], &dpop]),
        ("dPoP;x", [bare[0], &dpop]),
        ("Bearer", [&bearer, bare[1]]),
        (",", [&bearer, bare[1]]),
    ] {
        let response = ask(&layer, with_authorization(value)).await;
        assert_eq!(response.status(), 400, "{value}");
        let challenges = response.headers().get_all("www-authenticate").iter();
        let challenges: Vec<_> = challenges.map(|value| value.to_str().unwrap()).collect();
        assert_eq!(challenges, expected, "{value}");
    }

    for (name, value) in [("realm", "x"), ("Error", "x"), ("a b", "x"), ("algs", "\u{7f}"), ("algs", "ä")] {
        Challenges::bearer().add_param(Scheme::BEARER, name, value).unwrap_err();
    }
    let with = |scheme, name| {
        Challenges::bearer().add_param(Scheme::BEARER, "a", "1").unwrap().add_param(scheme, name, "2")
    };
    drop(with(Scheme::BEARER, "b").unwrap());
    with(Scheme::BEARER, "A").unwrap_err();
    with(Scheme::DPOP, "b").unwrap_err();
}

fn with_authorization(value: &str) -> Request<String> {
    Request::get("/").header("authorization", value).body(String::new()).unwrap()
}

/// Accepts every token, and offers schemes other than `Bearer`.
#[derive(Clone)]
struct Offers(&'static str, Challenges);

impl Verify for Offers {
    type Claims = Value;

    fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
        let scheme = credential.scheme().to_string();
        Verdict::Ready(Ok(Claims::new(json!({"email": scheme}))))
    }

    fn challenges(&self) -> Challenges {
        self.1.clone()
    }

    fn issuers(&self) -> Vec<String> {
        vec![self.0.to_owned()]
    }
}

fn dpop_alone(issuer: &'static str) -> Offers {
    Offers(issuer, Challenges::new(Scheme::DPOP))
}

#[tokio::test]
async fn routers_match_verifiers_by_scheme() {
    let unsigned = |issuer: &str| {
        let payload = json!({"iss": issuer}).to_string();
        format!("e30.{}.AAAA", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(payload))
    };
    let any_of = AnyOf::new().jwt(verifier()).opaque(dpop_alone(""));
    let issuers = Issuers::default();
    issuers.add(verifier()).unwrap();
    issuers.add(dpop_alone("https://dpop.test")).unwrap();
    let bearer_jwt = good_token();
    for (name, layer, dpop, stranger) in [
        ("AnyOf", &ask_layer(any_of), "opaque".to_owned(), bearer_jwt.clone()),
        ("Issuers", &ask_layer(issuers), unsigned("https://dpop.test"), bearer_jwt.clone()),
    ] {
        let status = async |value: String| ask(layer, with_authorization(&value)).await.status().as_u16();
        assert_eq!(status(format!("Bearer {bearer_jwt}")).await, 200, "{name}");
        assert_eq!(status(format!("DPoP {dpop}")).await, 200, "{name}");
        assert_eq!(status(format!("DPoP {stranger}")).await, 401, "{name}: a bearer token without a proof");
        assert_eq!(status(format!("Bearer {dpop}")).await, 401, "{name}: a bound token as a bearer token");
    }
    // A scheme that no verifier offers may go to any of them.
    let source = TokenSource::header_with_scheme(http::header::AUTHORIZATION, Scheme::from_static("Token"));
    let layer = JwtAuthLayer::new(AnyOf::new().jwt(verifier())).token_source(source);
    assert_eq!(ask(&layer, with_authorization(&format!("Token {bearer_jwt}"))).await.status(), 200);
}

fn ask_layer(
    verifier: impl Verify<Claims = Value> + 'static,
) -> JwtAuthLayer<std::sync::Arc<dyn Verify<Claims = Value>>> {
    JwtAuthLayer::new(std::sync::Arc::new(verifier))
}

#[tokio::test]
async fn opaque_verifier_never_gets_a_jwt() {
    let verifier = AnyOf::new().jwt(verifier()).opaque(dpop_alone(""));
    for token in [format!("{}=", good_token()), format!("\"{}\"", good_token())] {
        let error = verifier.verify(&token).await.unwrap_err();
        assert_ne!(error.kind(), InvalidToken, "{token}");
        assert_eq!(error.status(), 401, "{token}");
    }
}

#[tokio::test]
async fn challenges_are_read_once_in_fixed_order() {
    struct Changing(std::sync::atomic::AtomicUsize);
    impl Verify for Changing {
        type Claims = Value;

        fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
            Verdict::Ready(Ok(Claims::new(json!({"email": credential.scheme().as_str()}))))
        }

        fn challenges(&self) -> Challenges {
            match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Challenges::bearer(),
                _ => Challenges::bearer().add_scheme(Scheme::DPOP),
            }
        }
    }
    let layer = ask_layer(Changing(0.into()));
    assert_eq!(ask(&layer, with_authorization("DPoP x")).await.status(), 401);

    let offers = |issuer, algs| {
        let challenges = Challenges::new(Scheme::DPOP).add_param(Scheme::DPOP, "algs", algs).unwrap();
        Offers(issuer, challenges)
    };
    for _ in 0..8 {
        let issuers =
            Issuers::new([offers("b", "RS256"), offers("a", "ES256"), offers("c", "PS256")]).unwrap();
        assert_eq!(issuers.challenges(), offers("a", "ES256").1);
    }
}

#[tokio::test]
async fn credential_found_by_two_sources_counts_once() {
    let source = TokenSource::header_with_scheme(http::header::AUTHORIZATION, Scheme::DPOP);
    let layer = ask_layer(dpop_alone("")).add_token_source(source);
    assert_eq!(ask(&layer, with_authorization("DPoP x")).await.body(), "Hello DPoP");
}
