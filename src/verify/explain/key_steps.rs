//! The steps about the key and the signature of a token.

use super::advice;
use super::facts::Facts;
use super::header_steps::NO_HEADER;
use super::key_advice::{self, KeyProblem, UnknownKey, WrongSignature};
use super::shown;
use super::step::{Advice, Step};
use crate::algorithm::Algorithm;
use crate::config_error::SkippedKey;
use crate::key_type::{Curve, KeyType};
use crate::kind::AuthErrorKind;
use crate::verify::base64url::decode_to_vec;
use crate::verify::jws::Header;
use crate::verify::key::Key;
use crate::verify::key_set::MOST_CANDIDATES;

/// Returns the steps, and true if the signature is valid.
pub(super) fn steps(facts: &Facts<'_>) -> ([Step; 2], bool) {
    let Some(header) = &facts.header else {
        return ([Step::skipped("key", NO_HEADER), Step::skipped("signature", NO_HEADER)], false);
    };
    let accepted = |algorithm: &Algorithm| facts.rules.algorithms.contain(*algorithm);
    let Some(algorithm) = Algorithm::named(&header.alg).filter(accepted) else {
        let reason = "the algorithm is not accepted";
        let key = with_held(Step::skipped("key", reason), facts);
        return ([key, Step::skipped("signature", reason)], false);
    };
    let candidates: Vec<_> = facts.keys.candidates(algorithm, header.kid.as_deref()).collect();
    let (signature, is_valid) = signature(facts, header, algorithm, &candidates);
    ([key(facts, header, algorithm, &candidates), signature], is_valid)
}

fn key(facts: &Facts<'_>, header: &Header<'_>, algorithm: Algorithm, candidates: &[&Key]) -> Step {
    let kid = header.kid.as_deref();
    let received = match kid {
        Some(kid) => format!("`kid` {}, {algorithm}", shown::quoted(kid)),
        None => format!("no `kid`, {algorithm}"),
    };
    if facts.keys.is_empty() && facts.error.is_some_and(|error| error.is_unproven()) {
        return Step::skipped("key", "no keys are held yet, and a token with wrong claims starts no fetch")
            .with_received(&received);
    }
    let step = with_held(Step::passed("key"), facts).with_received(&received);
    if !candidates.is_empty() {
        return step.with_detail(&chosen(facts, kid, candidates));
    }
    let (kind, advice) = no_key(facts, kid, algorithm);
    let step = match skipped(facts, |_| true) {
        Some(list) => step.with_detail(&format!("skipped: {list}")),
        None => step,
    };
    step.fail(kind, &advice)
}

/// Describes the candidates and the skipped keys.
fn chosen(facts: &Facts<'_>, kid: Option<&str>, candidates: &[&Key]) -> String {
    let reason = match kid {
        Some(kid) if candidates.iter().all(|key| key.is_named(kid)) => "by `kid`",
        Some(_) => "by `kid`, or without one",
        None => "by algorithm",
    };
    let names = shortened(candidates.iter().map(|key| name_of(key)));
    let skipped = skipped(facts, |_| true).map(|list| format!("; skipped: {list}")).unwrap_or_default();
    format!("chosen {reason}: {names}; {} held{skipped}", shown::keys(facts.keys.len()))
}

/// Returns why no key serves the token.
fn no_key(facts: &Facts<'_>, kid: Option<&str>, algorithm: Algorithm) -> (AuthErrorKind, Advice) {
    let held: Vec<_> = facts.keys.keys().iter().map(Key::algorithm).collect();
    if let Some(error) = facts.error.filter(|error| error.kind() == AuthErrorKind::KeysUnavailable) {
        let reason = shown::source(error).unwrap_or_else(|| error.to_string());
        let problem = KeyProblem::Unavailable { reason: &reason };
        return (AuthErrorKind::KeysUnavailable, key_advice::key(&problem));
    }
    let named = || facts.keys.keys().iter().filter(|key| kid.is_some_and(|kid| key.is_named(kid)));
    if named().next().is_some() {
        let held: Vec<_> = named().map(Key::algorithm).collect();
        let is_assumed = named().any(Key::algorithm_is_assumed);
        let problem = KeyProblem::OtherAlgorithm { algorithm, held: &held, is_assumed };
        return (AuthErrorKind::UnsupportedAlgorithm, key_advice::key(&problem));
    }
    let reasons = skipped(facts, |key| kid.is_some() && key.kid() == kid);
    let issuer = facts.members.text("iss");
    let is_expected = |issuer: &&str| facts.rules.expected.issuers.iter().any(|own| own == issuer);
    let problem = match &reasons {
        Some(reasons) => KeyProblem::Skipped { reasons },
        None if facts.keys.is_empty() => KeyProblem::NoKeys,
        None => KeyProblem::Unknown(UnknownKey {
            kid,
            algorithm,
            held: &held,
            can_refresh: facts.can_refresh,
            other_issuer: match facts.rules.expected.issuers.is_empty() {
                true => None,
                false => issuer.as_deref().filter(|issuer| !is_expected(issuer)),
            },
            has_nameless: facts.keys.keys().iter().any(|key| key.kid().is_none() && !key.serves(kid)),
            purpose: facts.purpose(),
        }),
    };
    (AuthErrorKind::UnknownKey, key_advice::key(&problem))
}

fn signature(
    facts: &Facts<'_>,
    header: &Header<'_>,
    algorithm: Algorithm,
    candidates: &[&Key],
) -> (Step, bool) {
    let skipped = |reason| (Step::skipped("signature", reason), false);
    let Some(jws) = &facts.form.jws else {
        return skipped("the token does not have three parts");
    };
    let Some(signature) = decode_to_vec(jws.signature) else {
        return skipped("the signature is not base64url");
    };
    if header.has_extension() {
        return skipped("the header has an extension, which may change what is signed");
    }
    if candidates.is_empty() {
        return skipped("there is no key to check it with");
    }
    let step = Step::passed("signature");
    if let Some(position) = candidates.iter().position(|key| key.verify(jws.signed, &signature)) {
        let tried = shown::keys(position + 1);
        return (
            step.with_detail(&format!("{algorithm} with {}; {tried} tried", name_of(candidates[position]))),
            true,
        );
    }
    let kid = header.kid.as_deref();
    let serving =
        facts.keys.keys().iter().filter(|key| key.algorithm() == algorithm && key.serves(kid)).count();
    let advice = match facts.form.problem() {
        Some(problem) => advice::form(problem),
        None => key_advice::key(&KeyProblem::Signature(WrongSignature {
            algorithm,
            purpose: facts.purpose(),
            untried: (serving > MOST_CANDIDATES).then_some(serving),
            has_kid: kid.is_some(),
            is_cut_off: signature.len() < shortest_signature(algorithm),
        })),
    };
    let step = step.with_detail(&format!("{} tried", shown::keys(candidates.len())));
    (step.fail(AuthErrorKind::InvalidSignature, &advice), false)
}

/// Returns the length of the algorithm's signatures in bytes. Those of longer RSA keys are longer.
fn shortest_signature(algorithm: Algorithm) -> usize {
    match (algorithm, algorithm.key_type()) {
        (Algorithm::HS384, _) => 48,
        (Algorithm::HS512, _) => 64,
        (_, KeyType::Secret) => 32,
        (_, KeyType::Rsa) => 256,
        (_, KeyType::Ec(Curve::P384)) => 96,
        (_, KeyType::Ec(Curve::P521)) => 132,
        (_, KeyType::Ec(Curve::P256) | KeyType::Ed25519) => 64,
        (_, KeyType::MlDsa(_)) => 2420,
    }
}

/// Adds the keys that the verifier holds.
fn with_held(step: Step, facts: &Facts<'_>) -> Step {
    let names = facts.keys.keys().iter().map(|key| format!("{} ({})", name_of(key), key.algorithm()));
    step.with_expected(&match facts.keys.len() {
        0 => "a key of the verifier, which has none".to_owned(),
        _ => shortened(names),
    })
}

fn name_of(key: &Key) -> String {
    key.kid().map_or("a key without `kid`".to_owned(), shown::quoted)
}

/// Lists skipped keys with their reasons.
fn skipped(facts: &Facts<'_>, is_shown: impl Fn(&SkippedKey) -> bool) -> Option<String> {
    let mut skipped = facts.keys.skipped_keys().iter().filter(|key| is_shown(key)).peekable();
    skipped.peek()?;
    Some(shortened(skipped.map(ToString::to_string)))
}

fn shortened(mut items: impl Iterator<Item = String>) -> String {
    const MOST: usize = 4;
    let first: Vec<_> = items.by_ref().take(MOST).collect();
    match items.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
