//! Payloads read in one pass, compared to two passes.
//!
//! The module is compiled alone, with only the files that it imports. An input is the payload.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the files have more than is needed here")]

#[path = "../../src/verify/stream/tests/agreement.rs"]
mod agreement;
#[path = "../../src/verify/claim_name_case.rs"]
mod claim_name_case;
#[path = "../../src/verify/json.rs"]
mod json;
#[path = "../../src/verify/private_names.rs"]
mod private_names;
#[path = "../../src/registered.rs"]
mod registered;
#[path = "../../src/verify/stream/mod.rs"]
mod stream;

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|payload: &str| -> Corpus {
    // The verifier rejects these before it reads any claim.
    if !json::is_shallow(payload) || private_names::has_private_name(payload) {
        return Corpus::Reject;
    }
    agreement::check(payload);
    Corpus::Keep
});
