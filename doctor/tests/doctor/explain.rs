//! `jwt-doctor explain`: each rejection names its cause and the setting that cures it.

use serde_json::{Value, json};

use crate::support::{
    AUDIENCE, ISSUER, OAUTH, OK, OPENID, Page, Provider, Run, SECRET, doctor, doctor_with, file, metadata,
    now, signed, unsigned,
};

const HS256: &str = r#"{"alg":"HS256"}"#;

/// Returns the claims of a good token with these changes. `null` removes a claim.
fn claims(changes: &Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": now() + 300});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims.to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "a macro creates all arguments")]
fn token(changes: Value) -> String {
    signed(HS256, &claims(&changes))
}

/// Returns the token with another signature.
fn forged(token: &str) -> String {
    let (text, signature) = token.rsplit_once('.').unwrap();
    // The last character has bits that are not used.
    let (first, rest) = signature.split_at(1);
    format!("{text}.{}{rest}", if first == "A" { "B" } else { "A" })
}

/// Explains a token from standard input.
fn explain(arguments: &[&str], token: &str) -> Run {
    let run = doctor_with(&[&["explain"], arguments].concat(), &[], token);
    assert_silent(&run, token);
    run
}

/// Checks that the output has neither the signature nor the secret, and nothing that a terminal obeys.
#[track_caller]
fn assert_silent(run: &Run, token: &str) {
    run.assert_harmless();
    let signature = token.rsplit('.').next().unwrap().trim();
    for secret in [signature, SECRET] {
        assert!(
            secret.len() < 16 || !run.stdout.contains(secret) && !run.stderr.contains(secret),
            "{}",
            run.stdout
        );
    }
}

/// Explains a token with [`SECRET`] and the usual issuer and audience.
fn explain_locally(name: &str, further: &[&str], token: &str) -> Run {
    let secret = file(&format!("explain-{}", name.replace(' ', "-")), SECRET);
    let usual = ["--secret-file", &secret, "--issuer", ISSUER, "--audience", AUDIENCE];
    explain(&[&usual, further].concat(), token)
}

/// Tokens with the kind of their rejection, and words of the cause, the cure and the setting.
fn rejected() -> Vec<(String, &'static str)> {
    let soon = now() + 120;
    let bad_header = |header: &str| signed(header, &claims(&json!({})));
    let encrypted = format!("{}.a.a.a", unsigned(r#"{"alg":"dir","enc":"A256GCM"}"#, ""));
    let unsigned = |header: &str| unsigned(header, &claims(&json!({})));
    let cognito = json!({"aud": null, "client_id": "c1", "token_use": "access"});
    vec![
        ("jR3fM9qLw8".to_owned(), "malformed_token|an opaque token|request a JWT"),
        (String::new(), "malformed_token|the token is empty|a variable that is not set"),
        (unsigned(HS256), "malformed_token|two of three parts|copy the whole token"),
        ("a.".repeat(10_000), "token_too_large|JwtVerifier::max_token_bytes|AUTH_MAX_TOKEN_BYTES"),
        (encrypted, "unsupported_token|(JWE|turn token encryption off"),
        (bad_header(r#"{"alg":"HS256","crit":["x"]}"#), "unsupported_token|`crit`|turn the extension off"),
        (
            bad_header(r#"{"alg":"HS256","typ":"logout+jwt"}"#),
            "wrong_token_type|`logout+jwt`|AUTH_TOKEN_TYPE",
        ),
        (format!("{}.", unsigned(r#"{"alg":"none"}"#)), "unsupported_algorithm|is not signed|issuer sign"),
        (bad_header(r#"{"alg":"HS1"}"#), "unsupported_algorithm|`HS1` is not supported|AUTH_ALGORITHMS"),
        (bad_header(r#"{"alg":"RS256"}"#), "unknown_key|only secrets|RemoteKeys::discover|AUTH_ISSUER"),
        (forged(&token(json!({}))), "invalid_signature|compare the secret|AUTH_HMAC_SECRET_FILE"),
        (token(json!({"exp": "soon"})), "invalid_claims|not a number of seconds|JSON number"),
        (signed(HS256, "[]"), "invalid_claims|not a JSON object|one JSON object"),
        (token(json!({"iss": "https://id.example.com/"})), "wrong_issuer|no slash at the end|AUTH_ISSUER"),
        (token(json!({"iss": null})), "wrong_issuer|no `iss`|have the issuer write its `iss`"),
        (token(json!({"iss": "https://evil.example"})), "wrong_issuer|of another issuer|realm, tenant"),
        (token(json!({"aud": null})), "wrong_audience|has no `aud`|send `audience`|AUTH_AUDIENCE"),
        (token(json!({"aud": "other"})), "wrong_audience|for another API|request a token for this API"),
        (
            token(json!({"aud": "https://api.example.com/"})),
            "wrong_audience|a slash at the end|set JwtVerifier",
        ),
        (token(json!({"aud": "a", "azp": "a", "nonce": "n"})), "wrong_audience|an ID token|send the access"),
        (token(json!({"aud": "account"})), "wrong_audience|`account` without a mapper|audience mapper"),
        (token(cognito), "wrong_audience|Cognito|require_claim(\"client_id\", YOUR_CLIENT_ID)"),
        (token(json!({"typ": "Refresh", "aud": "a"})), "wrong_audience|a refresh token|send the access"),
        (token(json!({"azp": "web"})), "wrong_claim|azp|JwtVerifier::require_claim|AUTH_REQUIRED_CLAIMS"),
        (
            token(json!({"cnf": {"jkt": "x"}})),
            "sender_constrained|a key by DPoP|set JwtVerifier::dpop|--dpop-proof",
        ),
        (token(json!({"exp": null})), "missing_expiry|no `exp`|insecure_allow_missing_expiry"),
        (token(json!({"nbf": soon})), "not_yet_valid|clocks|JwtVerifier::leeway|AUTH_LEEWAY_SECS"),
        (token(json!({"nbf": soon * 1000})), "not_yet_valid|in milliseconds|seconds since 1970"),
        (token(json!({"exp": now() - 100})), "expired|1 min 4|get a new token|NTP"),
    ]
}

#[test]
fn names_cause_and_cure_of_rejections() {
    for (token, expected) in rejected() {
        let (kind, words) = expected.split_once('|').unwrap();
        let required: &[&str] = if kind == "wrong_claim" { &["--require-claim", "azp=app"] } else { &[] };
        let run = explain_locally("table", required, &token);
        let verdict = format!("\n✗ rejected with 401 {kind}: ");
        // The cause, the cure and the setting are below the verdict.
        let (_, end) =
            run.stdout.split_once(&verdict).unwrap_or_else(|| panic!("{expected}: {}", run.stdout));
        for words in words.split('|').chain(["- cause ", "- cure "]) {
            assert!(end.contains(words), "{expected}: no `{words}` in {end}");
        }
        assert_eq!(run.code, 1, "{expected}");
    }
}

#[test]
fn settings_decide_verdict() {
    let early = token(json!({"nbf": now() + 120}));
    let other = token(json!({"aud": "other"}));
    for (name, further, token, code, expected) in [
        ("good", &[][..], token(json!({})), 0, "\n✓ accepted\n"),
        ("access tokens only", &["--access-tokens-only"], token(json!({})), 1, "remove access_tokens_only"),
        ("leeway", &["--leeway", "5m"], early, 0, "✓ accepted"),
        ("second audience", &["--audience", "other"], other, 0, "✓ accepted"),
        ("claim", &["--require-claim", "sub=\"42\""], token(json!({})), 0, "✓ accepted"),
    ] {
        let run = explain_locally(name, further, &token);
        // The doctor has no claims type.
        assert!(!run.assert(code, &[expected]).stdout.contains("claims_type"));
    }
}

#[test]
fn names_version_of_entra_issuers() {
    let version_1 = "https://sts.windows.net/8e1f/";
    let version_2 = "https://login.microsoftonline.com/8e1f/v2.0";
    for (given, received, cure) in [
        (version_2, version_1, "set `requestedAccessTokenVersion` to 2"),
        (version_1, version_2, "JwtVerifier::issuer to `https://login.microsoftonline.com/8e1f/v2.0`"),
        (version_2, "https://sts.windows.net/attacker/", "reject it, unless the tenant is yours"),
        ("https://login.microsoftonline.com/common/v2.0", version_2, "they name their tenant"),
    ] {
        let secret = file("entra", SECRET);
        let arguments = ["--secret-file", &secret, "--issuer", given, "--audience", AUDIENCE];
        explain(&arguments, &token(json!({"iss": received}))).assert(1, &["wrong_issuer", cure]);
    }
}

/// Returns a token of this issuer and the JWK set, which is always the same.
fn issued(name: &str, issuer: &str, further: &[&str]) -> (String, String) {
    let [key, jwks] = [("pem", PRIVATE_KEY), ("json", "")]
        .map(|(extension, content)| file(&format!("issued-{name}.{extension}"), content));
    let usual = ["mint", "--key", &key, "--issuer", issuer, "--audience", AUDIENCE, "--jwks-out", &jwks];
    let run = doctor(
        &[&usual[..], further, if further.contains(&"--kid") { &[] } else { &["--kid", "k1"] }].concat(),
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    (run.stdout, std::fs::read_to_string(jwks).unwrap())
}

const PRIVATE_KEY: &str = include_str!("../../../tests/fixtures/p256.private.pem");

#[test]
fn asks_provider_for_keys() {
    let (_, jwks) = issued("keys", "", &[]);
    let provider = Provider::of("ISSUER", &jwks);
    let arguments = ["--issuer", &provider.issuer, "--audience", AUDIENCE];
    let (good, _) = issued("good", &provider.issuer, &[]);
    explain(&arguments, &good).assert(0, &["✓ accepted"]);
    let held = "The provider's current keys:\n    `k1`: ES256, P-256\n";
    let (unknown, _) = issued("unknown", &provider.issuer, &["--kid", "k2"]);
    explain(&arguments, &unknown).assert(1, &["unknown_key", "no key has the `kid` `k2`", held]);
    explain(&arguments, &forged(&good)).assert(1, &["invalid_signature", held]);
}

#[test]
fn fetches_keys_of_url() {
    let (token, jwks) = issued("url", ISSUER, &[]);
    let provider = Provider::new(&[("/jwks", OK, jwks)]);
    let url = format!("{}/jwks", provider.issuer);
    explain(&["--jwks-url", &url, "--issuer", ISSUER, "--audience", AUDIENCE], &token)
        .assert(0, &["✓ accepted"]);
    explain(&["--jwks-url", &url, "--audience", AUDIENCE], &token).assert(
        1,
        &["wrong_issuer", "JwtVerifier::issuer is not set", "for example `https://id.example.com`"],
    );
}

#[test]
fn reads_document_at_another_url() {
    let (token, jwks) = issued("elsewhere", "acme.com", &[]);
    let provider = Provider::new(&[("/metadata", OK, metadata("acme.com")), ("/jwks", OK, jwks)]);
    let url = format!("{}/metadata", provider.issuer);
    let arguments = ["--issuer", "acme.com", "--discovery-url", &url, "--audience", AUDIENCE];
    explain(&arguments, &token).assert(0, &["✓ accepted"]);
    explain(&["--discovery-url", &url], &token).assert(2, &["--issuer <URL>"]);
}

#[test]
fn explains_provider_without_keys() {
    let (_, jwks) = issued("lost", "", &[]);
    let slash = Provider::of("ISSUER/", &jwks);
    let cases: &[(&str, String, i32, &[&str])] = &[
        (
            "slash",
            slash.issuer,
            1,
            &["names another issuer: `http://127.0.0.1:", "a slash at the end, and yours has none"],
        ),
        (
            "down",
            Provider::new(&[(OPENID, "503 Busy", String::new()), (OAUTH, "503 Busy", String::new())]).issuer,
            3,
            &["status 503", "jwt-doctor provider http://127.0.0.1:"],
        ),
        (
            "nobody",
            "http://127.0.0.1:1".to_owned(),
            3,
            &["The keys could not be fetched", "jwt-doctor provider http://127.0.0.1:1"],
        ),
    ];
    for (name, issuer, code, parts) in cases {
        // Claims that fit, so that only the key is missing.
        let (token, _) = issued(name, issuer, &[]);
        let run = explain(&["--issuer", issuer, "--audience", AUDIENCE], &token);
        for part in parts.iter().copied().chain(["keys_unavailable", "AUTH_HTTP_PROXY_URL"]) {
            assert!(run.stdout.contains(part), "{name}: no `{part}` in\n{}", run.stdout);
        }
        assert_eq!(run.code, *code, "{name}: {}", run.stdout);
    }
}

#[test]
fn names_endpoint_for_opaque_tokens() {
    let (_, jwks) = issued("opaque", "", &[]);
    let document =
        r#"{"issuer": "ISSUER", "jwks_uri": "ISSUER/jwks", "introspection_endpoint": "ISSUER/check"}"#;
    let provider = Provider::new(&[(OPENID, OK, document.to_owned()), ("/jwks", OK, jwks)]);
    let expected = format!("checks opaque tokens at `{}/check`", provider.issuer);
    explain(&["--issuer", &provider.issuer, "--audience", AUDIENCE], "jR3fM9qLw8").assert(1, &[&expected]);
}

#[test]
fn compares_clocks_of_expired_tokens() {
    let (_, jwks) = issued("clock", "", &[]);
    let late = "200 OK\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT";
    let pages: &[Page<'_>] = &[(OPENID, OK, metadata("ISSUER")), ("/jwks", late, jwks)];
    let issuer = Provider::new(pages).issuer;
    let (token, _) = issued("expired", &issuer, &["--expired"]);
    let arguments = ["--issuer", &issuer, "--audience", AUDIENCE];
    explain(&arguments, &token).assert(1, &["s behind this machine's: synchronize them"]);
}

#[test]
fn suggests_issuer_of_token() {
    let suggestion =
        "jwt-doctor explain --issuer https://id.example.com --audience https://api.example.com\n";
    explain(&[], &token(json!({}))).assert(2, &[suggestion, "nothing was verified", "--jwks-file"]);
    // Nobody has proven the issuer, so it must not reach the shell.
    let hostile = explain(&[], &token(json!({"iss": "https://id.example.com/$(reboot)\n"})));
    hostile.assert(2, &["--issuer 'https://id.example.com/$(reboot)\\n'"]);
    let none = explain(&[], &token(json!({"iss": null})));
    assert!(!none.assert(2, &["nothing was verified"]).stdout.contains("If you trust"));
}

#[test]
fn accepts_token_as_it_is_pasted() {
    let token = token(json!({}));
    let pasted = format!("Authorization: Bearer \"{}\"\n", token.replace('.', ".\n"));
    explain_locally("pasted", &[], &pasted).assert(
        1,
        &[
            "\n! accepted after clean-up",
            "Removed `Bearer ` in front",
            "Removed quotation marks",
            "Removed white space",
            "Removed the name of the header",
        ],
    );
    let secret = file("arguments", SECRET);
    let arguments =
        ["explain", "--secret-file", &secret, "--issuer", ISSUER, "--audience", AUDIENCE, "Bearer", &token];
    let run = doctor(&arguments);
    run.assert(0, &["list of processes"]);
    assert_silent(&run, &token);
}

#[test]
fn cleaned_token_has_own_exit_code() {
    let good = token(json!({}));
    for (name, text, code) in [
        ("plain", good.clone(), 0),
        ("scheme", format!("Bearer {good}\n"), 0),
        ("response", format!("{{\"access_token\": \"{good}\"}}"), 0),
        ("quotes", format!("\"{good}\""), 1),
        ("line break", good.replace('.', "\n."), 1),
    ] {
        let verdict = if code == 0 { "\n✓ accepted\n" } else { "\n! accepted after clean-up" };
        explain_locally(&format!("cleaned {name}"), &[], &text).assert(code, &[verdict]);
        let run = explain_locally(&format!("cleaned {name}"), &["--json"], &text);
        assert_eq!(run.code, code, "{name}");
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["cleaned_up"], code == 1, "{name}");
    }
    // A rejected token keeps its verdict.
    explain_locally("cleaned bad", &[], &format!("'{}'", forged(&good))).assert(1, &["✗ rejected with 401"]);
}

#[test]
fn prints_json_for_programs() {
    let token = token(json!({"aud": "\u{1b}[2J\u{9b}1m\u{202e}ü", "iss": "https://id.example.com/"}));
    let run = explain_locally("json", &["--json"], &format!("Bearer {token}"));
    assert!(run.stdout.is_ascii());
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(run.code, 1);
    assert_eq!(report["accepted"], false);
    assert_eq!(report["error"]["kind"], "wrong_issuer");
    assert_eq!(report["settings"], json!(["AUTH_ISSUER"]));
    assert_eq!(report["notes"].as_array().unwrap().len(), 1);
    let steps = report["steps"].as_array().unwrap();
    let aud = steps.iter().find(|step| step["name"] == "aud").unwrap();
    assert_eq!(aud["received"], "\\u{1b}[2J\\u{9b}1m\\u{202e}ü");
}

#[test]
fn hostile_tokens_control_no_terminal() {
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n✓ accepted";
    let quoted = json!(hostile).to_string();
    for (name, token) in [
        (
            "claims",
            token(json!({"iss": hostile, "aud": [hostile], "sub": hostile, "cnf": {hostile: hostile}})),
        ),
        (
            "header",
            signed(&format!(r#"{{"alg":{quoted},"kid":{quoted},"typ":{quoted}}}"#), &claims(&json!({}))),
        ),
        ("kid", signed(&format!(r#"{{"alg":"HS256","kid":{quoted}}}"#), &claims(&json!({"exp": hostile})))),
        ("text", format!("{hostile}.{hostile}.{hostile}")),
        ("bytes", "\u{1b}[31m".to_owned()),
    ] {
        let run = explain_locally(name, &[], &token);
        assert!(!run.stdout.lines().any(|line| line.starts_with("✓ accepted")), "{name}: {}", run.stdout);
        let run = explain_locally(name, &["--json"], &token);
        serde_json::from_str::<Value>(&run.stdout).unwrap();
    }
}

#[test]
fn names_settings_that_cannot_work() {
    let weak = file("weak-explain", "short");
    for (arguments, expected) in [
        (&["--secret-file", &weak][..], "at least 32 bytes, got 5"),
        (&["--pem-file", "/nowhere.pem", "--alg", "ES256"], "cannot read `/nowhere.pem`"),
        (&["--pem-file", "/nowhere.pem"], "--alg"),
        (&["--jwks-file", &weak], "JWK set"),
        (&["--jwks-file", &weak, "--secret-file", &weak], "cannot be used with"),
        (&["--jwks-file", &weak, "--alg", "ES256"], "cannot be used with"),
        (&["--jwks-url", ISSUER, "--alg", "ES256"], "cannot be used with"),
        (&["--issuer", ISSUER, "--alg", "ES256"], "--secret-file"),
        (&["--issuer", "http://id.example.com"], "begin with `https://`"),
        (&["--insecure-any-audience", "--audience", "a"], "cannot be used with"),
    ] {
        explain(arguments, "").assert(2, &[expected]);
    }
}
