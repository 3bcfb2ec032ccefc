//! Uses the layer with hyper, without a framework: `cargo run --example hyper_service`.
//!
//! It prints a command with a token. Remove or change the token and add `-i` to see the error response.
//! `ADDR=127.0.0.1:3000` sets the address. A real service reads its key from its settings and gets its tokens from an
//! issuer. It also needs TLS and limits on connections.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet};

const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret that every reader knows";

#[derive(Deserialize, Serialize)]
struct User {
    aud: String,
    exp: u64,
    email: String,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints commands to try")]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = KeySet::hmac(Algorithm::HS256, SECRET)?;
    let verifier = JwtVerifier::<User>::new(keys).audience(AUDIENCE);
    let service = ServiceBuilder::new().layer(JwtAuthLayer::new(verifier)).service_fn(hello);

    let addr = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    let (token, addr) = (demo_token()?, listener.local_addr()?);
    println!("curl -H 'Authorization: Bearer {token}' http://{addr}/");

    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, for example. This passes when clients disconnect.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // An error concerns only this connection: the client disconnected, for example.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let user = request.extensions().get::<Claims<User>>();
    let user = user.expect("the layer rejects requests without claims");
    Ok(Response::new(format!("Hello {}\n", user.email).into()))
}

fn demo_token() -> jsonwebtoken::errors::Result<String> {
    let claims = User {
        aud: AUDIENCE.to_owned(),
        exp: get_current_timestamp() + 3600,
        email: "eze@example.com".to_owned(),
    };
    let key = EncodingKey::from_secret(SECRET)?;
    jsonwebtoken::encode(&Header::default(), &claims, &key)
}
