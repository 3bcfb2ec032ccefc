//! Issues tokens that belong to a session, and revokes them on sign-out.
//!
//! ```sh
//! cargo run --example sign_out --features issue
//! ```
//!
//! Several processes need the same key (`SigningKey::pem`) and a shared revocation list (`SharedRevocations`).

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_jwt_auth::issue::{IssueError, SigningKey, TokenIssuer};
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{Algorithm, AuthError, Claims, JwtAuthLayer};

const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The claims of a token, in addition to those that the issuer sets.
#[derive(serde::Deserialize, serde::Serialize)]
struct Session {
    /// The user ID.
    sub: String,
    /// The session ID. Each sign-in starts a session. A refreshed session has several tokens in turn.
    sid: String,
}

#[derive(Clone)]
struct App {
    issuer: TokenIssuer,
    revocations: Revocations,
}

impl App {
    fn new() -> Result<Self, tower_jwt_auth::ConfigError> {
        let key = SigningKey::generate(Algorithm::EdDSA)?;
        let issuer = TokenIssuer::new(key, "https://demo.example").audience("demo").lifetime(LIFETIME);
        Ok(Self { issuer, revocations: Revocations::new() })
    }

    fn routes(self) -> Router {
        let verifier = self.issuer.verifier::<Session>().revocations(self.revocations.clone());
        Router::new()
            .route("/me", get(me))
            .route("/signout", post(sign_out))
            .layer(JwtAuthLayer::new(verifier))
            // Routes added after the layer need no token.
            .route("/signin", post(sign_in))
            .with_state(self)
    }

    /// Issues a token for any user. A real service checks a password first: see the quickstart.
    fn sign_in(&self, user: &str) -> Result<String, IssueError> {
        let sid = format!("{user}, {:?}", SystemTime::now());
        let token = self.issuer.issue(&Session { sub: user.to_owned(), sid })?;
        Ok(token.as_str().to_owned())
    }
}

async fn sign_in(State(app): State<App>, user: String) -> Result<String, StatusCode> {
    app.sign_in(&user).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn me(session: Claims<Session>) -> String {
    session.sub.clone()
}

/// Revokes all tokens of the session.
async fn sign_out(State(app): State<App>, session: Claims<Session>) -> Result<StatusCode, AuthError> {
    // Completes at once unless the list is shared.
    app.revocations.revoke_session_of(&session, LIFETIME)?.await?;
    Ok(StatusCode::NO_CONTENT)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints commands to try")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("TOKEN=$(curl -s http://{address}/signin -d eze)");
    println!("curl -si http://{address}/me -H \"Authorization: Bearer $TOKEN\"");
    println!("curl -si -X POST http://{address}/signout -H \"Authorization: Bearer $TOKEN\"");
    Ok(axum::serve(listener, App::new()?.routes()).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn status(app: &App, method: &str, path: &str, token: &str) -> u16 {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}")).body(Body::empty());
        let response = app.clone().routes().oneshot(request.expect("a request")).await;
        response.expect("a response").status().as_u16()
    }

    #[tokio::test]
    async fn sign_out_ends_one_session() {
        let app = App::new().expect("an app");
        let [first, second] = [app.sign_in("eze").expect("a token"), app.sign_in("eze").expect("a token")];
        assert_eq!(status(&app, "GET", "/me", &first).await, 200);
        assert_eq!(status(&app, "POST", "/signout", &first).await, 204);
        assert_eq!(status(&app, "GET", "/me", &first).await, 401);
        assert_eq!(status(&app, "POST", "/signout", &first).await, 401);
        assert_eq!(status(&app, "GET", "/me", &second).await, 200);
    }
}
