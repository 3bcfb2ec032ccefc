use axum::{Router, routing::get};
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, KeySet};

fn app(keys: KeySet) -> Router {
    let verifier = JwtVerifier::new(keys).audience("https://api.example.com");
    Router::new().route("/", get(async || "hello")).layer(JwtAuthLayer::new(verifier))
}

fn main() {}
