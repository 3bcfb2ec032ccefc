//! The page and its headers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::http::get_request;
use crate::support::Demo;

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
        ("x-content-type-options", "nosniff"),
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

fn hash(page: &str, tag: &str) -> String {
    let start = page.find(&format!("<{tag}>")).unwrap() + tag.len() + 2;
    let end = start + page[start..].find(&format!("</{tag}>")).unwrap();
    BASE64_STANDARD.encode(Sha256::digest(&page[start..end]))
}
