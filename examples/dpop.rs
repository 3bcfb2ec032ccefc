//! Accepts only tokens that are bound to a key of the client (DPoP): a thief cannot use them without the key.
//!
//! ```sh
//! cargo run --example dpop --features dpop,issue
//! ```
//!
//! The example prints a request that works once, within a minute. `-- --try` runs a client instead. Its requests have no
//! nonce, a nonce, a proof for the second time, and a stolen token with another key.
//!
//! `ADDR=127.0.0.1:3000` sets the address. A real service needs TLS and limits on connections.

use std::error::Error;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::{Router, routing::get};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::timeout};
use tower_jwt_auth::dpop::{Dpop, DpopKey};
use tower_jwt_auth::issue::{IssueError, SigningKey, TokenIssuer};
use tower_jwt_auth::token::Binding;
use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer};

/// All processes of a service need the same secret.
const NONCE_SECRET: &[u8] = b"a secret that every reader knows";

#[derive(Deserialize, Serialize)]
struct User {
    email: String,
}

fn service(public_url: &str, issuer: &TokenIssuer) -> Result<Router, ConfigError> {
    let dpop = Dpop::new(public_url)?.required().nonces(NONCE_SECRET)?;
    let layer = JwtAuthLayer::new(issuer.verifier::<User>().dpop(dpop));
    let hello = async |user: Claims<User>| format!("Hello {}\n", user.email);
    Ok(Router::new().route("/hello", get(hello)).layer(layer))
}

/// A client that has a token, its key, and the last nonce of the service.
struct Client {
    http: reqwest::Client,
    url: String,
    key: DpopKey,
    token: String,
    nonce: Option<String>,
}

impl Client {
    /// Gets a token for a new key. A real client gets it from an authorization server, which verifies a proof first.
    fn new(public_url: &str, issuer: &TokenIssuer) -> Result<Self, Box<dyn Error>> {
        let key = DpopKey::generate(Algorithm::ES256)?;
        let issuer = issuer.clone().bound_to(Binding::to_key(key.thumbprint()));
        let token = issuer.issue(&User { email: "eze@example.com".to_owned() })?.into_string();
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, url: format!("{public_url}/hello"), key, token, nonce: None })
    }

    /// Signs a proof for one request.
    fn proof(&self) -> Result<String, IssueError> {
        self.key.proof(&Method::GET, &self.url, Some(&self.token), self.nonce.as_deref())
    }

    /// Sends a request with this proof, and keeps the nonce of the response. Returns the status, and the challenge or body.
    async fn send(&mut self, proof: &str) -> reqwest::Result<(StatusCode, String)> {
        let request = self.http.get(&self.url).header("authorization", format!("DPoP {}", self.token));
        let response = request.header("dpop", proof).send().await?;
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        self.nonce = header("dpop-nonce").or_else(|| self.nonce.take());
        match (response.status(), header("www-authenticate")) {
            (status, Some(challenge)) => Ok((status, challenge)),
            (status, None) => Ok((status, response.text().await?)),
        }
    }
}

/// Sends four requests.
async fn try_it(mut client: Client) -> Result<[(StatusCode, String); 4], Box<dyn Error>> {
    let without_nonce = client.send(&client.proof()?).await?;
    let proof = client.proof()?;
    let with_nonce = client.send(&proof).await?;
    let replay = client.send(&proof).await?;
    let mut thief = Client { key: DpopKey::generate(Algorithm::ES256)?, ..client };
    let theft = thief.send(&thief.proof()?).await?;
    Ok([without_nonce, with_nonce, replay, theft])
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints a request to try, and responses")]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    let public_url = format!("http://{}", listener.local_addr()?);
    let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA)?, "https://id.example.com");
    let server = tokio::spawn(axum::serve(listener, service(&public_url, &issuer)?).into_future());
    let mut client = Client::new(&public_url, &issuer)?;
    if std::env::args().nth(1).as_deref() == Some("--try") {
        let responses = timeout(Duration::from_secs(10), try_it(client)).await??;
        let requests = ["without a nonce", "with a nonce", "the same proof again", "with another key"];
        for (request, (status, text)) in requests.into_iter().zip(responses) {
            println!("{request}: {status}, {}", text.trim());
        }
        return Ok(());
    }
    client.send(&client.proof()?).await?;
    let Client { url, token, .. } = &client;
    println!("curl -si {url} -H 'Authorization: DPoP {token}' -H 'DPoP: {}'", client.proof()?);
    Ok(server.await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepts_only_new_proofs_of_the_key() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let public_url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = SigningKey::generate(Algorithm::EdDSA).expect("a key");
        let issuer = TokenIssuer::new(key, "https://id.example.com");
        let service = service(&public_url, &issuer).expect("a service");
        tokio::spawn(axum::serve(listener, service).into_future());

        let client = Client::new(&public_url, &issuer).expect("a client");
        let responses = try_it(client).await.expect("four responses");
        let expected = [
            (401, "use_dpop_nonce"),
            (200, "Hello eze@example.com"),
            (401, "invalid_dpop_proof"),
            (401, "invalid_token"),
        ];
        for ((status, text), (expected, part)) in responses.into_iter().zip(expected) {
            assert_eq!(status, expected, "{text}");
            assert!(text.contains(part), "{text}");
        }
    }
}
