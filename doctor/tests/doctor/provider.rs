//! `jwt-doctor provider`, with a provider on a loopback port.

use std::time::SystemTime;

use serde_json::{Value, json};
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};

use crate::support::{OAUTH, OK, OPENID, Page, Provider, doctor, doctor_with, metadata};

/// Returns the public JWK of a key.
fn public(key: SigningKey) -> Value {
    let mut set: Value = serde_json::from_str(&TokenIssuer::new(key, "").jwks()).unwrap();
    set["keys"][0].take()
}

fn jwk() -> Value {
    public(SigningKey::generate(Algorithm::ES256).unwrap().with_kid("k1"))
}

fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// Returns an RSA key with these members besides its numbers.
fn rsa(mut members: Value) -> Value {
    let pem = include_str!("../../../tests/fixtures/rsa2048.private.pem");
    let key = public(SigningKey::pem(Algorithm::RS256, pem).unwrap());
    for name in ["kty", "n", "e"] {
        members[name] = key[name].clone();
    }
    members
}

#[test]
fn reports_healthy_provider() {
    let keys = set(&[jwk(), rsa(json!({"kid": "enc", "use": "enc"})), rsa(json!({"kid": "k2"}))]);
    let document = json!({
        "issuer": "ISSUER", "jwks_uri": "ISSUER/jwks", "introspection_endpoint": "ISSUER/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "id_token_signing_alg_values_supported": ["RS256", "PS256"],
    });
    let cached = "200 OK\r\ncache-control: public, max-age=300\r\nage: 60";
    let pages = [(OAUTH, OK, document.to_string()), ("/jwks", cached, keys)];
    let provider = Provider::new(&pages);
    let issuer = &provider.issuer;
    doctor(&["provider", issuer, "--audience", "https://api.example.com"])
        .assert(
            0,
            &[
                &format!(
                    "OpenID         {issuer}/.well-known/openid-configuration\n                   status 404"
                ),
                &format!("✓ RFC 8414       {issuer}/.well-known/oauth-authorization-server\n"),
                &format!("✓ issuer         {issuer}\n"),
                "✓ key            `k1`: ES256, P-256\n",
                "✓ key            `k2`: RS256 (the key has no `alg`), RSA with 2048 bits\n",
                "- skipped        key 1 (`enc`): the JWK cannot be used: its `use` is not `sig`\n",
                "- algorithms     ES256, RS256; the document lists for ID tokens: RS256, PS256\n",
                "An RSA key without `alg` serves RS256",
                "every 4 min or up to a fifth earlier: `Cache-Control: public, max-age=300`, `Age: 60`",
                "client_secret_basic, private_key_jwt",
                &format!("let keys = RemoteKeys::discover(\"{issuer}\")?;\n"),
                "::new(keys.clone()).audience(\"https://api.example.com\");\n",
                &format!("AUTH_ISSUER={issuer}\n    AUTH_AUDIENCE=https://api.example.com\n"),
                "\n✓ the library verifies tokens of this provider\n",
            ],
        )
        .assert_harmless();
}

#[test]
fn names_issuer_difference() {
    for (stated, given, difference, advice) in [
        ("ISSUER/", "", "a slash at the end, and yours has none", "discover(\"ISSUER/\")?"),
        ("ISSUER", "/", "it has no slash at the end, and yours has one", "discover(\"ISSUER\")?"),
        ("https://127.0.0.1", "", "it has another scheme", "Nothing of this document"),
        ("https://id.example.com", "", "it has another host", "run `jwt-doctor provider` with it"),
        ("ISSUER/a", "", "it has another path", "AUTH_JWKS_URL=ISSUER/jwks"),
    ] {
        let provider = Provider::of(stated, &set(&[jwk()]));
        let issuer = &provider.issuer;
        let [stated, advice] = [stated, advice].map(|text| text.replace("ISSUER", issuer));
        let run = doctor(&["provider", &format!("{issuer}{given}")]);
        let verdict = match stated.starts_with(issuer.as_str()) {
            true => format!("✗ issuer mismatch: configure `{stated}` as the issuer\n"),
            false => format!("✗ issuer mismatch: the document is of `{stated}`\n"),
        };
        // The keys are checked nevertheless.
        let run = run.assert(1, &[difference, &advice, &verdict, "`k1`: ES256"]);
        assert_eq!(run.stdout.contains("AUTH_ISSUER"), stated.starts_with(issuer.as_str()), "{stated}");
    }
}

#[test]
fn reads_document_at_another_url() {
    let pages = [("/metadata", OK, metadata("acme.com")), ("/jwks", OK, set(&[jwk()]))];
    let provider = Provider::new(&pages);
    let url = format!("{}/metadata", provider.issuer);
    let run = doctor(&["provider", "acme.com", "--discovery-url", &url, "--audience", "a"]);
    run.assert(
        0,
        &[
            &format!("✓ OpenID         {url}\n"),
            "✓ issuer         acme.com\n",
            &format!("let keys = RemoteKeys::discover_at(\"acme.com\", \"{url}\")?;\n"),
            &format!("AUTH_ISSUER=acme.com\n    AUTH_DISCOVERY_URL={url}\n    AUTH_AUDIENCE=a\n"),
            "✓ the library verifies",
        ],
    );
    assert!(!run.stdout.contains("AUTH_JWKS_URL"), "{}", run.stdout);
    let other = doctor(&["provider", &provider.issuer, "--discovery-url", &url]);
    other.assert(1, &["the document says `acme.com`", "with --discovery-url if its document is this one"]);
    let plain = doctor(&["provider", "acme.com", "--discovery-url", "http://id.example.com/metadata"]);
    plain.assert(2, &["`http://id.example.com/metadata`", "--insecure-plain-http allows it"]);
}

#[test]
fn names_no_keys_of_other_hosts() {
    // Same host, other path: the issuer is configured, but not with keys that are elsewhere.
    let document = r#"{"issuer": "ISSUER/a", "jwks_uri": "http://127.0.0.1:1/jwks"}"#;
    let provider = Provider::new(&[(OPENID, OK, document.to_owned())]);
    let run = doctor(&["provider", &provider.issuer]);
    run.assert(1, &["✗ issuer mismatch", &format!("AUTH_ISSUER={}/a\n", provider.issuer)]);
    let (_, advice) = run.stdout.split_once("\nConfigure\n").unwrap();
    assert!(!advice.contains("127.0.0.1:1/"), "{advice}");
}

#[test]
fn finds_document_in_second_place() {
    let other = metadata("https://id.example.com");
    let pages = [(OPENID, OK, other), (OAUTH, OK, metadata("ISSUER")), ("/jwks", OK, set(&[jwk()]))];
    let provider = Provider::new(&pages);
    let issuer = format!("✓ issuer         {}\n", provider.issuer);
    doctor(&["provider", &provider.issuer]).assert(0, &[&issuer, "`k1`: ES256", "✓ the library verifies"]);
}

#[test]
fn names_unsupported_introspection() {
    let document = json!({
        "issuer": "ISSUER", "jwks_uri": "ISSUER/jwks", "introspection_endpoint": "ISSUER/introspect",
        "introspection_endpoint_auth_methods_supported": ["tls_client_auth"],
    });
    let provider = Provider::new(&[(OPENID, OK, document.to_string()), ("/jwks", OK, set(&[jwk()]))]);
    doctor(&["provider", &provider.issuer]).assert(0, &["tls_client_auth", "supports none of these methods"]);
}

#[test]
fn reports_faulty_provider() {
    let good = || metadata("ISSUER");
    let cases: &[(&str, &[Page<'_>], i32, &str)] = &[
        ("no document", &[], 1, "no discovery document: check the path"),
        (
            "error",
            &[(OPENID, "500 Oops", String::new()), (OAUTH, "502 Oops", String::new())],
            3,
            "cannot be reached",
        ),
        ("redirect", &[(OPENID, "302 Found\r\nlocation: /x", String::new())], 1, "redirects to `/x`"),
        ("no JSON", &[(OPENID, OK, "<html>".to_owned())], 1, "no valid `issuer` and `jwks_uri`"),
        (
            "no keys",
            &[(OPENID, OK, r#"{"issuer": "ISSUER"}"#.to_owned())],
            1,
            "no valid `issuer` and `jwks_uri`",
        ),
        (
            "keys elsewhere",
            &[(OPENID, OK, r#"{"issuer": "ISSUER", "jwks_uri": "http://id.example/"}"#.to_owned())],
            1,
            "invalid `jwks_uri`",
        ),
        ("lost keys", &[(OPENID, OK, good())], 1, "status 404"),
        (
            "faulty keys",
            &[(OPENID, OK, good()), ("/jwks", "503 Busy", String::new())],
            3,
            "could not be fetched",
        ),
        ("bad keys", &[(OPENID, OK, good()), ("/jwks", OK, "[]".to_owned())], 1, "✗ JWK set"),
        (
            "skipped keys",
            &[(OPENID, OK, good()), ("/jwks", OK, set(&[rsa(json!({"use": "enc"}))]))],
            1,
            "no key can be used",
        ),
        (
            "secret",
            &[(OPENID, OK, good()), ("/jwks", OK, set(&[jwk(), json!({"kty": "oct", "k": "aGk"})]))],
            1,
            "✗ the provider publishes a symmetric key",
        ),
        (
            "no kid",
            &[(OPENID, OK, good()), ("/jwks", OK, set(&[rsa(json!({"alg": "PS256"}))]))],
            0,
            "without `kid`",
        ),
        (
            "many",
            &[(OPENID, OK, good()), ("/jwks", OK, set(&vec![jwk(); 5]))],
            0,
            "5 keys have the same `kid`",
        ),
    ];
    for (name, pages, code, expected) in cases {
        let run = doctor(&["provider", &Provider::new(pages).issuer]);
        assert!(run.stdout.contains(expected), "{name}: no `{expected}` in {}", run.stdout);
        assert_eq!(run.code, *code, "{name}: {}", run.stdout);
    }
    // A port that nobody listens on.
    doctor(&["provider", "http://127.0.0.1:1"]).assert(3, &["cannot be reached", "--proxy"]);
}

#[test]
fn compares_clocks() {
    let verdict = "✗ the clocks of the provider and of this machine differ too much";
    let leeway = "or set JwtVerifier::leeway";
    // The age counts as a part of the provider's time.
    for (ahead, code, part, is_leeway_named) in [
        (0, 0, "✓ clock", false),
        (30, 0, "✓ clock", false),
        (120, 1, "synchronize the clocks", true),
        (600, 1, "set the clock that is wrong", false),
    ] {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let head = format!("200 OK\r\ndate: {date}\r\nage: {ahead}");
        let provider = Provider::new(&[(OPENID, OK, metadata("ISSUER")), ("/jwks", &head, set(&[jwk()]))]);
        let run = doctor(&["provider", &provider.issuer]);
        run.assert(code, &[part]);
        assert_eq!(run.stdout.contains(leeway), is_leeway_named, "{ahead}: {}", run.stdout);
        assert_eq!(run.stdout.contains(verdict), code == 1, "{ahead}: {}", run.stdout);
    }
    let late = "200 OK\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT";
    let provider = Provider::new(&[(OPENID, OK, metadata("ISSUER")), ("/jwks", late, set(&[jwk()]))]);
    doctor(&["provider", &provider.issuer]).assert(1, &["✗ clock", "s behind this machine's"]);
}

#[test]
fn names_no_rule_for_published_secrets() {
    let secret = json!({"kty": "oct", "kid": "s1", "k": "aGk"});
    let run = doctor(&["provider", &Provider::of("ISSUER", &set(&[jwk(), secret])).issuer]);
    run.assert(1, &["- skipped        key 1 (`s1`): it is a symmetric key, which is never used"]);
    assert!(!run.stdout.contains("allow_symmetric_keys"), "{}", run.stdout);
}

#[test]
fn accepts_url_of_document() {
    let provider = Provider::of("ISSUER", &set(&[jwk()]));
    let url = format!("{}{OPENID}", provider.issuer);
    let expected = format!("Provider {}\n", provider.issuer);
    doctor(&["provider", &url]).assert(0, &[&expected, "You gave the URL of a discovery document"]);
}

#[test]
fn hostile_provider_controls_no_terminal() {
    let hostile = "\\u001b]0;owned\\u0007\\u009b31m\\u202e\\r\\n✓ issuer fine";
    let document = format!(
        r#"{{"issuer": "ISSUER{hostile}", "jwks_uri": "ISSUER/jwks", "introspection_endpoint": "{hostile}",
            "introspection_endpoint_auth_methods_supported": ["{hostile}"]}}"#
    );
    let mut key = jwk();
    key["kid"] = serde_json::from_str(&format!("\"{hostile}\"")).unwrap();
    let odd = json!({"kty": key["kid"], "kid": key["kid"]});
    let headers = "200 OK\r\ncache-control: \u{9b}31m\r\nage: \u{9b}31m";
    let pages = [(OPENID, OK, document), ("/jwks", headers, set(&[key, odd]))];
    let run = doctor(&["provider", &Provider::new(&pages).issuer]);
    run.assert(1, &["issuer mismatch", "\\u{1b}]0;owned"]).assert_harmless();
    let forged = run.stdout.lines().find(|line| line.trim_start().starts_with("✓ issuer"));
    assert_eq!(forged, None);

    let location = "302 Found\r\nlocation: /\u{9b}31m";
    let pages = [(OPENID, location, String::new()), (OAUTH, OK, "\x1b[31m".to_owned())];
    doctor(&["provider", &Provider::new(&pages).issuer]).assert(1, &["redirects"]).assert_harmless();
}

#[test]
fn colours_are_for_terminals() {
    let provider = Provider::of("ISSUER", &set(&[jwk()]));
    let arguments = ["provider", &provider.issuer];
    let forced = doctor_with(&arguments, &[("CLICOLOR_FORCE", "1")], "");
    assert!(forced.stdout.contains("\x1b[32m✓\x1b[0m"), "{}", forced.stdout);
    doctor_with(&arguments, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], "").assert(0, &[]);
    doctor(&arguments).assert(0, &[]).assert_harmless();
}

#[test]
fn names_invalid_settings() {
    for (arguments, expected) in [
        (&["http://id.example.com"][..], "--insecure-plain-http allows it"),
        (&["id.example.com"], "begin with `https://`"),
        (&["https://id.example.com", "--proxy", "ftp://user:hunter2@a"], "invalid proxy URL"),
        (&["https://id.example.com", "--ca-file", "/nowhere.pem"], "cannot read `/nowhere.pem`"),
        (&[], "<ISSUER>"),
    ] {
        let run = doctor(&[&["provider"], arguments].concat());
        run.assert(2, &[expected]);
        assert!(!run.stderr.contains("hunter2"));
    }
}
