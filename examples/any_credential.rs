//! JWTs of two issuers, opaque tokens and API keys for one API, with one handler and one rule.
//!
//! ```sh
//! cargo run --example any_credential --features api-keys,introspection,issue
//! ```
//!
//! It prints a command for each kind of credential. The issuers are part of the example. A real service has
//! `jwks::RemoteKeys::discover` for each of them, and `Introspection::discover` for opaque tokens.

use std::error::Error;

use axum::http::{Request, Response};
use axum::routing::get;
use axum::{Router, serve};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
use tower_jwt_auth::introspection::{ClientAuth, Introspection};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::jwks::{ClientFuture, HttpClient};
use tower_jwt_auth::policy::{Scopes, has_scope, scope};
use tower_jwt_auth::verifiers::{AnyOf, Issuers};
use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer, TokenSource};

const AUDIENCE: &str = "https://api.example.com";
const OPAQUE_TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

/// The caller, for any kind of credential.
#[derive(Deserialize, Serialize)]
struct Caller {
    sub: String,
    #[serde(default)]
    scope: Scopes,
}

impl Caller {
    fn new(sub: &str, scope: &str) -> Self {
        Self { sub: sub.to_owned(), scope: Scopes::from(scope) }
    }
}

has_scope!(Caller.scope);

async fn orders(caller: Claims<Caller>) -> String {
    format!("the orders of {}\n", caller.sub)
}

fn api(
    staff: &TokenIssuer,
    partners: &TokenIssuer,
    record: ApiKeyRecord<Caller>,
) -> Result<Router, ConfigError> {
    let jwts = Issuers::new([staff.verifier::<Caller>(), partners.verifier()])?;
    let opaque = Introspection::endpoint_with(
        "https://id.example.com/introspect",
        ClientAuth::basic("orders-api", "the secret of this client"),
        Provider,
    )?;
    let keys = ApiKeys::new("acme", [record])?;

    // Exactly one verifier sees each credential.
    let verifier = AnyOf::new().prefix("acme_", keys)?.jwt(jwts).opaque(opaque.audience(AUDIENCE));
    let layer = JwtAuthLayer::new(verifier)
        .add_token_source(TokenSource::header("x-api-key".parse().expect("it is a header name")))
        .require(scope("orders:read"));
    Ok(Router::new().route("/orders", get(orders)).layer(layer))
}

/// Replaces a provider with opaque tokens.
struct Provider;

impl HttpClient for Provider {
    fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
        let is_known = request.body().starts_with(format!("token={OPAQUE_TOKEN}&").as_bytes());
        let response = match is_known {
            true => serde_json::json!({
                "active": true, "sub": "ada", "aud": AUDIENCE, "scope": "orders:read", "token_type": "Bearer",
            }),
            false => serde_json::json!({"active": false}),
        };
        Box::pin(async move { Ok(Response::new(response.to_string().into())) })
    }
}

fn issuer(name: &str) -> Result<TokenIssuer, ConfigError> {
    Ok(TokenIssuer::new(SigningKey::generate(Algorithm::ES256)?, name).audience(AUDIENCE))
}

/// A kind of credential, and its header.
type Example = (&'static str, String);

/// An API, and a credential of each kind for it.
fn example() -> Result<(Router, Vec<Example>), Box<dyn Error>> {
    let (staff, partners) = (issuer("https://staff.example.com")?, issuer("https://partners.example.com")?);
    let key = ApiKey::generate("acme")?;
    let record = ApiKeyRecord::new(&key, Caller::new("nightly-report", "orders:read")).name("nightly report");
    let jwt = |issuer: &TokenIssuer, sub| issuer.issue(&Caller::new(sub, "orders:read"));
    let credentials = vec![
        ("a JWT of the staff", format!("Authorization: Bearer {}", jwt(&staff, "eze")?.as_str())),
        ("a JWT of a partner", format!("Authorization: Bearer {}", jwt(&partners, "bob")?.as_str())),
        ("an opaque token", format!("Authorization: Bearer {OPAQUE_TOKEN}")),
        ("an API key", format!("X-Api-Key: {}", key.expose())),
    ];
    Ok((api(&staff, &partners, record)?, credentials))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the commands belong on standard output")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (api, credentials) = example()?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    for (name, header) in credentials {
        println!("# {name}\ncurl http://127.0.0.1:3000/orders -H '{header}'\n");
    }
    Ok(serve(listener, api).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    use super::*;

    async fn ask(api: &Router, header: &str) -> (u16, String) {
        let (name, value) = header.split_once(": ").unwrap_or(("x-none", "none"));
        let request = Request::get("/orders").header(name, value).body(Body::empty());
        let Ok(response) = api.clone().oneshot(request.expect("it is a request")).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1000).await.expect("the body is short");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn one_handler_serves_all_credentials() {
        let (api, credentials) = example().expect("the settings are right");
        let callers = ["eze", "bob", "ada", "nightly-report"];
        for ((name, header), caller) in credentials.iter().zip(callers) {
            assert_eq!(ask(&api, header).await, (200, format!("the orders of {caller}\n")), "{name}");
            let (last, rest) = (header.chars().last(), &header[..header.len() - 1]);
            let changed = format!("{rest}{}", if last == Some('A') { 'B' } else { 'A' });
            assert_eq!(ask(&api, &changed).await.0, 401, "{name}");
        }
        assert_eq!(ask(&api, "").await.0, 401);
    }
}
