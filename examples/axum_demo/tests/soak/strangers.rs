//! Clients with bad tokens or wrong passwords.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jsonwebtoken::{Algorithm, Header, get_current_timestamp};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::credential::bearer;
use crate::server::SECRET;
use crate::site::Excuse::{Busy, Database, Redis};
use crate::site::{Excuse, Site, Until, any};
use crate::visitors;

/// The name in the report, the `Authorization` headers, and the expected status.
type Attempt = (&'static str, Vec<String>, u16);

/// Sends every kind of bad token.
pub(crate) async fn show_bad_tokens(site: Arc<Site>, seed: u64, until: Until) {
    let mut random = Rng::with_seed(seed);
    while !until.is_over() {
        for (what, headers, status) in attempts(&mut random) {
            let request = site.get(any(&mut random, &site.demos), "/protected/");
            let request =
                headers.iter().fold(request, |request, value| request.header("Authorization", value));
            // Only this token passes the verifier, so the server queries the user.
            let excuses: &[Excuse] = if what == "bad: unknown user" { &[Database, Redis] } else { &[] };
            if let Some(answer) = site.ask(what, request).await {
                site.judge(what, &answer, &[status], excuses);
            }
            sleep(Duration::from_millis(random.u64(..10))).await;
        }
    }
}

fn attempts(random: &mut Rng) -> Vec<Attempt> {
    let now = get_current_timestamp();
    let with = |changes: Value| vec![bearer(SECRET, &Header::new(Algorithm::HS256), &changes)];
    let good = with(json!({"sid": "nobody's"})).remove(0);
    let of_type = |typ: &str| {
        let header = Header { typ: Some(typ.to_owned()), ..Header::new(Algorithm::HS256) };
        vec![bearer(SECRET, &header, &json!({}))]
    };
    let mut forged = good.clone().into_bytes();
    let place = random.usize(good.rfind('.').unwrap() + 1..forged.len() - 1);
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    let claims = good.split('.').nth(1).unwrap();
    vec![
        ("bad: no header", vec![], 401),
        ("bad: two headers", vec![good.clone(), good.clone()], 400),
        ("bad: another scheme", vec!["Basic ZXplOm9rb24=".to_owned()], 401),
        ("bad: expired", with(json!({"exp": now - 3600})), 401),
        ("bad: not valid yet", with(json!({"nbf": now + 3600})), 401),
        ("bad: forged", vec![String::from_utf8(forged).unwrap()], 401),
        ("bad: another secret", vec![bearer(&SECRET.to_uppercase(), &Header::default(), &json!({}))], 401),
        ("bad: another algorithm", vec![bearer(SECRET, &Header::new(Algorithm::HS512), &json!({}))], 401),
        ("bad: wrong issuer", with(json!({"iss": "https://other.example"})), 401),
        ("bad: wrong audience", with(json!({"aud": "other"})), 401),
        ("bad: wrong type", of_type("dpop+jwt"), 401),
        ("bad: malformed claims", with(json!({"sub": [1]})), 401),
        ("bad: unknown user", with(json!({"sub": "999999999"})), 401),
        ("bad: unsigned", vec![format!("Bearer eyJhbGciOiJub25lIn0.{claims}.")], 401),
        ("bad: garbage", vec![format!("Bearer {}", garbage(random))], 401),
    ]
}

/// Returns random characters of a token, sometimes more than the verifier reads.
fn garbage(random: &mut Rng) -> String {
    let length = any(random, &[1, 10, 100, 1_000, 10_000]);
    (0..length).map(|_| any(random, b"abcXYZ019-_..") as char).collect()
}

/// Sends wrong passwords from many addresses. Accounts are delayed, but not at the known addresses of their users.
pub(crate) async fn guess_passwords(site: Arc<Site>, seed: u64, turn: usize, visitors: usize, until: Until) {
    let mut random = Rng::with_seed(seed);
    while !until.is_over() {
        let email = visitors::email(turn, random.usize(..visitors));
        let (what, path, body, expected): (_, _, _, &[u16]) = match random.u8(..4) {
            0 => ("bad: weak password", "/signup", application("password12"), &[422]),
            1 => ("bad: broken JSON", "/signin", "{\"email\":".to_owned(), &[400]),
            _ => {
                let body = json!({"email": email, "password": "a guess"}).to_string();
                ("bad: wrong password", "/signin", body, &[401, 429])
            }
        };
        let request = site
            .post(any(&mut random, &site.demos), path)
            .header("Content-Type", "application/json")
            .header("X-Forwarded-For", format!("203.0.{}.{}", random.u8(..), random.u8(..)))
            .body(body);
        if let Some(answer) = site.ask(what, request).await {
            site.judge(what, &answer, expected, &[Busy, Database]);
        }
        sleep(Duration::from_millis(random.u64(500..1_500))).await;
    }
}

fn application(password: &str) -> String {
    let body = json!({
        "email": "new@example.com", "password": password, "first_name": "Ada", "last_name": "Lovelace",
    });
    body.to_string()
}
