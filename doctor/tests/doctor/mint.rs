//! `jwt-doctor mint`.

use serde_json::Value;
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, KeySet};

use crate::support::{AUDIENCE, ISSUER, Run, SECRET, doctor, file};

/// Makes a token with a secret.
fn mint(name: &str, arguments: &[&str]) -> Run {
    let secret = file(name, &format!("{SECRET}\n"));
    let mut all = vec!["mint", "--secret-file", &secret, "--issuer", ISSUER];
    all.extend(["--audience", AUDIENCE]);
    all.extend(arguments);
    doctor(&all)
}

#[track_caller]
fn verify(run: &Run, keys: KeySet) -> Result<Value, AuthErrorKind> {
    assert_eq!(run.code, 0, "{}", run.stderr);
    let verifier = JwtVerifier::<Value>::new(keys).issuer(ISSUER).audience(AUDIENCE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let claims = runtime.block_on(verifier.verify(run.stdout.trim_end()).into_future());
    claims.map(|claims| (*claims).clone()).map_err(|error| error.kind())
}

fn secret() -> KeySet {
    KeySet::hmac(Algorithm::HS256, SECRET).unwrap()
}

#[test]
fn makes_token_with_claims() {
    let run = mint(
        "claims",
        &["--subject", "42", "--scope", "a b", "--scope", "c", "--claim", "n=[1]", "--claim", "email=x=y"],
    );
    // One line with three parts: nothing else on standard output.
    assert_eq!(run.stdout.split('.').count(), 3);
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(!run.stderr.contains(SECRET));
    let claims = verify(&run, secret()).unwrap();
    for (name, expected) in [
        ("sub", Value::from("42")),
        ("scope", "a b c".into()),
        ("n", vec![1].into()),
        ("email", "x=y".into()),
        ("iss", ISSUER.into()),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
}

#[test]
fn makes_tokens_that_are_rejected() {
    assert_eq!(verify(&mint("expired", &["--expired"]), secret()), Err(AuthErrorKind::Expired));
    assert_eq!(verify(&mint("early", &["--not-yet-valid"]), secret()), Err(AuthErrorKind::NotYetValid));
}

#[test]
fn publishes_keys_of_token() {
    let private = include_str!("../../../tests/fixtures/p256.private.pem");
    let pem = file("publish.pem", private);
    let jwks = file("publish.json", "");
    let target = ["--issuer", ISSUER, "--audience", AUDIENCE];
    for (name, key) in [
        ("generated", &["--jwks-out", &jwks][..]),
        ("chosen", &["--alg", "EdDSA", "--jwks-out", &jwks]),
        ("read", &["--key", &pem, "--kid", "k1", "--jwks-out", &jwks]),
    ] {
        let run = doctor(&[&["mint"], &target[..], key].concat());
        let keys = KeySet::jwks_file(&jwks).unwrap();
        assert!(verify(&run, keys).is_ok(), "{name}");
        assert!(!run.stderr.contains("PRIVATE"), "{name}");
    }
    doctor(&["mint"]).assert(0, &["\"kty\":\"EC\"", "https://issuer.test", "--audience"]);
}

#[test]
fn overwrites_only_key_sets() {
    let private = include_str!("../../../tests/fixtures/p256.private.pem");
    let pem = file("overwritten.pem", private);
    for (name, content) in [("key", private), ("JSON", "{}"), ("text", "notes")] {
        let path = if name == "key" { pem.clone() } else { file("overwritten.other", content) };
        let run = doctor(&["mint", "--key", &pem, "--jwks-out", &path]);
        run.assert(2, &["is not a JWK set: it was not overwritten"]);
        assert!(run.stdout.is_empty(), "{name}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "{name}");
    }
}

#[test]
fn names_mistakes() {
    let strong = file("strong", SECRET);
    let [weak, public] =
        [file("weak", "short"), file("public.pem", include_str!("../../../tests/fixtures/p256.public.pem"))];
    for (arguments, expected) in [
        (&["--alg", "HS256"][..], "set --secret-file"),
        (&["--alg", "hs256"], "use `HS256`"),
        (&["--secret-file", &weak], "at least 32 bytes, got 5"),
        (&["--key", &public], "public key"),
        (&["--key", "/nowhere.pem"], "cannot read `/nowhere.pem`"),
        (&["--secret-file", &strong, "--jwks-out", &weak], "a secret is never published"),
        (&["--claim", "exp=1"], "use --lifetime"),
        (&["--claim", "iat=1"], "reserved claim `iat`"),
        (&["--claim", "a"], "--claim NAME=JSON"),
        (&["--claim", "a=1", "--claim", "a=2"], "`a` is set twice"),
        (&["--claim", "sub=1", "--subject", "2"], "`sub` is set twice"),
        (&["--lifetime", "soon"], "is not a duration"),
        (&["--expired", "--not-yet-valid"], "cannot be used with"),
    ] {
        let run = doctor(&[&["mint"], arguments].concat());
        run.assert(2, &[expected]);
        assert_eq!(run.stdout, "");
    }
}
