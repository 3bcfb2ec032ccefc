use axum::{Router, routing::get};
use tower_jwt_auth::PrincipalLayer;

#[derive(Clone)]
struct User(String);

fn app() -> Router {
    let layer = PrincipalLayer::new(|claims, _| {
        let name = claims.sub.clone();
        async move { Ok::<_, std::io::Error>(Some(User(name))) }
    });
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn main() {}
