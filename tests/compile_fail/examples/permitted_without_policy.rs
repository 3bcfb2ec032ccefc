use axum::{Router, routing::get};
use tower_jwt_auth::extract::Permitted;

#[derive(Default)]
struct ReadOrders;

async fn orders(_: Permitted<serde_json::Value, ReadOrders>) -> &'static str {
    "orders"
}

fn main() {
    let _: Router = Router::new().route("/orders", get(orders));
}
