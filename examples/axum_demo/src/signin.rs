//! `POST /signin`: an email and a password for a token.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tower_jwt_auth::TokenIssuer;

use crate::error::ApiError;
use crate::password::{Password, PasswordGate, PasswordHash};
use crate::random;
use crate::tokens::{AccessToken, LIFETIME};
use crate::users::Users;

const MAX_BODY_BYTES: usize = 8 * 1024;

#[derive(Clone)]
struct SignIn {
    users: Users,
    issuer: TokenIssuer,
    gate: PasswordGate,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
    /// All other members. With a flattened field, serde takes objects only; without, `["email", "password"]` too.
    #[serde(flatten)]
    _others: IgnoredAny,
}

#[derive(Serialize)]
struct SignedIn {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
}

pub(crate) fn routes(users: Users, issuer: TokenIssuer) -> Router {
    Router::new()
        .route("/signin", post(sign_in))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(SignIn { users, issuer, gate: PasswordGate::new() })
}

async fn sign_in(
    State(app): State<SignIn>,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Credentials { email, password, .. }) = body?;
    let password = Password::new(password)?;
    // Before the database is asked, so that a flood costs next to nothing.
    let place = app.gate.enter()?;
    let (user, hash) = match app.users.by_email(&email).await? {
        Some((user, hash)) => (Some(user), hash),
        None => (None, PasswordHash::of_nobody()),
    };
    let right = place.check(password, hash).await?;
    let user = user.filter(|_| right).ok_or(ApiError::WrongCredentials)?;
    let access_token = AccessToken::new(&user, random::text::<16>()?).sign(&app.issuer)?;
    let signed_in = SignedIn { access_token, token_type: "Bearer", expires_in: LIFETIME.as_secs() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(signed_in)))
}
