use axum::{Router, routing::get};
use tower_jwt_auth::extract::Permitted;
use tower_jwt_auth::policy::{Policy, scope};
use tower_jwt_auth::{AuthError, Claims, Head};

type User = serde_json::Value;

struct ReadOrders;

impl Policy<User> for ReadOrders {
    fn check(&self, user: &Claims<User>, request: Head<'_>) -> Result<(), AuthError> {
        scope("orders:read").check(user, request)
    }
}

async fn orders(_: Permitted<User, ReadOrders>) -> &'static str {
    "orders"
}

fn main() {
    let _: Router = Router::new().route("/orders", get(orders));
}
