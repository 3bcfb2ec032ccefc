//! Sign-in: messages and focus.

use thirtyfour::{Key, TypingData};

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn rejects_a_wrong_password() {
    let page = Page::open().await;
    page.sign_in("oko").await;
    page.shows("#signin [role=alert]", "The email or the password is wrong.").await;
    page.focuses("#signin-password").await;
    assert_eq!(page.text("#account-heading").await, "Sign in", "still signed out");
    page.has_a_quiet_console().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn shows_input_errors_at_their_fields() {
    let page = Page::open().await;
    page.fill("#signin-email", "eze").await;
    page.click("#signin [type=submit]").await;
    page.shows("#signin-email-error", "Enter your email, such as ada@example.com.").await;
    page.shows("#signin-password-error", "Enter your password.").await;
    page.focuses("#signin-email[aria-invalid=true][aria-describedby=signin-email-error]").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn shows_the_profile_and_the_claims() {
    let page = Page::open_signed_in().await;
    page.focuses("#account-heading").await;
    assert_eq!(page.text("#email").await, "eze@example.com");
    let names: Vec<String> =
        page.eval("Array.from(document.querySelectorAll('#claims th'), (th) => th.innerText)").await;
    for name in ["iss", "sub", "aud", "email", "email_verified", "iat", "exp", "jti", "sid"] {
        assert!(names.iter().any(|known| known == name), "expected the claim {name} among {names:?}");
    }
    let minutes = page.text("#time-left").await;
    assert!(["15:00", "14:"].iter().any(|start| minutes.starts_with(start)), "{minutes} of 15 minutes");
    page.has_a_quiet_console().await;
}

/// Uses only text keys, Tab and Enter.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn works_with_the_keyboard() {
    let page = Page::open().await;
    press(&page, Key::Tab).await;
    page.focuses("#signin-email").await;
    press(&page, "eze@example.com").await;
    press(&page, Key::Tab).await;
    page.focuses("#signin-password").await;
    press(&page, "okon").await;
    press(&page, Key::Enter).await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    page.focuses("#account-heading").await;

    for next in ["#signout", "#signout-everywhere", "#call"] {
        press(&page, Key::Tab).await;
        page.focuses(next).await;
        let outline: String = page.eval("getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, "solid", "expected a visible focus on {next}");
    }
    press(&page, Key::Enter).await;
    page.shows("#answer", "200 OK").await;
    page.focuses("#call").await;
}

async fn press(page: &Page, keys: impl Into<TypingData>) {
    page.driver.action_chain().send_keys(keys).perform().await.unwrap();
}
