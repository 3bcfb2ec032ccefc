//! The protected route.

use std::fs;

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord};

use crate::credential::bearer;
use crate::support::{Demo, SECRET, ScratchFile, change, read, settings};

#[tokio::test]
async fn returns_the_profile() {
    let demo = Demo::start().await;
    let answer = demo.protected(&[&demo.bearer().await]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.body, r#"{"email":"eze@example.com","first_name":"Eze","last_name":"Sunday"}"#);
}

#[tokio::test]
async fn accepts_configured_api_keys() {
    let key = ApiKey::generate("demo").unwrap();
    let record = ApiKeyRecord::new(&key, json!({"sub": "1"}));
    let file = ScratchFile::new("api-keys");
    fs::write(&file.0, json!([record]).to_string()).unwrap();
    let variables = [
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("AUTH_API_KEYS_PREFIX", "demo"),
        ("AUTH_API_KEYS_FILE", file.0.to_str().unwrap()),
    ];
    let demo = Demo::start_with(read(&variables).unwrap()).await;
    let other = ApiKey::generate("demo").unwrap();
    for (name, authorization, status) in [
        ("key", format!("Bearer {}", key.expose()), 200),
        ("another key", format!("Bearer {}", other.expose()), 401),
        ("access token", demo.bearer().await, 200),
    ] {
        assert_eq!(demo.protected(&[&authorization]).await.status, status, "{name}");
    }
    // A typo must not leave a service open, or closed without a word.
    let error = read(&[("AUTH_API_KEY_FILE", "keys.json")]).unwrap_err().to_string();
    assert!(error.starts_with("AUTH_*: ") && error.contains("`AUTH_API_KEYS_FILE`"), "{error}");
}

#[tokio::test]
async fn rejects_bad_credentials() {
    let demo = Demo::start().await;
    let good = demo.bearer().await;
    let now = jsonwebtoken::get_current_timestamp();
    let with = |claims: Value| bearer(SECRET, &Header::new(Algorithm::HS256), &claims);

    let basic = "Basic ZXplOm9rb24=".to_owned();
    let two = format!("{good} {good}");
    // Removes two characters: without one, the signature stays valid base64url in one case of sixteen.
    let cut_off = good[..good.len() - 2].to_owned();
    let forged = bearer("another secret, also of 32+ bytes", &Header::new(Algorithm::HS256), &json!({}));
    let hs512 = bearer(SECRET, &Header::new(Algorithm::HS512), &json!({}));
    let expired = with(json!({ "exp": now - 3600 }));
    let elsewhere = with(json!({ "iss": "https://other.example" }));
    for (name, authorization, (status, code, why)) in [
        ("no header", vec![], BARE),
        ("another scheme", vec![basic], BARE),
        ("no token", vec!["Bearer".to_owned()], NOT_WELL_FORMED),
        ("two tokens", vec![two], NOT_WELL_FORMED),
        ("two headers", vec![good.clone(), good.clone()], MORE_THAN_ONE),
        ("garbage", vec!["Bearer garbage".to_owned()], NO_JWT),
        ("truncated", vec![cut_off], NO_JWT),
        ("forged", vec![forged], FORGED),
        ("another algorithm", vec![hs512], UNKNOWN_KEY),
        ("unsigned", vec![not_signed(&good)], ALGORITHM),
        ("expired", vec![expired], EXPIRED),
        ("another issuer", vec![elsewhere], ISSUER),
        ("another audience", vec![with(json!({ "aud": "other" }))], AUDIENCE),
        ("malformed claims", vec![with(json!({ "email": 1 }))], CLAIMS),
        ("unknown user", vec![with(json!({ "sub": "2" }))], NOBODY),
        ("invalid user ID", vec![with(json!({ "sub": "eze" }))], NOBODY),
    ] {
        let authorization: Vec<&str> = authorization.iter().map(String::as_str).collect();
        let answer = demo.protected(&authorization).await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge(code, why)), "{name}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
        let problem = answer.json();
        assert_eq!((&problem["title"], &problem["status"]), (&json!(why), &json!(status)), "{name}");
    }
}

/// Status, error code, and description. The description is also the title of the body.
type Rejection = (u16, &'static str, &'static str);

const ALGORITHM: Rejection = (401, TOKEN, "the token is signed with an algorithm that is not accepted");
const AUDIENCE: Rejection = (401, TOKEN, "the token is not for this audience");
const BARE: Rejection = (401, "", "the request carries no bearer token");
const CLAIMS: Rejection = (401, TOKEN, "the claims of the token are not well-formed");
const EXPIRED: Rejection = (401, TOKEN, "the token has expired");
const FORGED: Rejection = (401, TOKEN, "the signature of the token is not valid");
const ISSUER: Rejection = (401, TOKEN, "the token is not from the expected issuer");
const MORE_THAN_ONE: Rejection = (400, REQUEST, "the request carries more than one credential");
const NOBODY: Rejection = (401, TOKEN, "the token does not belong to a known user");
const NOT_WELL_FORMED: Rejection = (400, REQUEST, "the credential is not a single well-formed bearer token");
const NO_JWT: Rejection = (401, TOKEN, "the token is not a well-formed JWT");
const UNKNOWN_KEY: Rejection = (401, TOKEN, "the token is not signed with a known key");

const REQUEST: &str = "invalid_request";
const TOKEN: &str = "invalid_token";

fn challenge(code: &str, why: &str) -> String {
    match code {
        "" => r#"Bearer realm="api""#.to_owned(),
        _ => format!(r#"Bearer realm="api", error="{code}", error_description="{why}""#),
    }
}

/// Returns the same claims with the header `{"alg":"none"}`.
fn not_signed(credential: &str) -> String {
    let claims = credential.split('.').nth(1).unwrap();
    format!("Bearer eyJhbGciOiJub25lIn0.{claims}.")
}

#[tokio::test]
async fn rejects_deleted_users() {
    let file = ScratchFile::new("deleted_user.sqlite3");
    let url = file.url();
    let demo = Demo::start_with(settings(&url)).await;
    let authorization = demo.bearer().await;
    assert_eq!(demo.protected(&[&authorization]).await.status, 200);

    change(&url, "DELETE FROM users").await;
    let answer = demo.protected(&[&authorization]).await;
    let (status, code, why) = NOBODY;
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("www-authenticate"), Some(&*challenge(code, why)));

    // A new user must not get the ID of the deleted one.
    let insert =
        "INSERT INTO users (email, first_name, last_name, password_hash) VALUES ('a@b.c', 'A', 'B', '')";
    change(&url, insert).await;
    assert_eq!(demo.protected(&[&authorization]).await.status, 401);
}
