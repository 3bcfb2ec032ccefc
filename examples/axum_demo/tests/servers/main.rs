//! The demo with the servers that it can use beside it, which these tests start themselves.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../demo/client.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod client;
mod forwarder;
#[path = "../demo/http.rs"]
mod http;
mod outages;
mod postgres;
mod postgres_server;
mod process;
#[path = "../../../../tests/redis/server.rs"]
#[expect(dead_code, reason = "the library's tests need more of it")]
mod redis_server;
#[path = "../demo/scenarios.rs"]
mod scenarios;
#[path = "../demo/support.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod support;
mod two_processes;
