//! The cost of issuing a token, compared to `jsonwebtoken::encode` with the same claims and key, as a
//! table.

mod support;

use std::fs;
use std::hint::black_box;
use std::time::{Instant, SystemTime};

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};

use self::support::{ISSUER, for_peer, median};

const SECRET: &[u8; 32] = b"a secret of thirty-two bytes ...";
const AUDIENCE: &str = "https://api.example.com/orders";

/// The claims of the application.
#[derive(Serialize)]
struct User {
    sub: &'static str,
    scope: &'static str,
    email: &'static str,
}

const USER: User =
    User { sub: "248289761001", scope: "openid profile orders:read orders:write", email: "eze@example.com" };

/// The same claims with those that `TokenIssuer` adds.
#[derive(Serialize)]
struct Whole {
    iss: &'static str,
    aud: &'static str,
    iat: u64,
    exp: u64,
    jti: String,
    #[serde(flatten)]
    user: &'static User,
}

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() {
    println!("{:8}{:>16}{:>16}{:>8}", "ns", "TokenIssuer", "jsonwebtoken", "ratio");
    for (algorithm, name, rounds) in [
        (Algorithm::HS256, "", 20_000),
        (Algorithm::RS256, "rsa2048", 300),
        (Algorithm::ES256, "p256", 5_000),
        (Algorithm::EdDSA, "ed25519", 5_000),
    ] {
        let path = format!("{}/tests/fixtures/{name}.private.pem", env!("CARGO_MANIFEST_DIR"));
        let pem = || fs::read(&path).expect("the fixture is there");
        let (key, theirs) = match algorithm {
            Algorithm::HS256 => (SigningKey::hmac(algorithm, SECRET), EncodingKey::from_secret(SECRET)),
            Algorithm::RS256 => (SigningKey::pem(algorithm, pem()), EncodingKey::from_rsa_pem(&pem())),
            Algorithm::ES256 => (SigningKey::pem(algorithm, pem()), EncodingKey::from_ec_pem(&pem())),
            _ => (SigningKey::pem(algorithm, pem()), EncodingKey::from_ed_pem(&pem())),
        };
        let (key, theirs) =
            (key.expect("the key is good").with_kid("2026-07"), theirs.expect("the key is good"));
        let issuer = TokenIssuer::new(key, ISSUER).audience(AUDIENCE);
        let header = Header { kid: Some("2026-07".to_owned()), ..Header::new(for_peer(algorithm)) };
        let encode = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
            let (iat, exp) = (now.as_secs(), now.as_secs() + 900);
            // jsonwebtoken generates no random numbers here.
            let jti = "dGhlIHNhbWUgZm9yIGFsbA".to_owned();
            let claims = Whole { iss: ISSUER, aud: AUDIENCE, iat, exp, jti, user: &USER };
            jsonwebtoken::encode(&header, &claims, &theirs).expect("the claims are JSON")
        };
        let issue = || issuer.issue(&USER).expect("the claims are JSON").into_string();
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for _ in 0..15 {
            ours.push(time(rounds, issue));
            others.push(time(rounds, encode));
        }
        let (ours, others) = (median(ours), median(others));
        println!("{:8}{ours:>16.0}{others:>16.0}{:>8.2}", format!("{algorithm:?}"), ours / others);
    }
}

/// Returns nanoseconds per token.
fn time(rounds: u32, make: impl Fn() -> String) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(make());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}
