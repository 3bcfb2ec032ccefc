//! Credentials that the demo did not issue.

use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde_json::{Value, json};

/// Creates a credential like those of the first user, with some claims changed.
pub(crate) fn bearer(secret: &str, header: &Header, changes: &Value) -> String {
    let now = get_current_timestamp();
    let mut claims = json!({
        "iss": "https://demo.example",
        "sub": "1",
        "aud": "axum_demo",
        "email": "eze@example.com",
        "iat": now,
        "exp": now + 60,
        "jti": "0",
        "sid": "0",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(secret.as_bytes()).unwrap();
    format!("Bearer {}", jsonwebtoken::encode(header, &claims, &key).unwrap())
}
