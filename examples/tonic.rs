//! Protects a gRPC service with tonic: `cargo run --example tonic`.
//!
//! Server and client run in one process, which prints the responses to three calls:
//!
//! - without a token
//! - with a token that does not permit the call
//! - with a token that expires during a stream
//!
//! The service is gRPC's health check, so no code has to be
//! generated. Replace it with your service and keep the rest. Over a network it needs TLS.

#![expect(clippy::print_stdout, reason = "prints the responses")]

use std::error::Error;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, interval, interval_at};
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::LayerExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_jwt_auth::policy::{Scopes, has_scope, scope, when};
use tower_jwt_auth::reject::Grpc;
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet, RequireLayer};

const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret that every reader knows";
const BEAT: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct User {
    email: String,
    #[serde(default)]
    scope: Scopes,
}

has_scope!(User.scope);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = format!("http://{}", incoming.local_addr()?);
    tokio::spawn(serve(incoming));

    let mut client = HealthClient::new(Endpoint::try_from(address)?.connect().await?);
    tell("check, no token", client.check(HealthCheckRequest::default()).await.map(Response::into_inner));
    tell("watch, no scope", client.watch(call_with("")?).await);
    tell("check", client.check(call_with("")?).await.map(Response::into_inner));
    let mut beats = client.watch(call_with("health:watch")?).await?.into_inner();
    while let Some(beat) = beats.next().await {
        tell("watch", beat);
    }
    Ok(())
}

async fn serve(incoming: TcpIncoming) -> Result<(), Box<dyn Error + Send + Sync>> {
    let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, SECRET)?).audience(AUDIENCE);
    // `Check` needs only a valid token. All other methods, also future ones, need a scope.
    let is_check = when(|_: &Claims<User>, call| call.uri().path() == "/grpc.health.v1.Health/Check");
    let policy = RequireLayer::<User>::new(is_check.or(scope("health:watch")));
    Server::builder()
        .layer(JwtAuthLayer::new(verifier).on_reject(Grpc::new()))
        // Adds the layer to one service. `named_layer` keeps the name by which tonic routes calls.
        .add_service(policy.named_layer(HealthServer::new(Beating)))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

type Answer<T> = Result<Response<T>, Status>;

struct Beating;

#[tonic::async_trait]
impl Health for Beating {
    async fn check(&self, call: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        println!("server: the caller is {}", user(&call)?.email);
        Ok(Response::new(serving()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, call: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        // The layer verifies a token once, at the start of a call. A stream must end itself when the token expires.
        let remaining = user(&call)?.token().remaining(SystemTime::now()).unwrap_or_default();
        let expiry = interval_at(Instant::now() + remaining, BEAT);
        let end = IntervalStream::new(expiry).map(|_| Err(Status::unauthenticated("the token has expired")));
        let beats = IntervalStream::new(interval(BEAT)).map(|_| Ok(serving()));
        Ok(Response::new(Box::pin(beats.merge(end))))
    }
}

fn user<T>(call: &Request<T>) -> Result<&Claims<User>, Status> {
    // The text of the kind is for clients. The text of the error is for developers.
    Claims::find(call.extensions())
        .map_err(|error| Status::new(error.grpc_status().into(), error.kind().to_string()))
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving.into() }
}

/// Creates a call with a token that expires within two seconds. Most clients use one interceptor for all calls.
fn call_with(scope: &str) -> Result<Request<HealthCheckRequest>, Box<dyn Error>> {
    let exp = get_current_timestamp() + 2;
    let claims = json!({"aud": AUDIENCE, "exp": exp, "email": "eze@example.com", "scope": scope});
    let key = EncodingKey::from_secret(SECRET)?;
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key)?;
    let mut call = Request::new(HealthCheckRequest::default());
    call.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(call)
}

fn tell<T: Debug>(call: &str, answer: Result<T, Status>) {
    match answer {
        Ok(answer) => println!("{call}: {answer:?}"),
        Err(status) => println!("{call}: {:?}, {}", status.code(), status.message()),
    }
}
