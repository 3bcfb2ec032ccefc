use std::time::Duration;

use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{AuthError, Claims};

struct User {
    sid: String,
}

async fn sign_out(list: Revocations, user: Claims<User>) -> Result<(), AuthError> {
    list.revoke_session_of(&user, Duration::from_secs(900))?.await?;
    Ok(())
}

fn main() {}
