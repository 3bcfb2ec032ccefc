//! gRPC: how a real client (tonic's) reads the responses, and their form on the wire.

use std::sync::Mutex;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::LayerExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::{Anyone, claim, scope};
use tower_jwt_auth::reject::Grpc;
use tower_jwt_auth::{Claims, Credential, JwtAuthLayer, RequireLayer, Verdict, Verify};

use crate::support::*;

const NO_TOKEN: &str = "the request carries no bearer token";
const BARE: &str = r#"Bearer realm="api""#;
const BROKEN: &str = r#"Bearer realm="api", error="invalid_request", error_description="the credential is not a single well-formed bearer token""#;
const EXPIRED: &str =
    r#"Bearer realm="api", error="invalid_token", error_description="the token has expired""#;
const FORBIDDEN: &str = r#"Bearer realm="api", error="insufficient_scope", error_description="the token does not permit this request", scope="watch""#;

#[tokio::test]
async fn client_gets_status_and_reason_of_rejection() {
    let (incoming, client) = socket();
    let layer = JwtAuthLayer::new(verifier()).on_reject(Grpc::new());
    let eze_only = RequireLayer::<Value>::new(claim("email", "eze@example.com").or(scope("watch")));
    let service = eze_only.named_layer(HealthServer::new(Watched::default()));
    tokio::spawn(Server::builder().layer(layer).add_service(service).serve_with_incoming(incoming));

    let bearer = |claims: Value| format!("Bearer {}", token(&claims));
    let expired = bearer(claims_with("exp", json!(NOW - 60)));
    let other = bearer(claims_with("email", json!("other@example.com")));
    let broken = "the credential is not a single well-formed bearer token";
    let rows = [
        ("no token", None, Code::Unauthenticated, NO_TOKEN, BARE),
        ("another scheme", Some("Basic ZXpl"), Code::Unauthenticated, NO_TOKEN, BARE),
        ("no token behind the scheme", Some("Bearer"), Code::InvalidArgument, broken, BROKEN),
        ("expired", Some(&*expired), Code::Unauthenticated, "the token has expired", EXPIRED),
        (
            "not permitted",
            Some(&*other),
            Code::PermissionDenied,
            "the token does not permit this request",
            FORBIDDEN,
        ),
    ];
    for (name, authorization, code, message, challenge) in rows {
        assert_status(name, &client, authorization, code, message, &[("www-authenticate", challenge)]).await;
    }
    soon(client.clone().check(call(Some(&bearer(good_claims()))))).await.expect("the token is good");
}

#[tokio::test]
async fn server_faults_have_their_own_grpc_status() {
    /// Waits, then reports that no keys are available.
    #[derive(Clone)]
    struct NoKeys;

    impl Verify for NoKeys {
        type Claims = Value;

        fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
            Verdict::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                Err(KeysUnavailable.into())
            }))
        }
    }

    let (incoming, client) = socket();
    let layer = JwtAuthLayer::new(NoKeys).on_reject(Grpc::new());
    let service = HealthServer::new(Watched::default());
    tokio::spawn(Server::builder().layer(layer).add_service(service).serve_with_incoming(incoming));
    let message = "the signing keys are temporarily unavailable";
    let retry = [("retry-after", "5")];
    assert_status("no keys", &client, Some("Bearer x"), Code::Unavailable, message, &retry).await;

    let (incoming, client) = socket();
    let layer = RequireLayer::<Value>::new(Anyone).on_reject(Grpc::new());
    let service = HealthServer::new(Watched::default());
    tokio::spawn(Server::builder().layer(layer).add_service(service).serve_with_incoming(incoming));
    let good = format!("Bearer {}", good_token());
    let message = "the server is not set up to authenticate this request";
    assert_status("no outer layer", &client, Some(&good), Code::Internal, message, &[]).await;
}

#[tokio::test]
async fn streams_messages_with_claims_one_by_one() {
    let (changes, watched) = mpsc::channel(1);
    let (incoming, mut client) = socket();
    let layer = JwtAuthLayer::new(verifier()).on_reject(Grpc::new());
    let service = HealthServer::new(Watched(Mutex::new(Some(watched))));
    tokio::spawn(Server::builder().layer(layer).add_service(service).serve_with_incoming(incoming));
    let good = format!("Bearer {}", good_token());

    let answer = soon(client.check(call(Some(&good)))).await.unwrap();
    assert_eq!(answer.metadata().get("x-user").unwrap(), "eze@example.com");
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);

    let answer = soon(client.watch(call(Some(&good)))).await.unwrap();
    assert_eq!(answer.metadata().get("x-user").unwrap(), "eze@example.com");
    let mut messages = answer.into_inner();
    for status in [ServingStatus::Serving, ServingStatus::NotServing, ServingStatus::Serving] {
        // The next message is sent only after this one has arrived.
        changes.send(Ok(HealthCheckResponse { status: status.into() })).await.unwrap();
        let message = soon(messages.message()).await.unwrap();
        assert_eq!(message.map(|message| message.status()), Some(status));
    }
    changes.send(Err(Status::unauthenticated("over"))).await.unwrap();
    let end = soon(messages.message()).await.unwrap_err();
    assert_eq!((end.code(), end.message()), (Code::Unauthenticated, "over"), "the stream's own end");
}

#[tokio::test]
async fn every_grpc_form_gets_a_trailers_only_response() {
    let layer = JwtAuthLayer::new(verifier()).on_reject(Grpc::new());
    for (asked, answered) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc+json", "application/grpc"),
        ("application/grpc;charset=utf-8", "application/grpc"),
        ("application/grpc+proto;charset=utf-8", "application/grpc"),
        ("application/grpc-web;charset=utf-8", "application/grpc-web"),
        ("application/grpc-web-text;charset=utf-8", "application/grpc-web-text"),
        ("Application/GRPC", "application/grpc"),
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("APPLICATION/GRPC-WEB+PROTO", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc-web-text+proto", "application/grpc-web-text"),
    ] {
        let request = Request::post("/orders.Orders/List").header("content-type", asked);
        let response = ask(&layer, request.body(String::new()).unwrap()).await;
        let headers = [
            ("www-authenticate", BARE),
            ("content-type", answered),
            ("grpc-status", "16"),
            ("grpc-message", NO_TOKEN),
        ];
        assert_rejected(asked, &response, 200, MissingCredential, &headers);
        assert_eq!(response.body(), "", "{asked}");
    }
}

#[tokio::test]
async fn non_grpc_requests_get_the_default_response() {
    let layer = JwtAuthLayer::new(verifier()).on_reject(Grpc::new());
    for (method, content_type) in [
        ("POST", None),
        ("POST", Some("application/json")),
        ("POST", Some("application/graphql")),
        ("POST", Some("application/grp")),
        ("POST", Some("application/grpcevil")),
        ("POST", Some("application/grpc-")),
        ("POST", Some("application/grpc-evil")),
        ("POST", Some("application/grpc-web-evil")),
        ("POST", Some("application/grpc-web-textual")),
        ("POST", Some("application/grpc/x")),
        ("POST", Some("application/grpc,application/json")),
        ("POST", Some("application/grpc ")),
        ("POST", Some("text/application/grpc")),
        ("GET", None),
        ("GET", Some("application/grpc")),
        ("OPTIONS", Some("application/grpc")),
    ] {
        let mut request = Request::builder().method(method).body(String::new()).unwrap();
        if let Some(content_type) = content_type {
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        let name = format!("{method}, {content_type:?}");
        let response = ask(&layer, request).await;
        assert_rejected(&name, &response, 401, MissingCredential, &[("www-authenticate", BARE)]);
        assert_eq!(response.body(), "", "{name}");
    }
}

/// Asserts the code, message and metadata of a rejection, for a unary call and a streaming call.
async fn assert_status(
    name: &str,
    client: &HealthClient<Channel>,
    authorization: Option<&str>,
    code: Code,
    message: &str,
    metadata: &[(&str, &str)],
) {
    let mut expected = vec![("cache-control", "no-store"), ("content-type", "application/grpc")];
    expected.extend(metadata);
    let mut client = client.clone();
    let one = soon(client.check(call(authorization))).await.map(drop).unwrap_err();
    let stream = soon(client.watch(call(authorization))).await.map(drop).unwrap_err();
    for status in [one, stream] {
        assert_eq!((status.code(), status.message()), (code, message), "{name}");
        let headers = status.metadata().clone().into_headers();
        let mut received: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        received.retain(|(name, _)| *name != "date");
        received.sort_unstable();
        assert_eq!(received, expected, "{name}");
    }
}

/// Returns a socket and a client for its server.
fn socket() -> (TcpIncoming, HealthClient<Channel>) {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    (incoming, HealthClient::new(Endpoint::try_from(address).unwrap().connect_lazy()))
}

fn call(authorization: Option<&str>) -> tonic::Request<HealthCheckRequest> {
    let mut call = tonic::Request::new(HealthCheckRequest::default());
    if let Some(authorization) = authorization {
        call.metadata_mut().insert("authorization", authorization.parse().unwrap());
    }
    call
}

/// Waits for a future, and fails the test if it takes too long.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap()
}

/// A service that returns the user, and has one stream.
#[derive(Default)]
pub(crate) struct Watched(Mutex<Option<mpsc::Receiver<Result<HealthCheckResponse, Status>>>>);

#[tonic::async_trait]
impl Health for Watched {
    async fn check(
        &self,
        call: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        answer(&call, HealthCheckResponse { status: ServingStatus::Serving.into() })
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        call: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stream = self.0.lock().unwrap().take().unwrap();
        answer(&call, ReceiverStream::new(stream))
    }
}

/// Returns a response with the user in its metadata.
fn answer<T>(call: &tonic::Request<HealthCheckRequest>, message: T) -> Result<Response<T>, Status> {
    let user = Claims::<Value>::find(call.extensions())
        .map_err(|error| Status::internal(error.kind().to_string()))?;
    let mut answer = Response::new(message);
    answer.metadata_mut().insert("x-user", user["email"].as_str().unwrap().parse().unwrap());
    Ok(answer)
}
