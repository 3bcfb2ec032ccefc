//! The page and its headers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::http::{get_request, request_with};
use crate::support::{Demo, read, settings};

#[tokio::test]
async fn policy_allows_only_own_script_and_style() {
    let demo = Demo::start().await;
    let answer = demo.exchange(&get_request("/", &[])).await;
    assert_eq!(answer.status, 200);
    for (name, expected) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("cross-origin-opener-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(expected), "{name}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    let (script, style) = (hash(&answer.body, "script"), hash(&answer.body, "style"));
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'"
        )
    );
    for (tag, text) in [("<script", "one script"), ("<style", "one style")] {
        assert_eq!(answer.body.matches(tag).count(), 1, "{text}");
    }
    for stopped in [
        " style=",
        " onclick=",
        " onsubmit=",
        "javascript:",
        "innerHTML",
        " src=",
        r#"href="http"#,
        "url(",
        "@import",
    ] {
        assert!(!answer.body.contains(stopped), "the policy blocks {stopped}");
    }
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let public = [
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("PUBLIC_URL", "https://demo.example.com"),
        ("TRUSTED_PROXIES", "1"),
    ];
    for (settings, hsts) in
        [(settings("sqlite::memory:"), None), (read(&public).unwrap(), Some("max-age=63072000"))]
    {
        let demo = Demo::start_with(settings).await;
        let other_site = [("Origin", "https://evil.example")];
        for (name, request, status) in [
            ("page", get_request("/", &[]), 200),
            ("rejected token", get_request("/protected/", &[]), 401),
            ("no such route", get_request("/missing", &[]), 404),
            ("other method", get_request("/signin", &[]), 405),
            ("other site", request_with("POST", "/refresh", &other_site), 403),
        ] {
            let answer = demo.exchange(&request).await;
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
            assert_eq!(answer.header("strict-transport-security"), hsts, "{name}");
        }
    }
}

fn hash(page: &str, tag: &str) -> String {
    let start = page.find(&format!("<{tag}>")).unwrap() + tag.len() + 2;
    let end = start + page[start..].find(&format!("</{tag}>")).unwrap();
    BASE64_STANDARD.encode(Sha256::digest(&page[start..end]))
}
