//! The steps about the header of a token.

use serde::de::IgnoredAny;

use super::advice::{self, HeaderProblem};
use super::facts::Facts;
use super::shown;
use super::step::Step;
use crate::algorithm::Algorithm;
use crate::kind::AuthErrorKind;
use crate::verify::algorithms::Algorithms;
use crate::verify::base64url::decode_to_vec;
use crate::verify::json;
use crate::verify::rules::Types;

/// The reason to skip steps that need the header.
pub(super) const NO_HEADER: &str = "the header cannot be read";

pub(super) fn steps(facts: &Facts<'_>) -> [Step; 4] {
    [header(facts), crit(facts), typ(facts), alg(facts)]
}

fn header(facts: &Facts<'_>) -> Step {
    let step = Step::passed("header");
    if facts.header.is_some() {
        return step.with_detail("a JSON object with an `alg`");
    }
    let Some(encoded) = facts.form.header else {
        return Step::skipped("header", "the token has no readable header");
    };
    let is_json = decode_to_vec(encoded).is_some_and(|text| json::object::<IgnoredAny>(&text).is_some());
    let problem = if is_json { HeaderProblem::Members } else { HeaderProblem::NotJson };
    step.fail(AuthErrorKind::MalformedToken, &advice::header(&problem))
}

fn crit(facts: &Facts<'_>) -> Step {
    let Some(header) = &facts.header else {
        return Step::skipped("crit", NO_HEADER);
    };
    let step = Step::passed("crit").with_expected("no `crit`, no `b64: false`");
    let found = ["crit", "b64"].iter().filter_map(|name| Some((name, facts.header_members.raw(name)?)));
    let found: Vec<_> = found.map(|(name, raw)| format!("`{name}: {}`", shown::value(raw))).collect();
    let step = if found.is_empty() { step } else { step.with_received(&found.join(", ")) };
    match header.has_extension() {
        true => step.fail(AuthErrorKind::UnsupportedToken, &advice::header(&HeaderProblem::Extension)),
        false => step,
    }
}

fn typ(facts: &Facts<'_>) -> Step {
    let Some(header) = &facts.header else {
        return Step::skipped("typ", NO_HEADER);
    };
    let types = &facts.rules.types;
    let expected = match types {
        Types::Usual => "none, `JWT` or `at+jwt`".to_owned(),
        Types::AccessTokens => "`at+jwt`".to_owned(),
        Types::Only(typ) => shown::quoted(typ),
    };
    let found = header.typ.as_deref();
    let step = Step::passed("typ")
        .with_expected(&expected)
        .with_received(&found.map_or("none".to_owned(), shown::quoted));
    match types.accept(header) {
        true => step,
        false => {
            let problem = HeaderProblem::Type { types, found, purpose: facts.purpose() };
            step.fail(AuthErrorKind::WrongTokenType, &advice::header(&problem))
        }
    }
}

fn alg(facts: &Facts<'_>) -> Step {
    let Some(header) = &facts.header else {
        return Step::skipped("alg", NO_HEADER);
    };
    let accepted = facts.rules.algorithms;
    let expected =
        if accepted == Algorithms::ALL { "the algorithm of a key".to_owned() } else { accepted.to_string() };
    let step = Step::passed("alg").with_expected(&expected).with_received(&shown::quoted(&header.alg));
    let (accepted_names, purpose) = (accepted.to_string(), facts.purpose());
    let problem = match Algorithm::named(&header.alg) {
        Some(algorithm) if accepted.contain(algorithm) => return step,
        Some(_) if accepted.is_empty() => HeaderProblem::NothingAccepted,
        Some(algorithm) => HeaderProblem::NotAccepted { algorithm, accepted: &accepted_names, purpose },
        None if header.alg.eq_ignore_ascii_case("none") => HeaderProblem::Unsigned,
        None => HeaderProblem::UnknownAlgorithm { name: &header.alg },
    };
    step.fail(AuthErrorKind::UnsupportedAlgorithm, &advice::header(&problem))
}
