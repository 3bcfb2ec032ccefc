//! The refresh cookie, and requests from the pages of other sites.

use crate::http::request_with;
use crate::support::{Demo, SECRET, read, settings};

#[tokio::test]
async fn refresh_cookie_has_strict_attributes() {
    let secure = [
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("JWT_SECRET", SECRET),
        ("PUBLIC_URL", "https://demo.example.com"),
        ("TRUSTED_PROXIES", "1"),
    ];
    for (settings, name, https) in
        [(settings("sqlite::memory:"), "refresh", ""), (read(&secure).unwrap(), "__Host-refresh", " Secure;")]
    {
        let demo = Demo::start_with(settings).await;
        let answer = demo.signup("ada@example.com", "purple lattice umbrella").await;
        let cookie = answer.header("set-cookie").unwrap().to_owned();
        let value = cookie.split(['=', ';']).nth(1).unwrap();
        assert_eq!(value.len(), 43, "256 bits in base64url");
        assert_eq!(
            cookie,
            format!("{name}={value}; HttpOnly; SameSite=Strict;{https} Path=/; Max-Age=604800")
        );
        let refreshed = demo.refresh(&answer.cookie()).await;
        assert_eq!(refreshed.status, 200);
        let removed = demo.sign_out("/signout", &refreshed.bearer()).await;
        let expected = format!("{name}=; HttpOnly; SameSite=Strict;{https} Path=/; Max-Age=0");
        assert_eq!(removed.header("set-cookie"), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn rejects_requests_from_other_sites() {
    let mut variables = vec![
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("TRUSTED_PROXIES", "1"),
        ("PUBLIC_URL", "https://demo.example.com/"),
    ];
    let public = Demo::start_with(read(&variables).unwrap()).await;
    variables.pop();
    let plain = Demo::start_with(read(&variables).unwrap()).await;

    let refused = (403, "cross_site");
    // The request passes the check and then has no refresh token.
    let passed = (401, "refresh_invalid");
    for (name, demo, headers, expected) in [
        ("curl", &plain, &[][..], passed),
        ("the page itself", &plain, &[("Sec-Fetch-Site", "same-origin"), ("Origin", "http://demo")], passed),
        (
            "another site",
            &plain,
            &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
            refused,
        ),
        (
            "a sibling domain",
            &plain,
            &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://other.demo")],
            refused,
        ),
        ("an old browser", &plain, &[("Origin", "http://demo")], passed),
        ("an old browser, another site", &plain, &[("Origin", "https://evil.example")], refused),
        ("a frame without an origin", &plain, &[("Origin", "null")], refused),
        ("by the proxy", &public, &[("Origin", "https://demo.example.com")], passed),
        ("another site by the proxy", &public, &[("Origin", "https://evil.example")], refused),
    ] {
        let answer = demo.exchange(&request_with("POST", "/refresh", headers)).await;
        assert_eq!((answer.status, answer.error().as_str()), expected, "{name}");
    }
    let answer = plain.exchange(&request_with("GET", "/", &[("Sec-Fetch-Site", "cross-site")])).await;
    assert_eq!(answer.status, 200, "a link from another site");
}

#[test]
fn rejects_invalid_public_urls() {
    let problem =
        "PUBLIC_URL: must be https:// with a host and optionally a port, such as https://demo.example.com";
    for url in [
        "demo.example.com",
        "http://demo.example.com",
        "https://",
        "https://demo.example.com/app",
        "https://demo.example.com?x",
        "https://demo.example.com#x",
        "https://user@demo.example.com",
        "https://user:password@demo.example.com",
        "https://*.example.com",
        "https://*",
        " https://demo.example.com",
        "https://demo.example.com ",
        "https://demo example.com",
        "https://demo.example.com:",
        "https://demo.example.com:port",
        "https://demo.example.com:65536",
        "https://:8443",
        "https://dämo.example.com",
        "https://demo.example.com, https://other.example.com",
    ] {
        assert_eq!(read(&[("PUBLIC_URL", url)]).unwrap_err().to_string(), problem, "{url}");
    }
    for url in [
        "https://demo.example.com",
        "https://Demo.example.com:443/",
        "https://demo.example.com:8443",
        "https://192.0.2.1",
        "https://[2001:db8::1]:8443",
    ] {
        read(&[("PUBLIC_URL", url), ("TRUSTED_PROXIES", "1")]).unwrap();
    }
}
