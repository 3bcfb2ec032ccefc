//! The page of the demo in a browser. Needs `chromium` and `chromedriver`:
//!
//! ```sh
//! cargo test -p axum_demo --test browser -- --ignored
//! ```

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod accessibility;
mod appearance;
mod browser;
mod page;
mod rejections;
mod session;
mod sign_in;
mod sign_up;
mod tabs;
