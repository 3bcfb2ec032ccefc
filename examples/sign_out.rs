//! Signing in and out: tokens of one's own that belong to a session, and end with it.
//!
//! ```sh
//! cargo run --example sign_out --features issue
//! ```
//!
//! Where more than one process serves, give them one key (`SigningKey::pem`) and one list (`SharedRevocations`).

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_jwt_auth::issue::{IssueError, SigningKey, TokenIssuer};
use tower_jwt_auth::revocation::{RevocationWrite, Revocations};
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer};

const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What a token says, beside what the issuer adds.
#[derive(serde::Deserialize, serde::Serialize)]
struct Session {
    /// The user.
    sub: String,
    /// The session, which has a token after the other if it is refreshed. Each sign-in begins one.
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
            // What comes after the layer needs no token.
            .route("/signin", post(sign_in))
            .with_state(self)
    }

    /// Whoever asks is let in, since this is about what comes after.
    fn sign_in(&self, user: &str) -> Result<String, IssueError> {
        let sid = format!("{user}, {:?}", SystemTime::now());
        let token = self.issuer.issue(&Session { sub: user.to_owned(), sid })?;
        Ok(token.as_str().to_owned())
    }

    /// No token of the session is good from now on. The entry is held until the last of them has expired: one that is issued
    /// at this very moment.
    fn sign_out(&self, session: &Claims<Session>) -> Option<RevocationWrite> {
        // The verifier demands one: `None` are claims that a test has made.
        let issuer = session.token().issuer()?;
        Some(self.revocations.revoke_session(issuer, &session.sid, SystemTime::now() + LIFETIME))
    }
}

async fn sign_in(State(app): State<App>, user: String) -> Result<String, StatusCode> {
    app.sign_in(&user).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn me(session: Claims<Session>) -> String {
    session.sub.clone()
}

async fn sign_out(State(app): State<App>, session: Claims<Session>) -> Result<StatusCode, StatusCode> {
    let recorded = app.sign_out(&session).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    // Ready at once, unless the list is shared.
    recorded.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(StatusCode::NO_CONTENT)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the person who starts the example wants to know")]
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
        response.expect("an answer").status().as_u16()
    }

    #[tokio::test]
    async fn a_session_ends_and_others_go_on() {
        let app = App::new().expect("an app");
        let [first, second] = [app.sign_in("eze").expect("a token"), app.sign_in("eze").expect("a token")];
        assert_eq!(status(&app, "GET", "/me", &first).await, 200);
        assert_eq!(status(&app, "POST", "/signout", &first).await, 204);
        assert_eq!(status(&app, "GET", "/me", &first).await, 401);
        assert_eq!(status(&app, "POST", "/signout", &first).await, 401);
        assert_eq!(status(&app, "GET", "/me", &second).await, 200);
    }
}
