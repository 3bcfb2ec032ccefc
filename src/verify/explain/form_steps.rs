//! The steps about the size and the form of a token.

use super::advice::{self, FormProblem};
use super::step::Step;
use crate::kind::AuthErrorKind;
use crate::verify::base64url::is_canonical;
use crate::verify::jws::Jws;

/// Longer tokens are not decoded, whatever the verifier's limit.
const LONGEST_READ: usize = 1024 * 1024;

/// The parts of a token, as far as it has them.
#[derive(Debug)]
pub(super) struct Form<'t> {
    bytes: usize,
    parts: usize,
    problem: Option<(AuthErrorKind, FormProblem)>,
    /// The three parts. There may be a problem around or inside them.
    pub(super) jws: Option<Jws<'t>>,
    /// The encoded header, also of a token without three parts.
    pub(super) header: Option<&'t [u8]>,
    /// The encoded payload, also of a token without a signature.
    pub(super) payload: Option<&'t [u8]>,
}

impl<'t> Form<'t> {
    pub(super) fn of(token: &'t [u8]) -> Self {
        let bytes = token.len();
        let is_read = bytes <= LONGEST_READ;
        let (text, around) = trimmed(token);
        let parts: Vec<_> = text.split(|byte| *byte == b'.').take(6).collect();
        let problem = around.or_else(|| problem_of(text, &parts));
        // The verifier judges the text as it is: five parts are an encrypted token.
        let kind = match token.iter().filter(|byte| **byte == b'.').count() {
            4 => AuthErrorKind::UnsupportedToken,
            _ => AuthErrorKind::MalformedToken,
        };
        Self {
            bytes,
            parts: parts.len(),
            problem: problem.map(|problem| (kind, problem)),
            jws: if is_read && parts.len() == 3 { Jws::split(text) } else { None },
            header: if is_read && parts.len() > 1 { parts.first().copied() } else { None },
            payload: if is_read && matches!(parts.len(), 2 | 3) { parts.get(1).copied() } else { None },
        }
    }

    pub(super) fn problem(&self) -> Option<FormProblem> {
        self.problem.map(|(_, problem)| problem)
    }

    pub(super) fn size_step(&self, limit: usize) -> Step {
        let step = Step::passed("size")
            .with_expected(&format!("at most {limit} bytes"))
            .with_received(&format!("{} bytes", self.bytes));
        match self.bytes > limit {
            true => {
                let problem = FormProblem::TooLarge { bytes: self.bytes, limit };
                step.fail(AuthErrorKind::TokenTooLarge, &advice::form(problem))
            }
            false => step,
        }
    }

    pub(super) fn form_step(&self) -> Step {
        let step = Step::passed("form").with_expected("three parts of base64url");
        let step = match self.parts {
            1 => step.with_received("one part, without dots"),
            6 => step.with_received("more than five parts"),
            parts => step.with_received(&format!("{parts} parts")),
        };
        match self.problem {
            None => step,
            Some((kind, problem)) => {
                let is_around =
                    matches!(problem, FormProblem::Scheme | FormProblem::Quotes | FormProblem::WhiteSpace);
                let step = step.fail(kind, &advice::form(problem));
                match is_around && self.jws.is_some() {
                    true => step.with_detail("the following steps check the token without it"),
                    false => step,
                }
            }
        }
    }
}

/// Removes what was pasted with a token. Returns the outermost problem, except that a scheme counts most.
fn trimmed(token: &[u8]) -> (&[u8], Option<FormProblem>) {
    let mut text = token;
    let mut found = None;
    // Three times for `"Authorization: Bearer TOKEN"` with a line break.
    for _ in 0..3 {
        let trimmed = text.trim_ascii();
        if trimmed.len() < text.len() {
            found = found.or(Some(FormProblem::WhiteSpace));
        }
        text = trimmed;
        if let [open @ (b'"' | b'\'' | b'`'), inner @ .., close] = text
            && open == close
        {
            found = found.filter(|problem| *problem == FormProblem::Scheme).or(Some(FormProblem::Quotes));
            text = inner;
        }
        for scheme in ["authorization:", "bearer ", "dpop "] {
            if let Some((start, rest)) = text.split_at_checked(scheme.len())
                && start.eq_ignore_ascii_case(scheme.as_bytes())
            {
                (text, found) = (rest.trim_ascii_start(), Some(FormProblem::Scheme));
            }
        }
    }
    (text, found)
}

fn problem_of(text: &[u8], parts: &[&[u8]]) -> Option<FormProblem> {
    let has = |bytes: &[u8]| text.iter().any(|byte| bytes.contains(byte));
    match parts.len() {
        _ if text.is_empty() => return Some(FormProblem::Empty),
        1 => return Some(FormProblem::Opaque),
        2 => return Some(FormProblem::CutOff),
        3 => {}
        5 => return Some(FormProblem::Encrypted),
        _ => return Some(FormProblem::OtherParts),
    }
    if has(b" \t\r\n") {
        return Some(FormProblem::WhiteSpace);
    }
    if has(b"\"'") {
        return Some(FormProblem::Quotes);
    }
    if has(b"=") {
        return Some(FormProblem::Padded);
    }
    if has(b"+/") {
        return Some(FormProblem::PlainBase64);
    }
    let names = ["header", "payload", "signature"];
    let damaged = names.into_iter().zip(parts).find(|(_, part)| !is_canonical(part));
    damaged.map(|(name, _)| FormProblem::NotBase64url(name))
}
