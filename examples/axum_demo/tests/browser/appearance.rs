//! The appearance of the page in light and dark mode, and in a narrow window.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::page::Page;

/// Returns the elements whose text has too little contrast with its background (WCAG 2.2, 1.4.3).
const LOW_CONTRAST: &str = r#"(() => {
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = (colour) => {
        const [r, g, b] = numbers(colour).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        const opaque = (numbers(colour)[3] ?? 1) === 1;
        return opaque ? colour : background(element.parentElement);
    };
    const hasText = (element) => element.checkVisibility()
        && (element.localName === "input" || [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return [...document.querySelectorAll("body *")].filter(hasText).map((element) => {
        const [a, b] = [getComputedStyle(element).color, background(element)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        return [contrast, `${contrast.toFixed(2)}: ${element.outerHTML.slice(0, 80)}`];
    }).filter(([contrast]) => !(contrast >= 4.5)).map(([, text]) => text);
})()"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn text_has_contrast_in_light_and_dark_mode() {
    let page = Page::open().await;
    resize(&page, 1100, 980).await;
    for scheme in ["light", "dark"] {
        prefer(&page, scheme).await;
        page.click("#signin [type=submit]").await;
        page.shows("#signin-password-error", "Enter your password.").await;
        has_contrast(&page, scheme, "with errors").await;
        screenshot(&page, &format!("signed_out_{scheme}")).await;
    }
    page.sign_in("okon").await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    page.click("#refresh").await;
    page.shows("#notice", "New access token").await;
    has_contrast(&page, "dark", "with a notice").await;
    page.click("#call").await;
    page.shows("#answer", "200 OK").await;
    let mut backgrounds = Vec::new();
    for scheme in ["dark", "light"] {
        prefer(&page, scheme).await;
        has_contrast(&page, scheme, "signed in").await;
        backgrounds.push(page.eval::<String>("getComputedStyle(document.body).backgroundColor").await);
        screenshot(&page, if scheme == "dark" { "signed_in_dark" } else { "axum_demo" }).await;
    }
    assert_ne!(backgrounds[0], backgrounds[1], "expected another background in dark mode");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn narrow_window_does_not_scroll_sideways() {
    let page = Page::open().await;
    resize(&page, 320, 640).await;
    page.click("#signin [type=submit]").await;
    fits(&page, "the sign-in").await;
    page.click("#call").await;
    page.shows("#answer", "401 Unauthorized").await;
    fits(&page, "a rejection").await;
    page.click("#to-signup").await;
    fits(&page, "the sign-up").await;
    page.click("#to-signin").await;
    page.sign_in("okon").await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    page.click("#call").await;
    page.shows("#answer", "200 OK").await;
    fits(&page, "the signed-in page").await;
    screenshot(&page, "narrow").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn respects_reduced_motion() {
    let page = Page::open_signed_in().await;
    let features = json!([{ "name": "prefers-reduced-motion", "value": "reduce" }]);
    page.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    let moving: Vec<String> = page
        .eval(
            "[...document.querySelectorAll('*')].filter((each) => getComputedStyle(each).transitionDuration !== '0s')\
             .map((each) => each.outerHTML.slice(0, 80))",
        )
        .await;
    assert!(moving.is_empty(), "expected no transitions, found {moving:#?}");
}

async fn resize(page: &Page, width: u32, height: u32) {
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    page.devtools("Emulation.setDeviceMetricsOverride", size).await;
}

async fn prefer(page: &Page, scheme: &str) {
    // Reduced motion avoids a transition between the schemes.
    let features = json!([
        { "name": "prefers-color-scheme", "value": scheme },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ]);
    page.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

async fn has_contrast(page: &Page, scheme: &str, state: &str) {
    let low: Vec<String> = page.eval(LOW_CONTRAST).await;
    assert!(low.is_empty(), "{scheme}, {state}: expected a contrast of at least 4.5, found {low:#?}");
}

async fn fits(page: &Page, what: &str) {
    let width: u32 = page.eval("document.documentElement.scrollWidth").await;
    assert!(width <= 320, "expected {what} to fit into 320 pixels, it takes {width}");
}

/// Saves a screenshot in `target/browser`.
async fn screenshot(page: &Page, name: &str) {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("browser");
    fs::create_dir_all(&folder).unwrap();
    page.driver.screenshot(&folder.join(name).with_extension("png")).await.unwrap();
}
