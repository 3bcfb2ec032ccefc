use tower_jwt_auth::{Claims, Head, JwtAuthLayer, JwtVerifier};

#[derive(serde::Deserialize)]
struct User {
    admin: bool,
}

fn layer(verifier: JwtVerifier<User>) {
    let _ = JwtAuthLayer::new(verifier).require(|user: &Claims<User>, _: Head<'_>| user.admin);
}

fn main() {}
