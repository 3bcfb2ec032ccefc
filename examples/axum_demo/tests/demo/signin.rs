//! Sign-in and its rejections.

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::http::{Answer, JSON, SIGNIN_BODY, get_request, signin_request};
use crate::scenarios;
use crate::support::{Demo, SECRET, proxied_settings};

#[tokio::test]
async fn returns_a_token() {
    let demo = Demo::start().await;
    let answer = demo.signin("eze@example.com", "okon").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut body = answer.json();
    assert!(body["access_token"].take().is_string());
    assert_eq!(body, json!({ "access_token": null, "token_type": "Bearer", "expires_in": 900 }));

    let mut claims = claims(&answer);
    let first_id = claims["jti"].take();
    let first_session = claims["sid"].take();
    let issued = claims["iat"].take().as_u64().unwrap();
    assert!(jsonwebtoken::get_current_timestamp().abs_diff(issued) < 60);
    assert_eq!(
        claims,
        json!({
            "iss": "https://demo.example",
            "sub": "1",
            "aud": "axum_demo",
            "email": "eze@example.com",
            "email_verified": false,
            "iat": null,
            "exp": issued + 900,
            "jti": null,
            "sid": null,
        })
    );

    let again = self::claims(&demo.signin("eze@example.com", "okon").await);
    for (name, first) in [("jti", first_id), ("sid", first_session)] {
        assert_eq!(first.as_str().map(str::len), Some(22), "{name}");
        assert_ne!(again[name], first, "{name}");
    }
}

fn claims(answer: &Answer) -> Value {
    let answer = answer.json();
    let token = answer["access_token"].as_str().unwrap();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["axum_demo"]);
    let key = DecodingKey::from_secret(SECRET.as_bytes()).unwrap();
    jsonwebtoken::decode(token, &key, &validation).unwrap().claims
}

/// Users of an office share one IPv4 address or one IPv6 network.
#[tokio::test(flavor = "multi_thread")]
async fn users_of_one_network_sign_in_together() {
    let mut settings = proxied_settings("sqlite::memory:");
    // The default is too short for a slow machine.
    settings.limits.in_line = Duration::from_secs(60);
    let demo = Demo::start_with(settings).await;
    for address in [|_| "192.0.2.1".to_owned(), |host| format!("2001:db8::{host}")] {
        let sign_ins: Vec<_> = (1..=8)
            .map(|host| format!("{JSON}\r\nX-Forwarded-For: {}", address(host)))
            .map(|content_type| signin_request(&content_type, SIGNIN_BODY))
            .collect();
        let answers = scenarios::at_once(&demo, &sign_ins).await;
        assert_eq!(scenarios::statuses(&answers), [200; 8], "{}", address(1));
    }
}

#[tokio::test]
async fn token_has_the_stored_email() {
    let demo = Demo::start().await;
    for email in ["EZE@Example.Com", " eze@example.com "] {
        let answer = demo.signin(email, "okon").await;
        assert_eq!(answer.status, 200, "{email:?}");
        assert_eq!(claims(&answer)["email"], "eze@example.com", "{email:?}");
    }
}

#[tokio::test]
async fn ignores_unknown_members() {
    let demo = Demo::start().await;
    let body = br#"{"email":"eze@example.com","password":"okon","remember_me":true}"#;
    assert_eq!(demo.exchange(&signin_request(JSON, body)).await.status, 200);
}

#[tokio::test]
async fn response_does_not_reveal_known_emails() {
    let demo = Demo::start().await;
    let problem = json!({
        "type": "https://demo.example/problems#wrong_credentials",
        "title": "the email or the password is wrong",
        "status": 401,
    });
    let mut headers = Vec::new();
    for (email, password) in [
        ("eze@example.com", "wrong"),
        ("eze@example.com", ""),
        ("eze@example.com", "okon "),
        ("unknown@example.com", "okon"),
        ("", "okon"),
        ("eze@example.com\0", "okon"),
        ("eze\u{7}@example.com", "okon"),
        ("eze@example.com' OR '1'='1", "okon"),
    ] {
        let answer = demo.signin(email, password).await;
        assert_eq!((answer.status, answer.problem()), (401, problem.clone()), "{email:?} {password:?}");
        headers.push(answer.headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
    headers.dedup();
    assert_eq!(headers.len(), 1, "{headers:?}");
}

/// Compares the fastest of a few, in turn. Other load only makes a time longer.
#[tokio::test]
async fn unknown_emails_take_as_long() {
    let demo = Demo::start().await;
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        known = known.min(time_of_signin(&demo, "eze@example.com").await);
        unknown = unknown.min(time_of_signin(&demo, "unknown@example.com").await);
    }
    assert!(known < unknown * 2 && unknown < known * 2, "known {known:?}, unknown {unknown:?}");
}

async fn time_of_signin(demo: &Demo, email: &str) -> Duration {
    let start = Instant::now();
    assert_eq!(demo.signin(email, "wrong").await.status, 401);
    start.elapsed()
}

#[tokio::test]
async fn rejects_passwords_that_bcrypt_would_misread() {
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
            assert_eq!((answer.status, answer.error().as_str()), expected, "{name}, {email}");
        }
    }
}

#[tokio::test]
async fn rejects_malformed_bodies() {
    let demo = Demo::start().await;
    let broken = (400, "json_broken");
    let unfit = (422, "json_unfit");
    let large = (413, "body_too_large");
    let nested = format!(r#"{{"email":"a","password":"b","more":{}"#, "[".repeat(4000));
    let fits = format!(r#"{{"email":"{}"}}"#, "e".repeat(8192 - 12));
    let exceeds = format!(r#"{{"email":"{}"}}"#, "e".repeat(8192 - 11));
    for (name, body, expected) in [
        ("nothing", &b""[..], broken),
        ("half an object", br#"{"email":"eze@example.com""#, broken),
        ("two values", br#"{"email":"a","password":"b"}{}"#, broken),
        ("nested too deep", nested.as_bytes(), broken),
        ("not UTF-8", b"{\"email\":\"\xff\",\"password\":\"b\"}", broken),
        ("an array", b"[1]", unfit),
        ("an array of the members", br#"["eze@example.com","okon"]"#, unfit),
        ("a member missing", br#"{"email":"eze@example.com"}"#, unfit),
        ("a number", br#"{"email":"a","password":1}"#, unfit),
        ("a member twice", br#"{"email":"a","password":"b","email":"c"}"#, unfit),
        ("8 KiB", fits.as_bytes(), unfit),
        ("one byte more", exceeds.as_bytes(), large),
    ] {
        let answer = demo.exchange(&signin_request(JSON, body)).await;
        assert_eq!((answer.status, answer.error().as_str()), expected, "{name}");
    }

    let form = signin_request("application/x-www-form-urlencoded", b"email=a&password=b");
    let answer = demo.exchange(&form).await;
    assert_eq!((answer.status, answer.error().as_str()), (415, "json_expected"));
}

#[tokio::test]
async fn unknown_routes_respond_with_problem_details() {
    let demo = Demo::start().await;
    for (path, expected, allow) in [
        ("/other", (404, "not_found"), None),
        ("/signin/", (404, "not_found"), None),
        ("/signin", (405, "method_not_allowed"), Some("POST")),
    ] {
        let answer = demo.exchange(&get_request(path, &[])).await;
        assert_eq!((answer.status, answer.error().as_str()), expected, "{path}");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test]
async fn no_response_is_cached() {
    let demo = Demo::start().await;
    let authorization = demo.bearer().await;
    for (name, answer) in [
        ("a profile", demo.protected(&[&authorization]).await),
        ("no token", demo.protected(&[]).await),
        ("a wrong password", demo.signin("eze@example.com", "wrong").await),
        ("no such route", demo.exchange(&get_request("/other", &[])).await),
        ("no session", demo.refresh("refresh=x").await),
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    }
}
