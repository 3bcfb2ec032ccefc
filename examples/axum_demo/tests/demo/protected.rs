//! The protected route: who gets in, and what everyone else is told.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::support::{Demo, SECRET, fresh_file, settings};

#[tokio::test]
async fn tells_who_is_signed_in() {
    let demo = Demo::start().await;
    let answer = demo.protected(&[&format!("Bearer {}", demo.token().await)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.body,
        r#"{"email":"eze@example.com","first_name":"Eze","last_name":"Sunday"}"#
    );
}

#[tokio::test]
async fn refuses_everyone_else() {
    let demo = Demo::start().await;
    let good = format!("Bearer {}", demo.token().await);
    let now = jsonwebtoken::get_current_timestamp();
    let with = |changes: Value| vec![bearer(SECRET, Algorithm::HS256, changes)];

    for (name, authorization, status, error) in [
        ("no header", vec![], 401, None),
        ("another scheme", vec!["Basic ZXplOm9rb24=".to_owned()], 401, None),
        ("no token", vec!["Bearer".to_owned()], 400, Some(NOT_WELL_FORMED)),
        (
            "two tokens",
            vec![format!("{good} {good}")],
            400,
            Some(NOT_WELL_FORMED),
        ),
        (
            "two headers",
            vec![good.clone(), good.clone()],
            400,
            Some(MORE_THAN_ONE),
        ),
        ("garbage", vec!["Bearer garbage".to_owned()], 401, Some(NO_JWT)),
        (
            "cut off",
            vec![good[..good.len() - 1].to_owned()],
            401,
            Some(FORGED),
        ),
        (
            "forged",
            vec![bearer(OTHER_SECRET, Algorithm::HS256, json!({}))],
            401,
            Some(FORGED),
        ),
        (
            "another algorithm",
            vec![bearer(SECRET, Algorithm::HS512, json!({}))],
            401,
            Some(ALGORITHM),
        ),
        ("not signed", vec![not_signed(&good)], 401, Some(ALGORITHM)),
        ("expired", with(json!({ "exp": now - 3600 })), 401, Some(EXPIRED)),
        ("without expiry", with(json!({ "exp": null })), 401, Some(CLAIMS)),
        (
            "from elsewhere",
            with(json!({ "iss": "https://other.example" })),
            401,
            Some(ISSUER),
        ),
        ("for others", with(json!({ "aud": "other" })), 401, Some(AUDIENCE)),
        (
            "with other claims",
            with(json!({ "email": 1 })),
            401,
            Some(CLAIMS),
        ),
        ("of nobody", with(json!({ "sub": "2" })), 401, Some(NOBODY)),
        ("of something", with(json!({ "sub": "eze" })), 401, Some(NOBODY)),
    ] {
        let authorization: Vec<&str> = authorization.iter().map(String::as_str).collect();
        let answer = demo.protected(&authorization).await;
        let challenge = match error {
            None => r#"Bearer realm="api""#.to_owned(),
            Some((code, why)) => {
                format!(r#"Bearer realm="api", error="{code}", error_description="{why}""#)
            }
        };
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (status, Some(&*challenge)),
            "{name}"
        );
        assert_eq!(answer.body, "", "{name}");
    }
}

const OTHER_SECRET: &str = "another secret, also of 32+ bytes";

const ALGORITHM: (&str, &str) = (
    "invalid_token",
    "the token is signed with an algorithm that is not accepted",
);
const AUDIENCE: (&str, &str) = ("invalid_token", "the token is not for this audience");
const CLAIMS: (&str, &str) = ("invalid_token", "the claims of the token are not well-formed");
const EXPIRED: (&str, &str) = ("invalid_token", "the token has expired");
const FORGED: (&str, &str) = ("invalid_token", "the signature of the token is not valid");
const ISSUER: (&str, &str) = ("invalid_token", "the token is not from the expected issuer");
const MORE_THAN_ONE: (&str, &str) = ("invalid_request", "the request carries more than one credential");
const NOBODY: (&str, &str) = ("invalid_token", "the token does not belong to a known user");
const NOT_WELL_FORMED: (&str, &str) = (
    "invalid_request",
    "the credential is not a single well-formed bearer token",
);
const NO_JWT: (&str, &str) = ("invalid_token", "the token is not a well-formed JWT");

/// The credential that the demo would make, but for some claims.
fn bearer(secret: &str, algorithm: Algorithm, changes: Value) -> String {
    let now = jsonwebtoken::get_current_timestamp();
    let mut claims = json!({
        "iss": "https://demo.example",
        "sub": "1",
        "aud": "axum_demo",
        "email": "eze@example.com",
        "iat": now,
        "exp": now + 60,
        "jti": "0",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    format!(
        "Bearer {}",
        jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap()
    )
}

/// The same claims under the header `{"alg":"none"}`.
fn not_signed(credential: &str) -> String {
    let claims = credential.split('.').nth(1).unwrap();
    format!("Bearer eyJhbGciOiJub25lIn0.{claims}.")
}

#[tokio::test]
async fn refuses_a_user_deleted_since() {
    let file = fresh_file("deleted_user.sqlite3");
    let url = format!("sqlite:{}", file.display());
    let demo = Demo::start_with(settings(&url)).await;
    let authorization = format!("Bearer {}", demo.token().await);
    assert_eq!(demo.protected(&[&authorization]).await.status, 200);

    let mut database = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("DELETE FROM users")
        .execute(&mut database)
        .await
        .unwrap();
    let answer = demo.protected(&[&authorization]).await;
    let challenge = format!(
        r#"Bearer realm="api", error="{}", error_description="{}""#,
        NOBODY.0, NOBODY.1
    );
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, Some(&*challenge))
    );

    // The next user must not be taken for the one who is gone.
    let insert =
        "INSERT INTO users (email, first_name, last_name, password_hash) VALUES ('a@b.c', 'A', 'B', '')";
    sqlx::query(insert).execute(&mut database).await.unwrap();
    assert_eq!(demo.protected(&[&authorization]).await.status, 401);
}
