//! Explanations of why a token is accepted or rejected (feature `explain`).
//!
//! [`JwtVerifier::explain`](crate::JwtVerifier::explain) runs the real verification and reports every step: what the verifier
//! expected, what the token has, the cause of each problem and its cure. It is for tools, tests and debugging.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, KeySet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
//! let verifier = JwtVerifier::<serde_json::Value>::new(keys)
//!     .issuer("https://id.example.com")
//!     .audience("https://api.example.com/") // the slash is wrong
//!     .clock(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
//!
//! let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXh\
//!              hbXBsZS5jb20iLCJleHAiOjE4MDAwMDAzMDAsImVtYWlsIjoiZXplQGV4YW1wbGUuY29tIn0.\
//!              4t_4qBNOFv9u2RjEU0eK6vZbJQ0rGZi0_CzjCmdZu4A";
//! let report = verifier.explain(token).await;
//! println!("{report}");
//!
//! assert_eq!(report.error().unwrap().kind(), AuthErrorKind::WrongAudience);
//! let step = report.failed_step().unwrap();
//! assert_eq!(step.name(), "aud");
//! assert_eq!(step.received(), Some("https://api.example.com"));
//! assert_eq!(
//!     report.cure(),
//!     Some("set JwtVerifier::audience to `https://api.example.com`, exactly as the token spells it"),
//! );
//! # let expected = include_str!("explain.rs").split_once("//! ```text\n").unwrap().1.split_once("//! ```").unwrap().0;
//! # for (line, shown) in expected.lines().zip(report.to_string().lines()) {
//! #     assert!(shown.starts_with(line.trim_start_matches("//!").trim_start().trim_end_matches("..")), "{shown}");
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Report
//!
//! The report of the example. A step is `ok`, `FAIL` or `skip`. `ok?` passed for claims without a valid signature.
//!
//! ```text
//! ok    size          received 208 bytes; expected at most 16384 bytes
//! ok    form          received 3 parts; expected three parts of base64url
//! ok    header        a JSON object with an `alg`
//! ok    crit          expected no `crit`, no `b64: false`
//! ok    typ           received none; expected none, `JWT` or `at+jwt`
//! ok    alg           received `HS256`; expected the algorithm of a key
//! ok    key           received no `kid`, HS256; expected a key without `kid` (HS256); chosen by algorithm: ..
//! ok    signature     HS256 with a key without `kid`; 1 key tried
//! ok    payload       a JSON object
//! ok    iss           received https://id.example.com; expected `https://id.example.com`
//! FAIL  aud           received https://api.example.com; expected `https://api.example.com/`
//! ok    cnf           received none; expected none
//! ok    nbf           received none; expected none, or not after now (2027-01-15T08:00:00Z), leeway 1 min
//! ok    exp           received 1800000300 (2027-01-15T08:05:00Z); expected after now (2027-01-15T08:00:00Z), leeway 1 min
//! ok    iat           received none; expected none, or a number
//! skip  revocation    JwtVerifier::revocations is not set
//! ok    claims_type   expected serde_json::value::Value
//!
//! rejected with 401 wrong_audience: the token is not for this audience
//! cause: received `https://api.example.com`, expected `https://api.example.com/`: they differ in a slash at the end
//! cure: set JwtVerifier::audience to `https://api.example.com`, exactly as the token spells it
//! ```
//!
//! - `Display` is this text, without colours. A tool that wants them formats [`Explanation::steps`] itself.
//! - `Serialize` has the same for programs: `accepted`, `error`, `failed_step`, `cause`, `cure` and `steps`.
//! - The verdict is always that of [`JwtVerifier::verify`](crate::JwtVerifier::verify). Steps after a failed one are still
//!   checked, so that you see all problems at once.
//! - [`Explanation::with_policy`] adds the decision of a policy about a request.
//!
//! # Steps
//!
//! These names are stable. Later versions may add some.
//!
//! | [`Step::name`] | check |
//! |---|---|
//! | `size` | [`max_token_bytes`](crate::JwtVerifier::max_token_bytes) |
//! | `form` | three parts, each of base64url |
//! | `header` | JSON, with the members in their types |
//! | `crit` | no extension: `crit`, or `b64: false` |
//! | `typ` | [`access_tokens_only`](crate::JwtVerifier::access_tokens_only) and [`token_type`](crate::JwtVerifier::token_type) |
//! | `alg` | [`algorithms`](crate::JwtVerifier::algorithms) |
//! | `key` | a key with the `kid` and the algorithm of the token |
//! | `signature` | the signature, with at most four keys |
//! | `payload` | JSON that is safe to read; with revocations, the types of `jti`, `sid` and `sub` |
//! | `iss` | [`issuer`](crate::JwtVerifier::issuer) |
//! | `aud` | [`audience`](crate::JwtVerifier::audience) |
//! | `required_claim` | [`require_claim`](crate::JwtVerifier::require_claim); its [`Step::subject`] is the claim |
//! | `cnf` | the verifier supports what the token is bound to: [`dpop`](crate::JwtVerifier::dpop), [`mtls`](crate::JwtVerifier::mtls) |
//! | `nbf`, `exp` | the time, with [`leeway`](crate::JwtVerifier::leeway) |
//! | `iat` | a number, if present |
//! | `revocation` | [`revocations`](crate::JwtVerifier::revocations) |
//! | `claims_type` | the claims fit the application's type |
//! | `certificate` | with `mtls`: the client certificate that the token is bound to |
//! | `proof` | with `dpop`: the [DPoP proof](crate::dpop#checks) of the request |
//! | `policy` | a policy permits the request; its [`Step::subject`] is the name of the policy |
//!
//! # Security
//!
//! A report has values of the token, and settings of the verifier: show it to developers only. It never has the token itself,
//! a DPoP proof, a signature, a secret or a key. Values are limited in length and have escapes instead of control characters,
//! so that a hostile token cannot control a terminal. The application's type never reads claims without a valid signature.

pub use crate::verify::explain::{Explanation, Outcome, Step};
