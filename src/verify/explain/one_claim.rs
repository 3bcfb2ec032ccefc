//! A claim that is checked by itself, as if the token had no other.

use super::claim_advice::{self, ClaimProblem};
use super::facts::Facts;
use super::shown;
use super::step::Step;
use crate::kind::AuthErrorKind;
use crate::verify::stream::{Registered, plain};

/// The reason to skip steps that need the claims.
pub(super) const NO_PAYLOAD: &str = "the payload cannot be read";

pub(super) fn failed(step: Step, kind: AuthErrorKind, problem: &ClaimProblem<'_>) -> Step {
    step.fail(kind, &claim_advice::claim(problem))
}

/// Checks a single claim by the rules for all claims.
pub(super) fn judged(
    facts: &Facts<'_>,
    name: &'static str,
    judge: impl FnOnce(Step, &Registered<'_>) -> Step,
) -> Step {
    if facts.payload.is_none() {
        return Step::skipped(name, NO_PAYLOAD);
    }
    let members = &facts.members;
    let raw = members.raw(name);
    let step = Step::passed(name);
    let step = raw.map_or_else(
        || step.clone().with_received("none"),
        |raw| step.clone().with_received(&shown::json(raw)),
    );
    match misread(facts, name) {
        Some(problem) => failed(step, AuthErrorKind::InvalidClaims, &problem),
        None => {
            let alone = members.only(name);
            match plain(&alone, &facts.rules.expected.wanted) {
                Ok(registered) => judge(step, &registered),
                Err(_) => step,
            }
        }
    }
}

/// Returns why a registered claim cannot be read.
pub(super) fn misread<'f>(facts: &Facts<'f>, claim: &'f str) -> Option<ClaimProblem<'f>> {
    if facts.members.count(claim) > 1 {
        return Some(ClaimProblem::Twice { claim });
    }
    let received = facts.members.raw(claim)?;
    let is_read = plain(&facts.members.only(claim), &facts.rules.expected.wanted).is_ok();
    (!is_read).then_some(ClaimProblem::WrongType { claim, received })
}
