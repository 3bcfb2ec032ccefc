//! The same requests through this library's layer and through its peers.
//!
//! ```sh
//! taskset -c 1 cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! prints, as Markdown, what a request costs each of them, and what each answers to tokens that have to be refused. It
//! takes about two minutes. With `-- --check` a single round is run, in any profile: for CI, where times do not count.
//!
//! Requests have six headers, and tokens are those of the library's own benches. All have the same checks on:
//! algorithm, signature, `exp`, `nbf`, `iss` and `aud`. The service inside reads one claim. All but `decode` are called
//! as tower services and polled by hand, with no runtime around them and no subscriber for their logs. In each round
//! everyone has a turn with 1,024 tokens; the medians of the rounds are shown, and in parentheses their ratio to that of
//! `jsonwebtoken::decode`. Allocations are those of one accepted request, by Rust code.
//!
//! Needed are a C compiler, and OpenSSL with its headers and `pkg-config`: aliri reads EC keys with it, and
//! oauth-resource-server could fetch keys over TLS.

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
        Some(other) => panic!("{other} is not known; --check is"),
    };
    backends::install();
    let issuers = Issuer::all();
    println!("{}", check::check(&issuers));
    let costs: Vec<_> = issuers.iter().map(|issuer| measure::measure(issuer, rounds)).collect();
    print!("{}", table::costs(&issuers, &costs));
}
