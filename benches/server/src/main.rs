//! The throughput of an axum server with and without authentication.
//!
//! ```sh
//! cargo run --release --manifest-path benches/server/Cargo.toml
//! ```
//!
//! It prints two Markdown tables: requests per second, and the server's CPU time per request. It takes
//! about three minutes. `-- --check` sends a few requests to each route and asserts the statuses, for CI.
//!
//! The server is a separate process with one tokio thread per core. The load generator has one thread and
//! 16 keep-alive connections, each with one request in flight. A request has six headers and carries one of
//! 1,000 tokens, which are sent in turn. In each round every route runs for a quarter of a second. The
//! tables show the medians of 40 rounds. A ratio is the median of the ratios within each round.
//!
//! Both processes share the cores, so that all cores are busy and nothing hides the cost of a token. Two
//! cores give the most stable ratios: on a larger machine, prefix the command with `taskset -c 0,1`. On a
//! single core (`taskset -c 0`) the generator's cost counts in full, and ratios come closer to 1.

mod app;
mod check;
mod load;
mod measure;
mod server;
#[path = "../../support/mod.rs"]
mod support;
mod table;

use std::io;

use self::support::Issuer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            let mut columns = Vec::new();
            for issuer in Issuer::all() {
                columns.push(measure::measure(&issuer).await?);
            }
            print!("{}", table::results(&columns));
            Ok(())
        }
        Some("--check") => check::check().await,
        Some(server::ARGUMENT) => server::serve(),
        Some(other) => panic!("unknown argument {other}; known is --check"),
    }
}
