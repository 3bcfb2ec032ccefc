//! The report.

use std::fmt::{self, Display, Formatter};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::shown;
use super::step::{Outcome, Step};
use crate::claims::Claims;
use crate::error::AuthError;

/// The steps of a verification, with its verdict.
///
/// [`JwtVerifier::explain`](crate::JwtVerifier::explain) returns it. The verdict is always that of
/// [`JwtVerifier::verify`](crate::JwtVerifier::verify).
///
/// - `Display` is a report of several lines for a terminal. It ends with the verdict, the cause and the cure.
/// - `Serialize` is the same for programs. The names of its members are stable.
///
/// # Security
///
/// The report has values of the token's header and claims, so treat it like personal data. It never has the token, its
/// signature, a secret or a key. Its texts have no control characters, so a hostile token cannot control a terminal.
#[must_use]
pub struct Explanation<C> {
    verified: Result<Claims<C>, AuthError>,
    /// The error of the first policy that rejects.
    denied: Option<AuthError>,
    steps: Vec<Step>,
}

impl<C> Explanation<C> {
    pub(super) fn new(verified: Result<Claims<C>, AuthError>, steps: Vec<Step>) -> Self {
        Self { verified, denied: None, steps }
    }

    /// Returns true if the verifier and all policies accept the request.
    ///
    /// [`with_policy`](Self::with_policy) adds a policy.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.error().is_none()
    }

    /// Returns the error of the verifier, or that of the first policy that rejects.
    #[must_use]
    pub fn error(&self) -> Option<&AuthError> {
        self.verified.as_ref().err().or(self.denied.as_ref())
    }

    /// Returns the claims if the verifier accepts the token.
    ///
    /// They are there even if a [policy](Self::with_policy) rejects the request.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims<C>> {
        self.verified.as_ref().ok()
    }

    /// Returns all steps, in the order of the verification.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the step that decided the verdict, or `None` if the token is accepted.
    ///
    /// Other steps may have failed as well.
    #[must_use]
    pub fn failed_step(&self) -> Option<&Step> {
        let kind = self.error()?.kind();
        let mut failed = self.steps.iter().filter(|step| step.is_failed());
        failed.find(|step| step.error_kind() == Some(kind))
    }

    /// Returns the cause of the rejection.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.failed_step()?.cause()
    }

    /// Returns the cure of the rejection.
    ///
    /// It is the setting to change, or what the client has to do.
    #[must_use]
    pub fn cure(&self) -> Option<&str> {
        self.failed_step()?.cure()
    }

    /// Returns the verdict in one line.
    ///
    /// For example `rejected with 401 wrong_audience: the token is not for this audience`.
    #[must_use]
    pub fn verdict(&self) -> String {
        match self.error() {
            None => "accepted".to_owned(),
            Some(error) => {
                let (status, kind) = (error.status().as_u16(), error.kind());
                format!("rejected with {status} {}: {kind}", kind.name())
            }
        }
    }

    /// Adds the step of a policy. The first error counts.
    pub(crate) fn with_step(mut self, step: Step, denied: Option<AuthError>) -> Self {
        self.steps.push(step);
        self.denied = self.denied.or(denied);
        self
    }
}

impl<C> Display for Explanation<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let decisive = self.failed_step();
        for step in &self.steps {
            let is_decisive = decisive.is_some_and(|decisive| std::ptr::eq(decisive, step));
            write_step(f, step, is_decisive)?;
        }
        if self.steps.iter().any(is_doubtful) {
            writeln!(f, "\nnot proven: without a valid signature, anyone may have written these claims")?;
        }
        writeln!(f, "\n{}", self.verdict())?;
        if let Some(step) = decisive {
            write_advice(f, step, "")?;
        }
        Ok(())
    }
}

fn write_step(f: &mut Formatter<'_>, step: &Step, is_decisive: bool) -> fmt::Result {
    let mark = match step.outcome() {
        Outcome::Passed if step.is_proven() => "ok",
        Outcome::Passed => "ok?",
        Outcome::Failed => "FAIL",
        Outcome::Skipped => "skip",
    };
    let name = match step.subject() {
        Some(subject) => format!("{} {subject}", step.name()),
        None => step.name().to_owned(),
    };
    write!(f, "{mark:4}  {name:12}")?;
    let mut separator = "  ";
    for (label, text) in [("received ", step.received()), ("expected ", step.expected()), ("", step.detail())]
    {
        if let Some(text) = text {
            write!(f, "{separator}{label}{text}")?;
            separator = "; ";
        }
    }
    writeln!(f, "{}", if is_doubtful(step) { " (not proven)" } else { "" })?;
    if step.is_failed() && !is_decisive { write_advice(f, step, "      ") } else { Ok(()) }
}

/// Returns true if the step checked claims that anyone may have written.
fn is_doubtful(step: &Step) -> bool {
    !step.is_proven() && step.outcome() != Outcome::Skipped
}

fn write_advice(f: &mut Formatter<'_>, step: &Step, indent: &str) -> fmt::Result {
    for (label, text) in [("cause", step.cause()), ("cure", step.cure())] {
        if let Some(text) = text {
            writeln!(f, "{indent}{label}: {text}")?;
        }
    }
    Ok(())
}

impl<C> Serialize for Explanation<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Explanation", 6)?;
        report.serialize_field("accepted", &self.is_accepted())?;
        report.serialize_field("error", &self.error().map(ErrorReport::of))?;
        report.serialize_field("failed_step", &self.failed_step().map(Step::name))?;
        report.serialize_field("cause", &self.cause())?;
        report.serialize_field("cure", &self.cure())?;
        report.serialize_field("steps", &self.steps)?;
        report.end()
    }
}

/// The serialized form of an error.
#[derive(Serialize)]
struct ErrorReport {
    kind: &'static str,
    status: u16,
    description: String,
    source: Option<String>,
}

impl ErrorReport {
    fn of(error: &AuthError) -> Self {
        Self {
            kind: error.kind().name(),
            status: error.status().as_u16(),
            description: error.to_string(),
            source: shown::source(error).map(|source| shown::sentence(&source)),
        }
    }
}

impl<C> Clone for Explanation<C> {
    fn clone(&self) -> Self {
        Self { verified: self.verified.clone(), denied: self.denied.clone(), steps: self.steps.clone() }
    }
}

/// Shows the steps, but not the application's claims.
impl<C> fmt::Debug for Explanation<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("error", &self.error())
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
