//! The step about the application's claims type.

use std::any::type_name;

use serde::de::DeserializeOwned;

use super::claim_advice::ClaimProblem;
use super::facts::Facts;
use super::one_claim::{NO_PAYLOAD, failed};
use super::step::Step;
use crate::kind::AuthErrorKind;
use crate::verify::claim_diagnosis;
use crate::verify::stream::{Pass, plain};

/// Checks the claims type. Only a payload with a valid signature is deserialized.
pub(super) fn claims_type<C>(facts: &Facts<'_>, is_proven: bool) -> Step
where
    C: DeserializeOwned + 'static,
{
    let step = Step::passed("claims_type").with_expected(type_name::<C>());
    if facts.error.is_none() {
        return step;
    }
    let skipped = |reason| Step::skipped("claims_type", reason).with_expected(type_name::<C>());
    if !is_proven {
        return skipped("claims without a valid signature are not deserialized");
    }
    let Some(payload) = facts.payload else {
        return skipped(NO_PAYLOAD);
    };
    let wanted = &facts.rules.expected.wanted;
    if plain(payload, wanted).is_err() {
        return skipped("a registered claim cannot be read");
    }
    match Pass::over(payload, wanted).claims::<C>() {
        Ok(_) => step,
        Err(_) => {
            let reason = claim_diagnosis::explain::<C>(payload.as_bytes(), wanted);
            failed(step, AuthErrorKind::InvalidClaims, &ClaimProblem::Misfit { reason: &reason })
        }
    }
}
