//! The steps about the sender of a token: what it is bound to, and the proof or certificate of the request.

use super::claim_advice::ClaimProblem;
use super::facts::Facts;
use super::one_claim::{NO_PAYLOAD, failed, judged};
use super::sender_advice::{self, Proof};
use super::shown::{self, quoted};
use super::step::Step;
use crate::binding::Binding;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;
use crate::verify::confirmation::{self, Malformed};
use crate::verify::sender::Senders;

/// Checks that the verifier supports the binding, and that the token is sent in the way of its binding.
pub(super) fn confirmation(facts: &Facts<'_>) -> Step {
    let expected = &facts.rules.expected;
    let step = judged(facts, "cnf", |step, registered| {
        let step = match binding(facts) {
            Ok(Some(binding)) => step.with_received(&described(&binding)),
            _ => step,
        };
        if expected.ignore_confirmation {
            return step;
        }
        if let Err(kind) = expected.judge_confirmation(registered) {
            return failed(step, kind, &unsupported(facts));
        }
        match &facts.rules.senders {
            Some(senders) => judge_binding(step, facts, senders),
            None if is_dpop(facts) => {
                let problem = ClaimProblem::NotBound { is_dpop: true, has_certificate: false };
                failed(step, AuthErrorKind::MissingBinding, &problem)
            }
            None => step,
        }
    });
    step.with_expected(&supported(facts))
}

/// Checks the client certificate and the proof of the request.
pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    let Some(senders) = &facts.rules.senders else {
        return Vec::new();
    };
    let binding = binding(facts).ok().flatten();
    let mut steps = Vec::new();
    if senders.mtls.is_some() {
        steps.push(certificate(facts, senders, binding));
    }
    if senders.dpop.is_some() {
        steps.push(proof(facts, senders, binding));
    }
    steps
}

fn judge_binding(step: Step, facts: &Facts<'_>, senders: &Senders) -> Step {
    let is_dpop = is_dpop(facts);
    let binding = match binding(facts) {
        Ok(binding) => binding,
        Err(Malformed) => {
            return failed(step, AuthErrorKind::InvalidClaims, &ClaimProblem::MalformedConfirmation);
        }
    };
    let not_bound = |has_certificate| ClaimProblem::NotBound { is_dpop, has_certificate };
    match binding {
        None if facts.members.has("cnf") => {
            failed(step, AuthErrorKind::SenderConstrained, &unsupported(facts))
        }
        None if is_dpop || senders.require_binding() => {
            failed(step, AuthErrorKind::MissingBinding, &not_bound(false))
        }
        None => step,
        Some(binding) if !senders.support(&binding) => {
            failed(step, AuthErrorKind::SenderConstrained, &unsupported(facts))
        }
        Some(binding) if binding.key().is_none() && is_dpop => {
            failed(step, AuthErrorKind::MissingBinding, &not_bound(true))
        }
        Some(binding) if binding.key().is_some() && !is_dpop => {
            failed(step, AuthErrorKind::SenderConstrained, &ClaimProblem::SentAsBearer)
        }
        Some(_) => step,
    }
}

fn certificate(facts: &Facts<'_>, senders: &Senders, binding: Option<Binding>) -> Step {
    const NAME: &str = "certificate";
    let Some(expected) = binding.and_then(|binding| binding.certificate()) else {
        return Step::skipped(NAME, "the token is not bound to a certificate");
    };
    let step = Step::passed(NAME).with_expected(&format!("the thumbprint {}", quoted(&expected.to_string())));
    let judged =
        senders.mtls.as_ref().map_or(Ok(()), |mtls| mtls.judge(expected, facts.credential.request()));
    match judged {
        Ok(()) => step.with_detail("the connection has this certificate"),
        Err(error) => step.fail(error.kind(), &sender_advice::certificate(&error)),
    }
}

fn proof(facts: &Facts<'_>, senders: &Senders, binding: Option<Binding>) -> Step {
    const NAME: &str = "proof";
    let Some(dpop) = &senders.dpop else {
        return Step::skipped(NAME, "JwtVerifier::dpop is not set");
    };
    let Some(key) = binding.and_then(|binding| binding.key()) else {
        let reason = if facts.payload.is_none() { NO_PAYLOAD } else { "the token is not bound to a key" };
        return Step::skipped(NAME, reason);
    };
    if !is_dpop(facts) {
        return Step::skipped(NAME, "the token is not sent with the scheme `DPoP`");
    }
    let request = facts.credential.request();
    let target = request.map(|request| format!("{} {}", request.method(), dpop.expected_urls(request)));
    let proof = request.and_then(Proof::of).unwrap_or_default();
    let mut step = Step::passed(NAME).with_received(&proof.described());
    if let Some(target) = &target {
        step = step.with_expected(target);
    }
    // The verdict counts: only it knows the proofs that were used before.
    let used = facts.error.filter(|error| is_about_use(error));
    let inspected = dpop.inspect(key, &facts.credential, facts.now);
    match inspected.as_ref().err().or(used) {
        None => step,
        Some(error) => step.fail(error.kind(), &sender_advice::proof(error, &proof, request)),
    }
}

/// Returns true for an error that depends on earlier requests.
fn is_about_use(error: &AuthError) -> bool {
    matches!(error.kind(), AuthErrorKind::ReplayedProof | AuthErrorKind::Unavailable)
}

/// Reads the `cnf` of the token, if it has one.
fn binding(facts: &Facts<'_>) -> Result<Option<Binding>, Malformed> {
    match facts.payload {
        Some(_) if facts.members.has("cnf") => confirmation::binding(&facts.members.only("cnf")),
        _ => Ok(None),
    }
}

fn is_dpop(facts: &Facts<'_>) -> bool {
    facts.credential.scheme() == Scheme::DPOP
}

/// Describes what a token is bound to.
fn described(binding: &Binding) -> String {
    let key = binding.key().map(|jkt| format!("a key, `jkt` {jkt}"));
    let certificate = binding.certificate().map(|x5t| format!("a certificate, `x5t#S256` {x5t}"));
    let parts: Vec<_> = key.into_iter().chain(certificate).collect();
    format!("bound to {}", parts.join(", and "))
}

fn unsupported<'f>(facts: &Facts<'f>) -> ClaimProblem<'f> {
    let raw = facts.members.raw("cnf").unwrap_or_default();
    let member = ["jkt", "x5t#S256"].into_iter().find(|name| raw.contains(&format!("\"{name}\"")));
    ClaimProblem::Confirmation { member }
}

/// Describes the bindings that the verifier accepts.
fn supported(facts: &Facts<'_>) -> String {
    if facts.rules.expected.ignore_confirmation {
        return "anything: insecure_ignore_confirmation is set".to_owned();
    }
    let Some(senders) = &facts.rules.senders else {
        return "none".to_owned();
    };
    let key = senders.dpop.as_ref().map(|_| "a key (DPoP)");
    let certificate = senders.mtls.as_ref().map(|_| "a certificate (mutual TLS)");
    let none = (!senders.require_binding()).then_some("none");
    let parts: Vec<_> = none.into_iter().chain(key).chain(certificate).collect();
    shown::sentence(&parts.join(", or "))
}
