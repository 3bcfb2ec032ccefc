use tower_jwt_auth::RequireLayer;
use tower_jwt_auth::policy::claim;

#[derive(serde::Deserialize)]
struct User {
    tenant: String,
}

fn main() {
    let _ = RequireLayer::<User>::new(claim("tenant", "acme"));
}
