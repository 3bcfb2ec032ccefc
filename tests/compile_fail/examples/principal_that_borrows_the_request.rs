use axum::{Router, routing::get};
use tower_jwt_auth::{Claims, PrincipalLayer};

#[derive(serde::Deserialize)]
struct Subject {
    sub: String,
}

#[derive(Clone)]
struct User;

fn app() -> Router {
    let layer = PrincipalLayer::new(|claims: Claims<Subject>, request| async move {
        Ok::<_, std::io::Error>((request.uri().path() == claims.sub).then_some(User))
    });
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn main() {}
