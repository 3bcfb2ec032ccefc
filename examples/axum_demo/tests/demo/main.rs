//! The demo over a real socket.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod attempts;
mod client;
mod connections;
mod cookies;
mod credential;
mod demo_account;
mod errors;
mod faults;
mod flood;
mod http;
mod page;
mod protected;
mod scenarios;
mod sessions;
mod signin;
mod signout;
mod signup;
mod slow_clients;
mod start;
mod stop;
mod support;
