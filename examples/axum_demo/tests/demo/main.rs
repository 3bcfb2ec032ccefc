//! The demo over a real socket.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod attempts;
mod client;
mod connections;
mod cookies;
mod credential;
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
