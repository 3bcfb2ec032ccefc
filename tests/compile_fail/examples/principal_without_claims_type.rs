use axum::{Router, routing::get};
use tower_jwt_auth::PrincipalLayer;

#[derive(Clone)]
struct User(String);

fn app() -> Router {
    let layer = PrincipalLayer::new(async |claims| Ok::<_, std::io::Error>(Some(User(claims.sub.clone()))));
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn main() {}
