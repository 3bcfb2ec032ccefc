//! A service that trusts the tokens of an OpenID provider: `cargo run --example jwks --features remote-keys`.
//!
//! `ISSUER=https://id.example.com AUDIENCE=https://api.example.com` selects a real provider and the audience of its
//! tokens. Without `ISSUER`, the example starts a small provider and prints commands to try: get a token, use it,
//! rotate the key. Old and new tokens work after the rotation, without a restart.
//!
//! `-- provider` starts only the provider, for a service in another process. `ADDR=127.0.0.1:3000` sets the address of
//! the service, or of the provider if it runs alone.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::{Claims, JwtAuthLayer, JwtVerifier, RegisteredClaims};

const AUDIENCE: &str = "https://api.example.com";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints commands to try")]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    let addr = variable("ADDR").unwrap_or_else(|| "127.0.0.1:0".to_owned());
    if std::env::args().nth(1).as_deref() == Some("provider") {
        let listener = TcpListener::bind(addr).await?;
        println!("the issuer is {}", address(&listener)?);
        return Ok(provider(listener).await?);
    }

    let issuer = match variable("ISSUER") {
        Some(issuer) => issuer,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let issuer = address(&listener)?;
            println!("a token:    curl -s -X POST {issuer}/token");
            println!("a new key:  curl -s -X POST {issuer}/rotate");
            tokio::spawn(provider(listener));
            issuer
        }
    };
    let listener = TcpListener::bind(addr).await?;
    println!("use it:     curl -s -H 'Authorization: Bearer ...' {}/", address(&listener)?);
    let audience = variable("AUDIENCE").unwrap_or_else(|| AUDIENCE.to_owned());
    let (service, keys) = service(&issuer, &audience)?;
    // Fetches the keys before the first request. While the provider is down, requests get 503.
    if let Err(error) = keys.ready().await {
        println!("no keys yet: {error}");
    }
    Ok(axum::serve(listener, service).await?)
}

/// The service. A real one needs no more than this.
fn service(issuer: &str, audience: &str) -> Result<(Router, RemoteKeys), Box<dyn Error>> {
    // Nothing is fetched yet.
    let keys = RemoteKeys::discover(issuer)?.ready_timeout(Duration::from_secs(5));
    let verifier = JwtVerifier::<RegisteredClaims>::new(keys.clone()).audience(audience);
    let asked = keys.clone();
    let router = Router::new()
        .route("/", get(hello))
        .layer(JwtAuthLayer::new(verifier))
        // Routes added after the layer need no token, so probes can call this one.
        .route(
            "/ready",
            get(async move || {
                if asked.is_ready() {
                    return (StatusCode::OK, "ready\n");
                }
                if let Some(error) = asked.last_error() {
                    eprintln!("no keys: {error}");
                }
                (StatusCode::SERVICE_UNAVAILABLE, "no keys yet\n")
            }),
        );
    Ok((router, keys))
}

async fn hello(claims: Claims<RegisteredClaims>) -> String {
    let (subject, key) = (claims.sub.as_deref(), claims.token().kid());
    format!("Hello {}, signed with key {}\n", subject.unwrap_or("nobody"), key.unwrap_or("without a name"))
}

/// The keys of the provider. The last one signs. All of them are published.
#[derive(Clone)]
struct Keys {
    issuer: Arc<str>,
    pairs: Arc<Mutex<Vec<Ed25519KeyPair>>>,
}

async fn provider(listener: TcpListener) -> std::io::Result<()> {
    let issuer = address(&listener)?.into();
    let keys = Keys { issuer, pairs: Arc::new(Mutex::new(vec![new_pair()])) };
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks.json", get(jwks))
        .route("/token", post(token))
        .route("/rotate", post(rotate));
    axum::serve(listener, routes.with_state(keys)).await
}

async fn metadata(State(keys): State<Keys>) -> Json<Value> {
    Json(json!({"issuer": &*keys.issuer, "jwks_uri": format!("{}/jwks.json", keys.issuer)}))
}

async fn jwks(State(keys): State<Keys>) -> Json<Value> {
    let pairs = keys.pairs.lock().expect("nothing panics while it holds the lock");
    let jwk = |(number, pair): (usize, &Ed25519KeyPair)| {
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": (number + 1).to_string(), "x": x})
    };
    Json(json!({"keys": pairs.iter().enumerate().map(jwk).collect::<Vec<_>>()}))
}

async fn token(State(keys): State<Keys>) -> String {
    let pairs = keys.pairs.lock().expect("nothing panics while it holds the lock");
    let pair = pairs.last().expect("the provider starts with one key");
    let der = pair.to_pkcs8v1().expect("the key was generated here");
    let header = Header { kid: Some(pairs.len().to_string()), ..Header::new(Algorithm::EdDSA) };
    let exp = get_current_timestamp() + 300;
    let claims = json!({"iss": &*keys.issuer, "aud": AUDIENCE, "sub": "eze", "exp": exp});
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(der.as_ref())).expect("the key can sign")
}

async fn rotate(State(keys): State<Keys>) {
    keys.pairs.lock().expect("nothing panics while it holds the lock").push(new_pair());
}

fn new_pair() -> Ed25519KeyPair {
    Ed25519KeyPair::generate().expect("the system has random numbers")
}

fn address(listener: &TcpListener) -> std::io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// Returns the status and the body of a response.
    async fn ask(address: &str, request: &str) -> (u16, String) {
        let host = address.strip_prefix("http://").expect("the address starts with http://");
        let mut stream = TcpStream::connect(host).await.expect("the server is running");
        let request = format!("{request}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the server is running");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the response is text");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("the response has a status"), body.to_owned())
    }

    #[tokio::test]
    async fn tokens_stay_valid_after_key_rotation() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let issuer = address(&listener).expect("the listener is bound");
        tokio::spawn(provider(listener));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let server = address(&listener).expect("the listener is bound");
        let (service, _) = service(&issuer, AUDIENCE).expect("the issuer is a local address");
        tokio::spawn(async { axum::serve(listener, service).await });

        let use_it = async |token: &str| {
            ask(&server, &format!("GET / HTTP/1.1\r\nAuthorization: Bearer {token}")).await
        };
        let get_one = async || ask(&issuer, "POST /token HTTP/1.1").await.1;
        assert_eq!(ask(&server, "GET / HTTP/1.1").await.0, 401);
        assert_eq!(ask(&server, "GET /ready HTTP/1.1").await, (503, "no keys yet\n".to_owned()));
        let old = get_one().await;
        assert_eq!(use_it(&old).await, (200, "Hello eze, signed with key 1\n".to_owned()));
        assert_eq!(ask(&server, "GET /ready HTTP/1.1").await, (200, "ready\n".to_owned()));

        assert_eq!(ask(&issuer, "POST /rotate HTTP/1.1").await.0, 200);
        let new = get_one().await;
        // The new key works at once, although the last fetch was moments ago.
        assert_eq!(use_it(&new).await.1, "Hello eze, signed with key 2\n");
        assert_eq!(use_it(&old).await.0, 200);
    }
}
