use axum::{Router, routing::get};
use tower_jwt_auth::{Claims, PrincipalLayer};

#[derive(serde::Deserialize)]
struct Subject {
    sub: String,
}

#[derive(Clone)]
struct User(String);

fn app() -> Router {
    let layer = PrincipalLayer::new(async |claims: Claims<Subject>| {
        Ok::<_, std::io::Error>(User(claims.sub.clone()))
    });
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn main() {}
