//! `jwt-doctor explain --dpop-proof`: the token and its proof are verified together.

use http::Method;
use serde_json::{Value, json};
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::dpop::DpopKey;

use crate::support::{AUDIENCE, ISSUER, Run, SECRET, doctor_with, file, now, signed};

const URL: &str = "https://api.example.com/v1/orders?page=2";

fn client() -> DpopKey {
    DpopKey::generate(Algorithm::ES256).unwrap()
}

fn token(cnf: &Value) -> String {
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": now() + 300, "cnf": cnf});
    signed(r#"{"alg":"HS256"}"#, &claims.to_string())
}

fn bound_to(key: &DpopKey) -> String {
    token(&json!({"jkt": key.thumbprint().to_string()}))
}

/// Explains a token with further arguments. The report must not have the proof.
fn explain(name: &str, token: &str, further: &[&str]) -> Run {
    let secret = file(&format!("proof-{}", name.replace(' ', "-")), SECRET);
    let usual = ["explain", "--secret-file", &secret, "--issuer", ISSUER, "--audience", AUDIENCE];
    let run = doctor_with(&[&usual, further].concat(), &[], token);
    run.assert_harmless();
    for part in further.iter().filter(|part| part.len() > 200) {
        let signature = part.rsplit('.').next().unwrap();
        assert!(!run.stdout.contains(signature), "{name}: {}", run.stdout);
    }
    run
}

/// A name, a proof, further arguments, the exit code, and parts of the output.
type Case<'a> = (&'a str, String, &'a [&'a str], i32, &'a [&'a str]);

#[test]
fn verifies_token_with_its_proof() {
    let key = client();
    let bound = bound_to(&key);
    let proof = |url: &str| key.proof(&Method::POST, url, Some(&bound), None).unwrap();
    let old = key.clone().clock(|| std::time::SystemTime::now() - std::time::Duration::from_secs(600));
    let old = old.proof(&Method::POST, URL, Some(&bound), None).unwrap();
    let other = client().proof(&Method::POST, URL, Some(&bound), None).unwrap();
    let other_token = key.proof(&Method::POST, URL, Some("another"), None).unwrap();
    let cases: &[Case<'_>] = &[
        (
            "good",
            proof(URL),
            &[],
            0,
            &["✓ accepted", "POST https://api.example.com/v1/orders, made at", "bound to a key"],
        ),
        ("with its name", format!("DPoP: {}\n", proof(URL)), &[], 0, &["✓ accepted"]),
        ("public URL", proof(URL), &["--public-url", "https://api.example.com/v1"], 0, &["✓ accepted"]),
        ("method", proof(URL), &["--method", "GET"], 1, &["wrong_proof_request", "for the method `POST`"]),
        (
            "URL",
            proof("https://orders.example.com/v1/orders"),
            &[],
            1,
            &["wrong_proof_request", "at `https://orders.example.com`, set Dpop::new to this URL"],
        ),
        ("token", other_token, &[], 1, &["wrong_proof_token", "not the hash of this token"]),
        ("key", other, &[], 1, &["wrong_proof_key", "requested with"]),
        ("old", old.clone(), &[], 1, &["wrong_proof_time", "600 s old", "--max-proof-age 1d"]),
        ("old accepted", old, &["--max-proof-age", "1d"], 0, &["✓ accepted"]),
        ("no proof", "nonsense".to_owned(), &[], 1, &["malformed_proof", "not a JWT"]),
    ];
    for (name, proof, further, code, expected) in cases {
        let usual = ["--dpop-proof", proof, "--method", "POST", "--url", URL];
        let usual =
            if further.contains(&"--method") { &["--dpop-proof", proof, "--url", URL][..] } else { &usual };
        explain(name, &bound, &[usual, further].concat()).assert(*code, expected);
    }
}

#[test]
fn bound_token_without_proof_names_the_option() {
    let run = explain("without", &bound_to(&client()), &[]);
    run.assert(
        1,
        &["sender_constrained", "bound to a key, `jkt` ", "--dpop-proof PROOF --method GET --url", "✓ exp"],
    );
    let certificate = token(&json!({"x5t#S256": client().thumbprint().to_string()}));
    explain("certificate", &certificate, &[])
        .assert(1, &["sender_constrained", "bound to a certificate", "which only the service sees"]);
}

#[test]
fn proof_options_need_each_other() {
    for (name, further, expected) in [
        ("no url", &["--dpop-proof", "a"][..], "--url"),
        ("no proof", &["--url", URL], "--dpop-proof"),
        ("method alone", &["--method", "POST"], "--dpop-proof"),
        ("age alone", &["--max-proof-age", "1d"], "--dpop-proof"),
        ("no host", &["--dpop-proof", "a", "--url", "/orders"], "--url needs a scheme and a host"),
        (
            "other URL",
            &["--dpop-proof", "a", "--url", URL, "--public-url", "https://b.example"],
            "does not begin with the public URL",
        ),
        ("plain http", &["--dpop-proof", "a", "--url", "http://api.example.com"], "begin with `https://`"),
        ("line break", &["--dpop-proof", "a\nb", "--url", URL], "not the value of a header"),
        ("settings", &["--dpop-proof", "a", "--url", URL, "--env", "AUTH"], "cannot be used with"),
    ] {
        explain(name, "", further).assert(2, &[expected]);
    }
}
