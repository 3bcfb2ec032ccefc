//! `GET /protected/`: returns the profile of the signed-in user.

use std::error::Error;

use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;
use tower_jwt_auth::reject::{ProblemJson, Reject};
use tower_jwt_auth::settings::AuthSettings;
use tower_jwt_auth::{Claims, ConfigError, JwtAuthLayer, PrincipalLayer};

use crate::error::report_database;
use crate::signed_in::SignIns;
use crate::tokens::Caller;
use crate::users::{User, Users};

#[derive(Serialize)]
struct Profile {
    email: String,
    first_name: String,
    last_name: String,
}

pub(crate) fn routes(
    users: Users,
    sign_ins: &SignIns,
    others: Option<&AuthSettings>,
) -> Result<Router, ConfigError> {
    let signed_in = JwtAuthLayer::new(sign_ins.callers(others)?).on_reject(ProblemJson::new());
    let current_user = PrincipalLayer::new(move |claims: Claims<Caller>| {
        let users = users.clone();
        async move { users.by_id(&claims.sub).await }
    })
    .reject_with(|error, request| -> Response {
        // Only a failed query has a source. An unknown user is not a fault of the server.
        if let Some(cause) = error.source() {
            report_database(cause);
        }
        ProblemJson::new().reject(error, request)
    });
    // The layer added last runs first: the token is checked before the user is loaded.
    Ok(Router::new().route("/protected/", get(protected)).layer(current_user).layer(signed_in))
}

async fn protected(Extension(user): Extension<User>) -> Json<Profile> {
    Json(Profile { email: user.email, first_name: user.first_name, last_name: user.last_name })
}
