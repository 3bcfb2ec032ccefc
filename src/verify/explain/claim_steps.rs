//! The steps about the claims of a token.

use super::audience_advice::Audience;
use super::claim_advice::ClaimProblem;
use super::facts::Facts;
use super::one_claim::{NO_PAYLOAD, failed, judged, misread};
use super::sender_steps;
use super::shown;
use super::step::Step;
use crate::kind::AuthErrorKind;
use crate::registered::NumericDate;
use crate::revocation::Revocations;
use crate::verify::base64url::decode_to_vec;
use crate::verify::json;
use crate::verify::private_names::has_private_name;
use crate::verify::required::{self, RequiredClaim};
use crate::verify::stream::{Registered, plain};
use crate::verify::validate::UNKNOWN_TIME;

/// Returns the steps that do not depend on the application's type.
pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    let required = facts.rules.expected.claims.iter().map(|claim| required_claim(facts, claim));
    let mut steps = vec![payload(facts), issuer(facts), audience(facts)];
    steps.extend(required);
    steps.extend([
        sender_steps::confirmation(facts),
        not_before(facts),
        expiry(facts),
        issued_at(facts),
        revocation(facts),
    ]);
    steps
}

/// Checks what no other step checks.
fn payload(facts: &Facts<'_>) -> Step {
    let Some(encoded) = facts.form.payload else {
        return Step::skipped("payload", "the token has no readable payload");
    };
    let step = Step::passed("payload");
    let fail = |problem: &ClaimProblem<'_>| failed(step.clone(), AuthErrorKind::InvalidClaims, problem);
    let Some(payload) = facts.payload else {
        let Some(decoded) = decode_to_vec(encoded) else {
            return Step::skipped("payload", "the payload is not base64url");
        };
        return fail(&match json::object_text(&decoded) {
            Some(text) if has_private_name(text) => ClaimProblem::PrivateName,
            Some(text) if !json::is_shallow(text) => ClaimProblem::TooNested,
            _ => ClaimProblem::NotJson,
        });
    };
    if let Some(problem) = ["sub", "jti", "sid"].into_iter().find_map(|claim| misread(facts, claim)) {
        return fail(&problem);
    }
    let others = ["iss", "aud", "exp", "nbf", "iat", "cnf"];
    if plain(payload, &facts.rules.expected.wanted).is_err()
        && others.into_iter().all(|claim| misread(facts, claim).is_none())
    {
        return fail(&ClaimProblem::NotJson);
    }
    step.with_detail("a JSON object")
}

fn issuer(facts: &Facts<'_>) -> Step {
    let expected = &facts.rules.expected;
    let issuers = &expected.issuers;
    let step = judged(facts, "iss", |step, registered| match expected.judge_issuer(registered) {
        Ok(()) => step,
        Err(kind) => {
            let received = registered.issuer.as_deref();
            failed(step, kind, &ClaimProblem::Issuer { received, expected: issuers })
        }
    });
    step.with_expected(&match &issuers[..] {
        [] if expected.issuer_needed => "an issuer, and none is set".to_owned(),
        [] => "any issuer".to_owned(),
        _ => shown::list(issuers.iter().map(String::as_str)),
    })
}

fn audience(facts: &Facts<'_>) -> Step {
    let expected = &facts.rules.expected;
    let names = &expected.wanted.audiences;
    let step = judged(facts, "aud", |step, registered| match expected.judge_audience(registered.audience) {
        Ok(()) => step,
        Err(kind) => {
            let received = facts.members.has("aud").then(|| facts.members.texts("aud"));
            let client = facts.members.text("client_id");
            let problem = ClaimProblem::Audience(Audience {
                received: received.as_deref(),
                expected: names,
                purpose: facts.purpose(),
                client: client.as_deref(),
                is_cognito: facts.members.has("token_use"),
            });
            failed(step, kind, &problem)
        }
    });
    step.with_expected(&match &names[..] {
        _ if expected.any_audience => "any audience".to_owned(),
        [] => "no `aud`".to_owned(),
        _ => shown::list(names.iter().map(String::as_str)),
    })
}

fn required_claim(facts: &Facts<'_>, claim: &RequiredClaim) -> Step {
    const NAME: &str = "required_claim";
    let values: Vec<_> = claim.values.iter().map(ToString::to_string).collect();
    let describe = |step: Step| {
        let expected = shown::list(values.iter().map(|value| value.trim_matches('"')));
        step.with_subject(&claim.name).with_expected(&expected)
    };
    let Some(payload) = facts.payload else {
        return describe(Step::skipped(NAME, NO_PAYLOAD));
    };
    let received = facts.members.raw(&claim.name).map_or("none".to_owned(), shown::json);
    let step = describe(Step::passed(NAME)).with_received(&received);
    let one = std::slice::from_ref(claim);
    match required::are_met(&facts.members.only(&claim.name), one) {
        Ok(true) => step,
        Ok(false) => {
            let reason = required::explain(payload, one);
            failed(
                step,
                AuthErrorKind::WrongClaim,
                &ClaimProblem::Required { reason: &reason, purpose: facts.purpose() },
            )
        }
        Err(kind) => failed(step, kind, &ClaimProblem::Twice { claim: &claim.name }),
    }
}

fn not_before(facts: &Facts<'_>) -> Step {
    let (expected, now) = (&facts.rules.expected, facts.now);
    let step = judged(facts, "nbf", |step, registered| {
        let step = dated(step, registered.not_before);
        match expected.judge_not_before(registered, now) {
            Ok(()) if now == UNKNOWN_TIME => failed(step, AuthErrorKind::NotYetValid, &ClaimProblem::Clock),
            Ok(()) => step,
            Err(kind) => {
                let seconds = registered.not_before.map(NumericDate::since_epoch).unwrap_or_default();
                let by = seconds.saturating_sub(now);
                failed(step, kind, &ClaimProblem::Early { by, seconds, leeway: expected.leeway })
            }
        }
    });
    step.with_expected(&format!("none, or not after {}", clock(facts)))
}

fn expiry(facts: &Facts<'_>) -> Step {
    let (expected, now) = (&facts.rules.expected, facts.now);
    let step = judged(facts, "exp", |step, registered| {
        let step = dated(step, registered.expiry);
        if let Err(kind) = expected.judge_expiry_presence(registered) {
            return failed(step, kind, &ClaimProblem::MissingExpiry { purpose: facts.purpose() });
        }
        match expected.judge_expiry(registered, now) {
            Ok(()) => step,
            Err(kind) if now == UNKNOWN_TIME => failed(step, kind, &ClaimProblem::Clock),
            Err(kind) => {
                let end = registered.expiry.map(NumericDate::since_epoch).unwrap_or_default();
                let ago = now.saturating_sub(end);
                failed(step, kind, &ClaimProblem::Expired { ago, leeway: expected.leeway })
            }
        }
    });
    let optional = if expected.allow_missing_expiry { "none, or " } else { "" };
    step.with_expected(&format!("{optional}after {}", clock(facts)))
}

fn issued_at(facts: &Facts<'_>) -> Step {
    judged(facts, "iat", |step, registered| dated(step, registered.names.issued_at))
        .with_expected("none, or a number")
}

fn dated(step: Step, date: Option<NumericDate>) -> Step {
    match date {
        Some(date) => step.with_received(&shown::time(date.since_epoch())),
        None => step,
    }
}

/// Describes the current time and the leeway.
fn clock(facts: &Facts<'_>) -> String {
    if facts.now == UNKNOWN_TIME {
        return "now, but the clock is set before 1970".to_owned();
    }
    let leeway = shown::duration(facts.rules.expected.leeway);
    let now = shown::date(facts.now).unwrap_or_else(|| facts.now.as_secs().to_string());
    format!("now ({now}), leeway {leeway}")
}

fn revocation(facts: &Facts<'_>) -> Step {
    const NAME: &str = "revocation";
    let Some(revocations) = &facts.rules.revocations else {
        return Step::skipped(NAME, "JwtVerifier::revocations is not set");
    };
    let Some(payload) = facts.payload else {
        return Step::skipped(NAME, NO_PAYLOAD);
    };
    match plain(payload, &facts.rules.expected.wanted) {
        Ok(registered) => revoked(Step::passed(NAME), facts, revocations, &registered),
        Err(_) => Step::skipped(NAME, "a registered claim cannot be read"),
    }
}

fn revoked(step: Step, facts: &Facts<'_>, revocations: &Revocations, registered: &Registered<'_>) -> Step {
    let ids = ["jti", "sid", "sub"].into_iter();
    let ids = ids.filter_map(|name| Some(format!("`{name}` {}", shown::json(facts.members.raw(name)?))));
    let ids: Vec<_> = ids.collect();
    let received = if ids.is_empty() { "no `jti`, `sid` or `sub`".to_owned() } else { ids.join(", ") };
    let step = step.with_received(&received).with_expected("not on the list");
    match revocations.judge(&revocations.revocable(&registered.identity())) {
        Ok(()) => step,
        Err(AuthErrorKind::Revoked) => failed(step, AuthErrorKind::Revoked, &ClaimProblem::Revoked),
        Err(kind) => failed(step, kind, &ClaimProblem::RevocationsUnavailable),
    }
}
