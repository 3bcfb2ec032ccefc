//! The same requests through this library's layer and through its peers.
//!
//! ```sh
//! taskset -c 1 cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! It prints two Markdown tables: the cost of a request for each of them, and the statuses for bad tokens.
//! It takes about two minutes. `-- --check` runs a single round in any profile, for CI, where times do not
//! count.
//!
//! Requests have six headers, and the tokens are those of the library's own benches. All peers make the
//! same checks: algorithm, signature, `exp`, `nbf`, `iss` and `aud`. The inner service reads one claim. All
//! peers except `decode` are called as tower services and polled by hand, without a runtime or a log
//! subscriber. In each round every peer has a turn with 1,024 tokens. The table shows the medians of the
//! rounds and, in parentheses, their ratio to the median of `jsonwebtoken::decode`. Allocations are those
//! of one accepted request in Rust code.
//!
//! It needs a C compiler, and OpenSSL with its headers and `pkg-config`: aliri reads EC keys with OpenSSL,
//! and oauth-resource-server could fetch keys over TLS.

mod allocator;
mod backends;
mod check;
mod measure;
mod peer;
mod peers;
mod table;
mod tokens;

use self::tokens::Issuer;

const ROUNDS: usize = 51;

fn main() {
    let rounds = match std::env::args().nth(1).as_deref() {
        None => ROUNDS,
        Some("--check") => 1,
        Some(other) => panic!("unknown argument {other}; known is --check"),
    };
    backends::install();
    let issuers = Issuer::all();
    println!("{}", check::check(&issuers));
    let costs: Vec<_> = issuers.iter().map(|issuer| measure::measure(issuer, rounds)).collect();
    print!("{}", table::costs(&issuers, &costs));
}
