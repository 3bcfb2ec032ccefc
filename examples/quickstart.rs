//! Sign in with an email and a password, then call a protected route with the token: `cargo run --example quickstart`.
//!
//! Set `JWT_SECRET` to a secret of at least 32 random bytes. Without it each start generates a new one.
//! A real service also needs TLS, and limits on failed sign-ins and on connections.

use std::{collections::HashMap, convert::Infallible, env, error::Error, sync::Arc, time::Duration};

use axum::extract::{DefaultBodyLimit, State, rejection::JsonRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router, routing::get, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore, task, time};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::reject::ProblemJson;
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, PrincipalLayer};

const ADDRESS: &str = "127.0.0.1:3000";
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60); // a token cannot be revoked here
const EZE: &str = r#"{"email":"eze@example.com","password":"okon"}"#;
const EZE_HASH: &str = "$2b$12$Gwf0uvxH3L7JLfo0CC/NCOoijK2vQ/wbgP.LeNup8vj6gg31IiFkm";
/// Checked for unknown emails. It costs as much as real hashes, so response times do not reveal who has an account.
const NO_HASH: &str = "$2b$12$/jvxcSZTEh1ivKzK2k7UwOsCopLzqIrl1rrneDICdw5clWyd4NYom";

/// The claims. The issuer adds `iss`, `aud`, `iat`, `exp` and `jti`.
#[derive(Deserialize, Serialize)]
struct AccessToken {
    email: String,
}

#[derive(Clone, Serialize)]
struct Profile {
    email: String,
    first_name: String,
    last_name: String,
}

/// Stands for a database. Password hashes are apart from profiles, so no handler can send one.
struct App {
    profiles: HashMap<String, Profile>,
    password_hashes: HashMap<String, String>,
    issuer: TokenIssuer,
}

fn app(key: SigningKey) -> Router {
    let [email, first_name, last_name] = ["eze@example.com", "Eze", "Sunday"].map(str::to_owned);
    let password_hashes = HashMap::from([(email.clone(), EZE_HASH.to_owned())]);
    let profiles = HashMap::from([(email.clone(), Profile { email, first_name, last_name })]);
    let issuer = TokenIssuer::new(key, "https://id.example.com").audience("quickstart").lifetime(LIFETIME);
    let app = Arc::new(App { profiles, password_hashes, issuer });

    let shared = Arc::clone(&app);
    let find_profile = move |token: Claims<AccessToken>| {
        let profile = shared.profiles.get(&token.email).cloned();
        async { Ok::<_, Infallible>(profile) }
    };
    Router::new()
        .route("/protected/", get(async |Extension(profile): Extension<Profile>| Json(profile)))
        .layer(PrincipalLayer::new(find_profile))
        .layer(JwtAuthLayer::new(app.issuer.verifier::<AccessToken>()).on_reject(ProblemJson::new()))
        // Routes added after the layers need no token.
        .route("/signin", post(sign_in).layer(DefaultBodyLimit::max(4096)))
        .with_state(app)
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

async fn sign_in(
    State(app): State<Arc<App>>,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<impl IntoResponse, Response> {
    let Json(Credentials { email, password }) =
        body.map_err(|error| problem(error.status(), "the body must be JSON with `email` and `password`"))?;
    let hash = app.password_hashes.get(&email).map_or(NO_HASH, String::as_str).to_owned();
    let matches = check_password(password, hash).await?;
    if !(matches && app.profiles.contains_key(&email)) {
        return Err(problem(StatusCode::UNAUTHORIZED, "the email or the password is wrong"));
    }
    let token = app.issuer.issue(&AccessToken { email }).map_err(internal)?.into_string();
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME.as_secs()});
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)))
}

/// Runs bcrypt outside the async runtime, two checks at most at once. Each takes a core for a quarter of a second.
async fn check_password(password: String, hash: String) -> Result<bool, Response> {
    static CHECKS: Semaphore = Semaphore::const_new(2);
    let busy = |_| problem(StatusCode::SERVICE_UNAVAILABLE, "too many sign-ins at the same time");
    let permit = time::timeout(Duration::from_secs(2), CHECKS.acquire()).await.map_err(busy)?;
    let check = move || (permit, bcrypt::verify(password, &hash));
    task::spawn_blocking(check).await.map_err(internal)?.1.map_err(internal)
}

fn problem(status: StatusCode, title: &str) -> Response {
    let body = Json(json!({"title": title, "status": status.as_u16()}));
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Response {
    eprintln!("cannot sign in: {}", error.into());
    problem(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on our side")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = match env::var_os("JWT_SECRET") {
        Some(secret) => SigningKey::hmac(Algorithm::HS256, secret.into_encoded_bytes())?,
        None => SigningKey::generate(Algorithm::HS256)?,
    };
    let listener = TcpListener::bind(ADDRESS).await?;
    eprintln!("curl http://{ADDRESS}/signin -H 'Content-Type: application/json' -d '{EZE}'");
    eprintln!("curl http://{ADDRESS}/protected/ -H 'Authorization: Bearer <access_token>'");
    Ok(axum::serve(listener, app(key)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{Request, request::Builder};
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    async fn send(app: &Router, request: Builder, body: &str) -> (u16, Value) {
        let request = request.header("content-type", "application/json").body(body.to_owned()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }

    #[tokio::test]
    async fn token_opens_the_protected_route() {
        let app = app(SigningKey::generate(Algorithm::HS256).unwrap());
        let sign_in = async |body: &str| send(&app, Request::post("/signin"), body).await;
        let wrong = (401, json!({"title": "the email or the password is wrong", "status": 401}));
        assert_eq!(sign_in(&EZE.replace("okon", "oko")).await, wrong);
        assert_eq!(sign_in(&EZE.replace("eze@", "ada@")).await, wrong);
        assert_eq!(sign_in("{").await.0, 400);
        let (status, problem) = send(&app, Request::get("/protected/"), "").await;
        assert_eq!((status, &problem["title"]), (401, &json!("the request carries no bearer token")));
        let bearer = format!("Bearer {}", sign_in(EZE).await.1["access_token"].as_str().unwrap());
        let request = Request::get("/protected/").header("authorization", bearer);
        let profile = json!({"email": "eze@example.com", "first_name": "Eze", "last_name": "Sunday"});
        assert_eq!(send(&app, request, "").await, (200, profile));
    }
}
