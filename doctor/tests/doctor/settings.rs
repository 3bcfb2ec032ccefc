//! The settings of a service, from a file or the environment.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tower_jwt_auth::settings::AuthSettings;

use crate::support::{
    AUDIENCE, ISSUER, OK, Provider, Run, SECRET, doctor, doctor_with, file, metadata, now, signed,
};

fn settings(name: &str, text: &str) -> String {
    file(&format!("settings-{name}"), text)
}

fn with_secret(further: &str) -> String {
    format!(
        "issuer = \"{ISSUER}\"\naudience = [\"{AUDIENCE}\", \"other\"]\nhmac_secret = \"{SECRET}\"\n{further}"
    )
}

/// Explains a token with a file, and checks that the secret is not printed.
fn explain(arguments: &[&str], token: &str) -> Run {
    let run = doctor_with(&[&["explain"], arguments].concat(), &[], token);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("thirty-two"), "{}", run.stdout);
    run
}

fn payload(token: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn minted_token_fits_settings() {
    let json = format!(
        r#"{{"auth": {{"issuer": "{ISSUER}", "audience": "{AUDIENCE}", "hmac_secret": "{SECRET}"}}}}"#
    );
    let secret = file("settings-secret", &format!("{SECRET}\n"));
    let followed = format!("issuer = \"{ISSUER}\"\naudience = \"a\"\nhmac_secret_file = {secret:?}\n");
    for (name, text, further) in [
        ("plain.toml", with_secret(""), &[][..]),
        (
            "strict.toml",
            with_secret("access_tokens_only = true\nrequired_claims = {azp = [\"a\", \"b\"], n = 1}"),
            &[],
        ),
        ("table.toml", format!("[auth]\n{}", with_secret("")), &["--table", "auth"]),
        ("file.toml", followed, &[]),
        ("other.toml", with_secret("hmac_algorithm = \"HS256\""), &[]),
        ("file.json", json, &["--table", "auth"]),
    ] {
        let path = settings(name, &text);
        let source = [&["--settings", &path], further].concat();
        let minted = doctor(&[&["mint"], &source[..], &["--subject", "42"]].concat());
        minted.assert(0, &["HS256"]);
        explain(&source, &minted.stdout).assert(0, &["✓ accepted"]);
        assert!(!payload(&minted.stdout).contains('['), "{name}");
        let expired = doctor(&[&["mint"], &source[..], &["--expired"]].concat()).stdout;
        explain(&source, &expired).assert(1, &["401 expired", "AUTH_LEEWAY_SECS"]);
    }
}

#[test]
fn explains_with_variables() {
    let secret = file("variables-secret", SECRET);
    let variables = [("APP_ISSUER", ISSUER), ("APP_AUDIENCE", "other"), ("APP_HMAC_SECRET_FILE", &secret)];
    let claims = format!(r#"{{"iss": "{ISSUER}", "aud": "{AUDIENCE}", "exp": {}}}"#, now() + 300);
    let token = signed(r#"{"alg":"HS256"}"#, &claims);
    doctor_with(&["explain", "--env", "APP"], &variables, &token)
        .assert(1, &["wrong_audience", "expected `other`"]);
    let typo = [("APP_ISUER", ISSUER)];
    doctor_with(&["explain", "--env", "APP"], &typo, "")
        .assert(2, &["APP_ISUER", "did you mean `APP_ISSUER`"]);
}

#[test]
fn chooses_verifier_by_issuer() {
    let issuers = format!(
        "[[issuers]]\nissuer = \"https://a.example\"\naudience = \"a\"\nhmac_secret = \"{SECRET}\"\n\
         [[issuers]]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nhmac_secret = \"{SECRET}\"\n"
    );
    let path = settings("issuers.toml", &issuers);
    let token = |iss: &str| {
        let claims = format!(r#"{{"iss": "{iss}", "aud": "{AUDIENCE}", "exp": {}}}"#, now() + 300);
        signed(r#"{"alg":"HS256"}"#, &claims)
    };
    explain(&["--settings", &path], &token(ISSUER)).assert(0, &["✓ accepted"]);
    explain(&["--settings", &path], &token("https://a.example"))
        .assert(1, &["wrong_audience", "expected `a`"]);
    explain(&["--settings", &path], &token("https://c.example"))
        .assert(1, &["wrong_issuer", "accept 2 issuers"]);
    // No verifier sees the algorithm, since none is of this issuer.
    let claims = r#"{"iss": "https://c.example", "aud": "a", "exp": 1}"#;
    explain(&["--settings", &path], &signed(r#"{"alg":"HS1"}"#, claims))
        .assert(1, &["401 wrong_issuer", "AUTH_ISSUER", "As a JWT: "]);
    doctor(&["mint", "--settings", &path]).assert(2, &["not exactly one issuer"]);
}

#[test]
fn explains_tokens_that_no_verifier_takes() {
    let path = settings("opaque.toml", &with_secret(""));
    let opaque = "jR3fM9qLw8jR3fM9qLw8";
    explain(&["--settings", &path], opaque).assert(
        1,
        &[
            "401 invalid_token",
            "no AnyOf::prefix fits the token",
            "As a JWT: the token has no dots",
            "request a JWT",
        ],
    );
    // An encrypted token has five parts, so no verifier of JWTs sees it.
    explain(&["--settings", &path], "a.b.c.d.e").assert(1, &["401 invalid_token", "no AnyOf::prefix fits"]);
    let made = doctor(&["api-key", "--prefix", "beta"]).stdout;
    explain(&["--settings", &path], made.lines().next().unwrap())
        .assert(1, &["401 invalid_token", "an API key with the prefix beta", "AUTH_API_KEYS_PREFIX"]);
    let run = explain(&["--settings", &path, "--json"], opaque);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["error"]["kind"], "invalid_token");
    assert!(!run.stdout.contains(opaque));
}

#[test]
fn explains_api_keys() {
    let file = file("settings-api-keys.json", "[]");
    let key = doctor(&["api-key", "--prefix", "acme", "--keys-file", &file]).stdout;
    let key = key.trim_end();
    let typo = format!("{}{}", &key[..key.len() - 1], if key.ends_with('a') { 'b' } else { 'a' });
    let unknown = doctor(&["api-key", "--prefix", "acme"]).stdout;
    let text = format!("[api_keys]\nprefix = \"acme\"\nfile = {file:?}\n");
    let path = settings("api-keys.toml", &text);
    let both = settings("both.toml", &with_secret(&text));
    for settings in [&path, &both] {
        let source = ["--settings", settings];
        explain(&source, key).assert(0, &["\n✓ accepted\n"]);
        explain(&source, &format!("'{key}'")).assert(1, &["\n! accepted after clean-up"]);
        for (key, parts) in [
            (typo.as_str(), &["401 malformed_api_key", "copy the whole key", "AUTH_API_KEYS_PREFIX"][..]),
            (unknown.lines().next().unwrap(), &["401 invalid_token", "file of keys", "AUTH_API_KEYS_FILE"]),
        ] {
            let run = explain(&source, key);
            assert!(!run.assert(1, parts).assert_harmless().stdout.contains(key));
        }
    }
    // The prefix counts before the dots.
    explain(&["--settings", &both], "acme_a.b.c").assert(1, &["401 malformed_api_key", "copy the whole key"]);
    let run = explain(&["--settings", &both, "--json"], "acme_a.b.c");
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).unwrap()["error"]["kind"], "malformed_api_key");
    // Tokens of the other kind.
    let minted = doctor(&["mint", "--settings", &both]).stdout;
    explain(&["--settings", &both], &minted).assert(0, &["✓ signature", "✓ accepted"]);
    explain(&["--settings", &path], &minted).assert(1, &["401 invalid_token", "AnyOf::jwt is not set"]);
}

#[test]
fn explains_introspected_tokens() {
    let hostile = "\\u001b[2J\\u009b1m";
    for (name, head, body, code, parts) in [
        (
            "active",
            OK,
            r#"{"active": true, "iss": "ISSUER", "aud": "api"}"#.to_owned(),
            0,
            &["✓ accepted"][..],
        ),
        ("inactive", OK, r#"{"active": false}"#.to_owned(), 1, &["401 invalid_token", "get a new token"]),
        (
            "audience",
            OK,
            format!(r#"{{"active": true, "iss": "ISSUER", "aud": "{hostile}"}}"#),
            1,
            &["401 wrong_audience", "AUTH_INTROSPECTION_AUDIENCE"],
        ),
        (
            "secret",
            "401 Unauthorized",
            String::new(),
            3,
            &["503 unavailable", "AUTH_INTROSPECTION_CLIENT_SECRET"],
        ),
    ] {
        let provider = Provider::new(&[("/introspect", head, body)]);
        let text = format!(
            "[introspection]\nissuer = \"{0}\"\nendpoint_url = \"{0}/introspect\"\nclient_id = \"shop\"\n\
             client_secret = \"{SECRET}\"\naudience = \"api\"\n",
            provider.issuer
        );
        let path = settings(&format!("introspection-{name}.toml"), &text);
        let run = explain(&["--settings", &path], "jR3fM9qLw8jR3fM9qLw8");
        run.assert(code, parts).assert_harmless();
        assert!(!run.stdout.contains("jR3fM9qLw8"), "{name}: {}", run.stdout);
    }
}

#[test]
fn fetches_keys_of_settings() {
    let key = file("settings-key.pem", include_str!("../../../tests/fixtures/p256.private.pem"));
    let jwks = file("settings-jwks.json", "");
    doctor(&["mint", "--key", &key, "--jwks-out", &jwks]).assert(0, &[]);
    let set = std::fs::read_to_string(jwks).unwrap();
    for (stated, code, expected) in [("ISSUER", 0, "✓ accepted"), ("ISSUER/", 3, "issuer mismatch")] {
        let provider = Provider::of(stated, &set);
        let text = format!("issuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", provider.issuer);
        let path = settings(&format!("fetched-{code}.toml"), &text);
        let minted = doctor(&["mint", "--settings", &path, "--key", &key]).stdout;
        explain(&["--settings", &path], &minted).assert(code, &[expected]);
    }
}

#[test]
fn advice_for_provider_is_valid() {
    let issuer = "ISSUER/realms/shop";
    let place = "/realms/shop/.well-known/openid-configuration";
    let jwks = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let provider = Provider::new(&[(place, OK, metadata(issuer)), ("/jwks", OK, jwks.to_owned())]);
    let ca = file("settings-ca.pem", include_str!("../../../tests/fixtures/tls-ca.pem"));
    let url = format!("{}/realms/shop", provider.issuer);
    for (further, expected) in [
        (&[][..], "\n        .require_claim(\"typ\", \"Bearer\");\n"),
        (&["--ca-file", &ca], "HttpsClient::new().add_root_certificates(std::fs::read("),
        (&["--proxy", "http://a:hunter2@127.0.0.1:9"], ".proxy(\"http://USER:PASSWORD@PROXY\")?"),
    ] {
        let run = doctor(&[&["provider", &url], further].concat());
        run.assert(0, &[expected, "Keycloak"]);
        assert!(!run.stdout.contains("hunter2"));
        // The lines are variables that the library accepts.
        let lines = run.stdout.lines().filter_map(|line| line.trim().strip_prefix("AUTH_")?.split_once('='));
        let variables =
            lines.map(|(name, value)| (format!("AUTH_{name}"), value.trim_matches('\'').to_owned()));
        let settings = AuthSettings::from_vars("AUTH", variables).unwrap();
        assert!(settings.verifier::<Value>().is_ok());
    }
}

#[test]
fn errors_show_no_secret() {
    for (name, text, expected) in [
        ("syntax.toml", with_secret("hmac_secret = \"thirty-two"), "line 4 is not valid TOML"),
        ("syntax.json", format!("{{\"hmac_secret\": \"{SECRET}\""), "line 1 is not valid JSON"),
        ("typo.toml", with_secret("isuer = \"thirty-two\""), "did you mean `issuer`"),
        ("table.toml", format!("[auth]\n{}", with_secret("")), "add --table auth"),
        ("type.toml", with_secret("leeway_secs = \"thirty-two\""), "leeway_secs"),
    ] {
        explain(&["--settings", &settings(&format!("error-{name}"), &text)], "").assert(2, &[expected]);
    }
    let path = settings("good.toml", &with_secret(""));
    for (arguments, expected) in [
        (&["--settings", &path, "--issuer", ISSUER][..], "cannot be used with"),
        (&["--settings", &path, "--env", "AUTH"], "cannot be used with"),
        (&["--settings", &path, "--alg", "HS256"], "cannot be used with"),
        (&["--settings", &path, "--proxy", "http://127.0.0.1:9"], "cannot be used with"),
        (&["--settings", &path, "--ca-file", &path], "cannot be used with"),
        (&["--env", "AUTH", "--insecure-plain-http"], "cannot be used with"),
        (&["--settings", &path, "--table", "auth"], "has no table `auth`"),
        (&["--settings", "/nowhere.toml"], "cannot read `/nowhere.toml`"),
        (&["--table", "auth"], "--settings"),
    ] {
        explain(arguments, "").assert(2, &[expected]);
    }
}

#[test]
fn named_variables_exist() {
    let sources = [
        include_str!("../../src/explain/hints.rs"),
        include_str!("../../src/explain/opaque.rs"),
        include_str!("../../src/provider/advice.rs"),
        include_str!("../../README.md"),
    ];
    let is_other = |character: char| !character.is_ascii_uppercase() && character != '_';
    let words = sources.iter().flat_map(|source| source.split(is_other));
    let names: std::collections::BTreeSet<_> = words.filter(|word| word.starts_with("AUTH_")).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        // It may have another type, but the name is known.
        let error = AuthSettings::from_vars("AUTH", [(name, "x")]).err().map(|error| error.to_string());
        assert!(!error.as_ref().is_some_and(|error| error.contains("unknown")), "{name}: {error:?}");
    }
    assert!(
        AuthSettings::from_vars("AUTH", [("AUTH_ISUER", "x")]).unwrap_err().to_string().contains("unknown")
    );
}
