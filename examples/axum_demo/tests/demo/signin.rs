//! Signing in, and every way not to.

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::support::{Answer, Demo, SECRET, exchange, signin_request};

#[tokio::test]
async fn gives_a_token() {
    let demo = Demo::start().await;
    let answer = demo.signin("eze@example.com", "okon").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.body,
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":86400}}"#)
    );

    let mut claims = claims(&token);
    let first_id = claims["jti"].take();
    let issued = claims["iat"].take().as_u64().unwrap();
    assert!(jsonwebtoken::get_current_timestamp().abs_diff(issued) < 60);
    assert_eq!(
        claims,
        json!({
            "iss": "https://demo.example",
            "sub": "1",
            "aud": "axum_demo",
            "email": "eze@example.com",
            "iat": null,
            "exp": issued + 86_400,
            "jti": null,
        })
    );

    let first_id = first_id.as_str().unwrap();
    assert_eq!(first_id.len(), 32);
    assert_ne!(self::claims(&demo.token().await)["jti"], first_id);
}

fn claims(token: &str) -> Value {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["axum_demo"]);
    jsonwebtoken::decode(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation)
        .unwrap()
        .claims
}

#[tokio::test]
async fn tells_the_email_as_it_is_stored() {
    let demo = Demo::start().await;
    let answer = demo.signin("EZE@Example.Com", "okon").await;
    assert_eq!(answer.status, 200);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&token)["email"], "eze@example.com");
}

#[tokio::test]
async fn ignores_what_it_does_not_know() {
    let demo = Demo::start().await;
    let body = br#"{"email":"eze@example.com","password":"okon","remember_me":true}"#;
    assert_eq!(demo.post_signin(body).await.status, 200);
}

#[tokio::test]
async fn does_not_tell_who_is_known() {
    let demo = Demo::start().await;
    let refusal = r#"{"error":"wrong_credentials","message":"the email or the password is wrong"}"#;
    let mut answers = Vec::new();
    for (email, password) in [
        ("eze@example.com", "wrong"),
        ("eze@example.com", ""),
        ("eze@example.com", "okon "),
        ("unknown@example.com", "okon"),
        ("", "okon"),
        ("eze@example.com' OR '1'='1", "okon"),
    ] {
        let answer = demo.signin(email, password).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (401, refusal),
            "{email:?} {password:?}"
        );
        answers.push(names_of_headers(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

fn names_of_headers(answer: &Answer) -> Vec<String> {
    answer.headers.iter().map(|(name, _)| name.clone()).collect()
}

/// The fastest of a few, in turn: what else the machine does only ever adds to a time.
#[tokio::test]
async fn takes_as_long_for_an_unknown_email() {
    let demo = Demo::start().await;
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..4 {
        known = known.min(time_of_signin(&demo, "eze@example.com").await);
        unknown = unknown.min(time_of_signin(&demo, "unknown@example.com").await);
    }
    assert!(
        known < unknown * 2 && unknown < known * 2,
        "known {known:?}, unknown {unknown:?}"
    );
}

async fn time_of_signin(demo: &Demo, email: &str) -> Duration {
    let start = Instant::now();
    assert_eq!(demo.signin(email, "wrong").await.status, 401);
    start.elapsed()
}

#[tokio::test]
async fn refuses_passwords_that_bcrypt_would_misread() {
    let demo = Demo::start().await;
    let long = (422, "password_too_long");
    let nul = (422, "password_has_nul");
    let wrong = (401, "wrong_credentials");
    for (name, password, expected) in [
        ("72 bytes", "p".repeat(72), wrong),
        ("73 bytes", "p".repeat(73), long),
        ("25 characters in 75 bytes", "€".repeat(25), long),
        ("the right one, repeated", "okon\0okon".to_owned(), nul),
        ("NUL alone", "\0".to_owned(), nul),
    ] {
        for email in ["eze@example.com", "unknown@example.com"] {
            let answer = demo.signin(email, &password).await;
            assert_eq!(
                (answer.status, error(&answer).as_str()),
                expected,
                "{name}, {email}"
            );
        }
    }
}

#[tokio::test]
async fn refuses_bodies_that_are_broken() {
    let demo = Demo::start().await;
    let large = format!(r#"{{"email":"{}","password":"okon"}}"#, "e".repeat(8 * 1024));
    let json = "application/json";
    for (name, content_type, body, expected) in [
        ("nothing", json, "", (400, "json_broken")),
        (
            "half an object",
            json,
            r#"{"email":"eze@example.com""#,
            (400, "json_broken"),
        ),
        (
            "two values",
            json,
            r#"{"email":"a","password":"b"}{}"#,
            (400, "json_broken"),
        ),
        ("nested too deep", json, &"[".repeat(4000), (400, "json_broken")),
        ("an array", json, "[1]", (422, "json_unfit")),
        (
            "a member missing",
            json,
            r#"{"email":"eze@example.com"}"#,
            (422, "json_unfit"),
        ),
        (
            "a number",
            json,
            r#"{"email":"eze@example.com","password":1}"#,
            (422, "json_unfit"),
        ),
        (
            "a member twice",
            json,
            r#"{"email":"a","password":"b","email":"c"}"#,
            (422, "json_unfit"),
        ),
        (
            "a form",
            "application/x-www-form-urlencoded",
            "email=a&password=b",
            (415, "json_expected"),
        ),
        ("more than 8 KiB", json, &large, (413, "body_too_large")),
    ] {
        let answer = exchange(demo.address, &signin_request(content_type, body.as_bytes())).await;
        assert_eq!((answer.status, error(&answer).as_str()), expected, "{name}");
    }
    let answer = demo
        .post_signin(b"{\"email\":\"\xff\",\"password\":\"okon\"}")
        .await;
    assert_eq!(
        (answer.status, error(&answer).as_str()),
        (400, "json_broken"),
        "not UTF-8"
    );
}

#[tokio::test]
async fn answers_elsewhere_in_the_same_shape() {
    let demo = Demo::start().await;
    for (path, expected, allow) in [
        ("/", (404, "not_found"), None),
        ("/signin/", (404, "not_found"), None),
        ("/signin", (405, "method_not_allowed"), Some("POST")),
    ] {
        let answer = demo.get(path, "").await;
        assert_eq!((answer.status, error(&answer).as_str()), expected, "{path}");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

/// The `error` of a refusal, which has a message too, and nothing else.
#[track_caller]
fn error(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["error", "message"]);
    assert!(body["message"].as_str().unwrap().contains(' '));
    body["error"].as_str().unwrap().to_owned()
}
