use tower_jwt_auth::policy::scope;
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier};

#[derive(serde::Deserialize)]
struct User {
    scope: String,
}

fn layer(verifier: JwtVerifier<User>) {
    let _ = JwtAuthLayer::new(verifier).require(scope("orders:read"));
}

fn main() {}
