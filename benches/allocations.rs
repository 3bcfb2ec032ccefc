//! Allocations per request, as a table. Counts allocations and reallocations by Rust code, not
//! deallocations or C code.

mod support;

use allocation_counter::{AllocationInfo, measure};
use http::StatusCode;

use self::support::{Issuer, User, authorization, request, send, service};

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() {
    println!("{:30}{:>12}{:>8}", "", "allocations", "bytes");
    let print = |name: &str, counted: AllocationInfo| {
        println!("{name:30}{:>12}{:>8}", counted.count_total, counted.bytes_total);
    };
    for issuer in Issuer::all() {
        let token = &issuer.tokens()[0];
        let (key, validation) = issuer.decoding();
        let decode = || jsonwebtoken::decode::<User>(token, &key, &validation).expect("the token is good");
        let claims = serde_json::to_string(&decode().claims).expect("claims are JSON");

        let mut beyond_claims = measured(&issuer, Some(token), StatusCode::OK);
        let own = measure(|| drop(serde_json::from_str::<User>(&claims)));
        beyond_claims.count_total -= own.count_total;
        beyond_claims.bytes_total -= own.bytes_total;

        let name = format!("{:?}", issuer.algorithm);
        print(&format!("{name} claims"), own);
        print(&format!("{name} layer, beyond claims"), beyond_claims);
        print(&format!("{name} jsonwebtoken, with claims"), measure(|| drop(decode())));
    }
    let issuer = Issuer::hs256();
    for (name, token) in [
        ("reject no_header", None),
        ("reject forged", Some(&Issuer::forger().tokens()[0])),
        ("reject expired", Some(&issuer.expired_tokens()[0])),
    ] {
        print(name, measured(&issuer, token, StatusCode::UNAUTHORIZED));
    }
}

/// Measures the second of two equal requests: the first one initializes long-lived state.
fn measured(issuer: &Issuer, token: Option<&String>, expected: StatusCode) -> AllocationInfo {
    let mut service = service(issuer.verifier());
    let value = token.map(|token| authorization(token));
    send(&mut service, request(value.as_ref()));
    let second = request(value.as_ref());
    measure(|| assert_eq!(send(&mut service, second).status(), expected))
}
