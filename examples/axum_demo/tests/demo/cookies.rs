//! The cookie with the refresh token, and what other sites' pages may do with it.

use crate::http::request_with;
use crate::support::{Demo, SECRET, read, settings};

#[tokio::test]
async fn are_for_this_site_alone() {
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
        let answer = demo.sign_in().await;
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
async fn are_of_no_use_to_other_sites() {
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
    // Let through, and then found to have no token.
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
        ("a neighbour", &plain, &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://other.demo")], refused),
        ("an old browser", &plain, &[("Origin", "http://demo")], passed),
        ("an old browser elsewhere", &plain, &[("Origin", "https://evil.example")], refused),
        ("a frame without an origin", &plain, &[("Origin", "null")], refused),
        ("by the proxy", &public, &[("Origin", "https://demo.example.com")], passed),
        ("elsewhere by the proxy", &public, &[("Origin", "https://evil.example")], refused),
    ] {
        let answer = demo.exchange(&request_with("POST", "/refresh", headers)).await;
        assert_eq!((answer.status, answer.error().as_str()), expected, "{name}");
    }
    let answer = plain.exchange(&request_with("GET", "/", &[("Sec-Fetch-Site", "cross-site")])).await;
    assert_eq!(answer.status, 200, "a link from elsewhere");
}

#[test]
fn need_a_public_url_that_is_one() {
    let problem = "PUBLIC_URL: must be https, a host and perhaps a port, as in https://demo.example.com";
    for url in [
        "demo.example.com",
        "http://demo.example.com",
        "https://",
        "https://demo.example.com/app",
        "https://demo.example.com?x",
        "https://dämo.example.com",
        "https://demo.example.com, https://other.example.com",
    ] {
        assert_eq!(read(&[("PUBLIC_URL", url)]).unwrap_err().to_string(), problem, "{url}");
    }
    for url in ["https://demo.example.com", "https://Demo.example.com:443/", "https://demo.example.com:8443"]
    {
        read(&[("PUBLIC_URL", url), ("TRUSTED_PROXIES", "1")]).unwrap();
    }
}
