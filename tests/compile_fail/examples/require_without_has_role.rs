use tower_jwt_auth::RequireLayer;
use tower_jwt_auth::policy::role;

#[derive(serde::Deserialize)]
struct User {
    roles: Vec<String>,
}

fn main() {
    let _ = RequireLayer::<User>::new(role("admin"));
}
