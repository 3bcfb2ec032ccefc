//! The layer on plain hyper, with no framework around it: `cargo run --example hyper_service`.
//!
//! It prints a line to try, with a token in it. Leave the token out, or change a letter of it, and add `-i` to see what
//! a client is told. `ADDR=127.0.0.1:3000` sets where it listens. A real service has its key from its settings, and its
//! users have their tokens from elsewhere; and it has TLS, and limits on how many connections there are and for how long.

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
#[expect(clippy::print_stdout, reason = "it says what to try")]
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
            // Too many open files, say: that passes when clients go.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // What fails here is the connection, because the client has gone, say.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let user = request.extensions().get::<Claims<User>>();
    let user = user.expect("the layer lets nobody pass without claims");
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
