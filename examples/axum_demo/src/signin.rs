//! `POST /signin`: an email and a password for a token.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::ApiError;
use crate::password::{Password, PasswordGate, PasswordHash};
use crate::signed_in::SignIns;
use crate::users::Users;

const MAX_BODY_BYTES: usize = 8 * 1024;

#[derive(Clone)]
struct SignIn {
    users: Users,
    sign_ins: SignIns,
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

pub(crate) fn routes(users: Users, sign_ins: SignIns) -> Router {
    Router::new()
        .route("/signin", post(sign_in))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(SignIn { users, sign_ins, gate: PasswordGate::new() })
}

async fn sign_in(
    State(app): State<SignIn>,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, ApiError> {
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
    app.sign_ins.begin(user).await
}
