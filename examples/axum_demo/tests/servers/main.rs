//! The demo with Redis and PostgreSQL servers, which these tests start.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../demo/client.rs"]
#[expect(dead_code, reason = "only the other tests use the rest")]
mod client;
#[path = "../demo/demo_account.rs"]
mod demo_account;
mod forwarder;
#[path = "../demo/http.rs"]
mod http;
mod outages;
mod postgres;
mod postgres_server;
mod process;
#[path = "../../../../tests/redis/server.rs"]
#[expect(dead_code, reason = "only the tests of the library use the rest")]
mod redis_server;
#[path = "../demo/scenarios.rs"]
mod scenarios;
#[path = "../demo/support.rs"]
#[expect(dead_code, reason = "only the other tests use the rest")]
mod support;
mod two_processes;
