use tower_jwt_auth::policy::has_scope;

struct User {
    scope: String,
}

has_scope!(User.scope);

fn main() {}
