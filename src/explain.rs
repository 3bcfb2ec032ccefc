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
//! # print!("{}", serde_json::to_string_pretty(&report)?);
//! # Ok(())
//! # }
//! ```

pub use crate::verify::explain::{Explanation, Outcome, Step};
