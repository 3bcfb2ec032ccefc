//! Rejects uploads so that every client sees the 401: `cargo run --example upload`.
//!
//! Some clients send the whole body before they read the response. If the server rejects the request earlier, it closes
//! the connection, and such a client sees a broken pipe instead of the 401. This service reads the rest of the body
//! first, within limits. `-- --try` runs such a client against it. `ADDR=127.0.0.1:3000` sets the address.

#![expect(clippy::print_stdout, reason = "prints commands to try")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::Version;
use http::header::EXPECT;
use http_body_util::{BodyExt, Limited};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower_jwt_auth::reject::ProblemJson;
use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};

const SECRET: &[u8] = b"a secret that every reader knows";

/// Maximum size of an upload, accepted or rejected.
const LARGEST_UPLOAD: usize = 64 << 20;
/// Maximum time for reading a rejected upload.
const LONGEST_DRAIN: Duration = Duration::from_secs(10);

/// The layer verifies the token and passes every request on. `reject_after_upload` rejects.
fn service() -> Result<Router, ConfigError> {
    let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, SECRET)?);
    Ok(Router::new()
        .route("/upload", post(async |body: Bytes| format!("{} bytes", body.len())))
        .layer(DefaultBodyLimit::max(LARGEST_UPLOAD))
        .layer(from_fn(reject_after_upload))
        .layer(JwtAuthLayer::new(verifier).allow_invalid().on_reject(ProblemJson::new())))
}

async fn reject_after_upload(request: Request, next: Next) -> Response {
    match Claims::<RegisteredClaims>::find(request.extensions()) {
        Ok(_) => next.run(request).await,
        Err(error) => {
            drain(request).await;
            error.into_response() // the layer creates the body
        }
    }
}

/// Reads the body and discards it. This costs a task and bandwidth, which any client can use up.
async fn drain(request: Request) {
    // With `Expect: 100-continue` the client waits for the status, and reading would make it send the body. HTTP/2 can
    // end an upload without closing the connection.
    let reads_status_early = request.headers().contains_key(EXPECT) || request.version() >= Version::HTTP_2;
    if reads_status_early || request.body().size_hint().lower() > LARGEST_UPLOAD as u64 {
        return;
    }
    let mut body = Limited::new(request.into_body(), LARGEST_UPLOAD);
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(LONGEST_DRAIN, rest).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    if std::env::args().any(|argument| argument == "--try") {
        println!("{}", answer_after_upload(started().await?, 60_000_000).await?);
        return Ok(());
    }
    let listener = TcpListener::bind(address).await?;
    println!("curl -i -T Cargo.lock -X POST http://{}/upload", listener.local_addr()?);
    Ok(axum::serve(listener, service()?).await?)
}

async fn started() -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, service) = (listener.local_addr()?, service()?);
    tokio::spawn(async { axum::serve(listener, service).await });
    Ok(address)
}

/// Sends this many bytes without a token, then returns the response.
async fn answer_after_upload(address: SocketAddr, bytes: usize) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![0; bytes]).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn client_that_sends_everything_first_sees_401() {
        let answer = answer_after_upload(started().await.unwrap(), 20_000_000).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert!(
            answer.ends_with("\"title\":\"the request carries no bearer token\",\"status\":401}"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn large_and_expecting_clients_get_401_at_once() {
        let address = started().await.unwrap();
        for header in [
            format!("content-length: {}", LARGEST_UPLOAD + 1),
            "content-length: 9\r\nexpect: 100-continue".to_owned(),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("POST /upload HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut start = [0; 12];
            timeout(LONGEST_DRAIN / 2, stream.read_exact(&mut start)).await.unwrap().unwrap();
            assert_eq!(start, *b"HTTP/1.1 401", "{header}");
        }
    }
}
