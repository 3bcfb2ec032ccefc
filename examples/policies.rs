//! Authorization in a small API for orders: scopes, a role, an owner and optional authentication.
//! `cargo run --example policies`.
//!
//! It prints the tokens of two users and commands to try. Paste all lines into a shell, then try each command with the
//! token of the other user. `ADDR=127.0.0.1:3000` sets the address. A real service reads its key from its settings and
//! gets its tokens from an issuer. It also needs TLS.

use std::error::Error;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::routing::{delete, get, post};
use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_jwt_auth::RequireLayer;
use tower_jwt_auth::extract::Permitted;
use tower_jwt_auth::policy::{AllScopes, Policy, Roles, Rule, Scopes};
use tower_jwt_auth::policy::{has_role, has_scope, role, scope, when};
use tower_jwt_auth::{Algorithm, AuthError, Claims, ConfigError, Head, JwtAuthLayer, JwtVerifier, KeySet};

const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret that every reader knows";

#[derive(Deserialize, Serialize)]
struct User {
    aud: String,
    exp: u64,
    sub: String,
    #[serde(default)] // without the claim, a token has no scopes
    scope: Scopes,
    #[serde(default)]
    roles: Roles,
}

has_scope!(User.scope);
has_role!(User.roles);

fn api() -> Result<Router, ConfigError> {
    let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, SECRET)?).audience(AUDIENCE);
    let layer = JwtAuthLayer::new(verifier).realm("orders")?;

    let may_read = scope("orders:read");
    let may_read_of = scope("orders:read").and(when(is_owner).or(role("admin")));
    let may_purge = role("admin");
    let members = Router::new()
        .route("/orders", get(list).layer(RequireLayer::<User>::new(may_read)))
        .route("/orders", delete(purge).layer(RequireLayer::<User>::new(may_purge)))
        .route("/orders", post(create)) // the handler takes `Permitted`, which contains the rule
        .route("/users/{sub}/orders", get(list_of).layer(RequireLayer::<User>::new(may_read_of)))
        .layer(layer.clone());
    let everyone = Router::new().route("/", get(welcome)).layer(layer.optional());
    // The last route is outside both layers, so probes need no token.
    Ok(members.merge(everyone).route("/health", get(async || "well\n")))
}

/// Checks that `{sub}` in `/users/{sub}/...` is the caller.
fn is_owner(user: &Claims<User>, request: Head<'_>) -> bool {
    request.path_segment(1).is_some_and(|owner| owner == user.sub)
}

async fn list() -> &'static str {
    "all orders\n"
}

async fn purge() -> &'static str {
    "no orders any more\n"
}

async fn list_of(Path(sub): Path<String>) -> String {
    format!("the orders of {sub}\n")
}

async fn create(user: Permitted<User, WriteOrders>) -> String {
    format!("an order of {}\n", user.sub)
}

async fn welcome(user: Option<Claims<User>>) -> String {
    user.map_or("Welcome\n".to_owned(), |user| format!("Welcome back {}\n", user.sub))
}

#[derive(Default)]
struct WriteOrders;

impl Policy<User> for WriteOrders {
    fn check(&self, user: &Claims<User>, request: Head<'_>) -> Result<(), AuthError> {
        static RULE: LazyLock<Rule<AllScopes>> = LazyLock::new(|| scope("orders:write"));
        RULE.check(user, request)
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints commands to try")]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("EZE={}", demo_token("eze", "orders:read orders:write", &[])?);
    println!("ADA={}", demo_token("ada", "orders:read", &["admin"])?);
    for (request, who) in [
        ("/orders", "both users"),
        ("/orders -X POST", "only Eze, by scope"),
        ("/orders -X DELETE", "only Ada, by role"),
        ("/users/eze/orders", "both users: the owner and an admin"),
        ("/users/ada/orders", "only Ada"),
        ("/", "anyone, also without a token"),
        ("/health", "anyone, with any token or none"),
    ] {
        let user = if who.starts_with("only Ada") { "ADA" } else { "EZE" };
        println!("curl -i -H \"Authorization: Bearer ${user}\" {url}{request:<18} # {who}");
    }
    Ok(axum::serve(listener, api()?).await?)
}

fn demo_token(sub: &str, scope: &str, roles: &[&str]) -> jsonwebtoken::errors::Result<String> {
    let (exp, roles) = (get_current_timestamp() + 3600, roles.iter().copied().collect());
    let claims = User { aud: AUDIENCE.to_owned(), exp, sub: sub.to_owned(), scope: scope.into(), roles };
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn tokens_permit_their_requests_only() {
        let told = |rest: &str| Some(format!("Bearer realm=\"orders\"{rest}"));
        let no_token = told("");
        let bad_token =
            told(r#", error="invalid_token", error_description="the token is not a well-formed JWT""#);
        let forbidden = |scope: &str| {
            let why = "the token does not permit this request";
            told(&format!(", error=\"insufficient_scope\", error_description=\"{why}\"{scope}"))
        };
        let needs_read = forbidden(r#", scope="orders:read""#);
        let needs_write = forbidden(r#", scope="orders:write""#);
        let forbidden = forbidden("");
        let token = |sub, scope, roles| demo_token(sub, scope, roles).unwrap();
        let eze = token("eze", "orders:read orders:write", &[]);
        let ada = token("ada", "orders:read", &["admin"]);
        let new = token("new", "", &[]);
        let odd = token("%65ze", "orders:read", &[]);
        let (eze, ada, new, odd) = (Some(&*eze), Some(&*ada), Some(&*new), Some(&*odd));
        let api = api().unwrap();
        for (token, method, path, status, challenge) in [
            (None, "GET", "/orders", 401, &no_token),
            (None, "DELETE", "/orders", 401, &no_token),
            (None, "POST", "/orders", 401, &no_token),
            (None, "GET", "/users/eze/orders", 401, &no_token),
            (None, "HEAD", "/orders", 401, &no_token),
            (None, "PUT", "/orders", 401, &no_token),
            (None, "GET", "/nowhere", 404, &None),
            (None, "GET", "/", 200, &None),
            (None, "GET", "/health", 200, &None),
            (Some("a.b.c"), "GET", "/orders", 401, &bad_token),
            (Some("a.b.c"), "GET", "/", 401, &bad_token),
            (Some("a.b.c"), "GET", "/health", 200, &None),
            (eze, "GET", "/orders", 200, &None),
            (eze, "POST", "/orders", 200, &None),
            (eze, "DELETE", "/orders", 403, &forbidden),
            (eze, "GET", "/users/eze/orders", 200, &None),
            (eze, "GET", "/users/ada/orders", 403, &forbidden),
            (eze, "GET", "/users/ezekiel/orders", 403, &forbidden),
            (eze, "GET", "/", 200, &None),
            (eze, "GET", "/nowhere", 404, &None),
            (eze, "PUT", "/orders", 405, &None),
            (ada, "GET", "/orders", 200, &None),
            (ada, "POST", "/orders", 403, &needs_write),
            (ada, "DELETE", "/orders", 200, &None),
            (ada, "GET", "/users/ada/orders", 200, &None),
            (ada, "GET", "/users/eze/orders", 200, &None),
            (new, "GET", "/orders", 403, &needs_read),
            (new, "POST", "/orders", 403, &needs_write),
            (new, "GET", "/users/new/orders", 403, &needs_read),
            (new, "GET", "/", 200, &None),
            (eze, "GET", "/users/%65ze/orders", 200, &None),
            (odd, "GET", "/users/%65ze/orders", 403, &forbidden),
            (odd, "GET", "/users/%2565ze/orders", 200, &None),
        ] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let response = api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let told = response.headers().get("www-authenticate");
            let told = told.map(|value| value.to_str().unwrap().to_owned());
            assert_eq!((response.status().as_u16(), &told), (status, challenge), "{method} {path} {token:?}");
        }
    }
}
