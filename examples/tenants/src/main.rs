//! An API for many tenants. Each tenant has its own issuer, whose keys are in a database.
//!
//! ```sh
//! cargo run --example tenants
//! ```
//!
//! It prints a command for each tenant. The database is SQLite in memory. A pool of another database is cloned and
//! queried in the same way.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tokio::net::TcpListener;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer, JwtVerifier, KeySet};

const AUDIENCE: &str = "https://api.example.com";

#[derive(Deserialize)]
struct User {
    sub: String,
}

fn api(pool: SqlitePool) -> Router {
    Router::new().route("/orders", get(orders)).layer(JwtAuthLayer::new(tenants(pool)))
}

async fn orders(user: Claims<User>) -> String {
    format!("the orders of {} at {}\n", user.sub, user.token().issuer().unwrap_or_default())
}

/// Accepts the tokens of all tenants in the database.
fn tenants(pool: SqlitePool) -> Issuers<User> {
    let resolver = IssuerResolver::new(move |issuer: String| {
        let pool = pool.clone(); // each lookup needs its own handle of the pool
        async move { find_tenant(&pool, issuer).await }
    })
    // Rejects invented issuers without a query.
    .filter(|issuer| issuer.starts_with("https://") && issuer.ends_with(".example.com"));
    Issuers::default().resolver(resolver)
}

/// Finds the verifier of a tenant.
///
/// `None` means that there is no such tenant: its tokens get 401. An error means that the database cannot tell: the
/// request gets 503, unless the tenant is remembered from an earlier lookup.
///
/// If a tenant has an OpenID provider, store no keys. Keep a `RemoteKeys` for each tenant in a map, and pass a clone to
/// each new verifier.
async fn find_tenant(
    pool: &SqlitePool,
    issuer: String,
) -> Result<Option<JwtVerifier<User>>, Box<dyn Error + Send + Sync>> {
    let jwks: Option<String> = sqlx::query_scalar("SELECT jwks FROM tenants WHERE issuer = $1")
        .bind(&issuer)
        .fetch_optional(pool)
        .await?;
    let Some(jwks) = jwks else {
        return Ok(None);
    };
    Ok(Some(JwtVerifier::new(KeySet::jwks(jwks)?).issuer(issuer).audience(AUDIENCE)))
}

/// Opens an empty database. A real service has migrations.
async fn open() -> Result<SqlitePool, sqlx::Error> {
    // A database in memory ends with its connection, so the only one must stay open.
    let options = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = options.connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE tenants (issuer TEXT PRIMARY KEY, jwks TEXT NOT NULL)").execute(&pool).await?;
    Ok(pool)
}

/// Adds a tenant. Its issuer is part of the example. A real tenant keeps the private key to itself.
async fn add_tenant(pool: &SqlitePool, issuer: &TokenIssuer, url: &str) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO tenants (issuer, jwks) VALUES ($1, $2)");
    insert.bind(url).bind(issuer.jwks()).execute(pool).await?;
    Ok(())
}

fn issuer(url: &str) -> Result<TokenIssuer, ConfigError> {
    Ok(TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA)?, url).audience(AUDIENCE))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints commands to try")]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = open().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    for url in ["https://shop.example.com", "https://bakery.example.com"] {
        let issuer = issuer(url)?;
        add_tenant(&pool, &issuer, url).await?;
        let token = issuer.issue(&serde_json::json!({"sub": "eze"}))?;
        println!("curl -i http://{address}/orders -H 'Authorization: Bearer {}'", token.as_str());
    }
    Ok(axum::serve(listener, api(pool)).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;

    const SHOP: &str = "https://shop.example.com";
    const BAKERY: &str = "https://bakery.example.com";

    async fn status(api: &Router, issuer: &TokenIssuer) -> u16 {
        let token = issuer.issue(&json!({"sub": "eze"})).expect("a token");
        let request = Request::get("/orders").header("authorization", format!("Bearer {}", token.as_str()));
        let response = api.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        response.expect("a response").status().as_u16()
    }

    #[tokio::test]
    async fn looks_up_tenants_in_the_database() {
        let pool = open().await.expect("a database");
        let [shop, bakery] = [SHOP, BAKERY].map(|url| issuer(url).expect("an issuer"));
        add_tenant(&pool, &shop, SHOP).await.expect("a tenant");
        let api = api(pool.clone());
        assert_eq!(status(&api, &shop).await, 200);
        assert_eq!(status(&api, &issuer(SHOP).expect("an issuer")).await, 401, "with a key of its own");
        let stranger = issuer("https://other.example.com").expect("an issuer");
        assert_eq!(status(&api, &stranger).await, 401, "no such tenant");
        let filtered = issuer("https://example.net").expect("an issuer");
        assert_eq!(status(&api, &filtered).await, 401, "filtered");

        add_tenant(&pool, &bakery, BAKERY).await.expect("a tenant");
        pool.close().await;
        assert_eq!(status(&api, &bakery).await, 503, "the database is down");
        assert_eq!(status(&api, &shop).await, 200, "remembered");
    }
}
