//! Error responses have one form, from the demo and from the library.

use crate::http::{Answer, JSON, get_request, post_request, request, request_with};
use crate::support::Demo;

#[tokio::test]
async fn are_problem_details_on_every_route() {
    let demo = Demo::start().await;
    let ask = async |request: Vec<u8>| demo.exchange(&request).await;
    let evil = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")];
    let library = "https://docs.rs/tower-jwt-auth/latest/tower_jwt_auth/enum.AuthErrorKind.html#variant.";
    let own = "https://demo.example/problems#";
    for (name, answer, status, kind) in [
        ("no token", demo.protected(&[]).await, 401, format!("{library}MissingCredential")),
        ("bad token", demo.protected(&["Bearer a.b.c"]).await, 401, format!("{library}MalformedToken")),
        ("sign-out", ask(request("POST", "/signout", &[])).await, 401, format!("{library}MissingCredential")),
        ("sign-in", demo.signin("eze@example.com", "wrong").await, 401, format!("{own}wrong_credentials")),
        ("broken JSON", ask(post_request("/signin", JSON, b"{")).await, 400, format!("{own}json_broken")),
        ("sign-up", demo.signup("eze@example.com", "short").await, 422, format!("{own}password_weak")),
        ("refresh", demo.refresh("refresh=x").await, 401, format!("{own}refresh_invalid")),
        ("another site", ask(request_with("POST", "/refresh", &evil)).await, 403, format!("{own}cross_site")),
        ("no such route", ask(get_request("/other", &[])).await, 404, format!("{own}not_found")),
        ("no such method", ask(get_request("/signin", &[])).await, 405, format!("{own}method_not_allowed")),
    ] {
        assert_problem(name, &answer, status, &kind);
    }
}

#[track_caller]
fn assert_problem(name: &str, answer: &Answer, status: u16, kind: &str) {
    let problem = answer.problem();
    assert_eq!((answer.status, problem["type"].as_str()), (status, Some(kind)), "{name}");
}
