//! One step of a verification.

use serde::{Serialize, Serializer};

use super::shown;
use crate::kind::AuthErrorKind;

/// One step of a verification, with what it expected and received.
///
/// All texts have escapes instead of control characters, and a limited length.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    outcome: Outcome,
    #[serde(rename = "proven")]
    is_proven: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_name")]
    error_kind: Option<AuthErrorKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

/// The outcome of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The check passed.
    Passed,
    /// The check failed. The verifier rejects the token.
    Failed,
    /// The check did not run: it is not set up, or an earlier step failed. [`Step::detail`] has the reason.
    Skipped,
}

impl Outcome {
    /// Returns a stable name in lower case: `passed`, `failed` or `skipped`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a step failed, and what to do.
#[derive(Debug)]
pub(crate) struct Advice {
    pub(crate) cause: String,
    pub(crate) cure: String,
}

impl Advice {
    pub(crate) fn new(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cause: cause.into(), cure: cure.into() }
    }
}

impl Step {
    /// Returns the stable name of the step, for example `aud`.
    ///
    /// The [module](crate::explain#steps) lists all names.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Returns the name of a required claim or of a policy.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the outcome.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns false if the step checked claims without a valid signature.
    ///
    /// Anyone may have written such claims.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Returns the kind of error of a failed step.
    #[must_use]
    pub fn error_kind(&self) -> Option<AuthErrorKind> {
        self.error_kind
    }

    /// Returns what the verifier expects, by its settings.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// Returns what the token has.
    #[must_use]
    pub fn received(&self) -> Option<&str> {
        self.received.as_deref()
    }

    /// Returns a remark.
    ///
    /// For example how the key was chosen, or why the step was skipped.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Returns the cause of a failed step.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Returns the cure of a failed step.
    ///
    /// It is the setting to change, or what the client has to do.
    #[must_use]
    pub fn cure(&self) -> Option<&str> {
        self.cure.as_deref()
    }
}

impl Step {
    fn new(name: &'static str, outcome: Outcome) -> Self {
        Self {
            name,
            subject: None,
            outcome,
            is_proven: true,
            error_kind: None,
            expected: None,
            received: None,
            detail: None,
            cause: None,
            cure: None,
        }
    }

    pub(crate) fn passed(name: &'static str) -> Self {
        Self::new(name, Outcome::Passed)
    }

    pub(crate) fn skipped(name: &'static str, reason: &str) -> Self {
        Self::new(name, Outcome::Skipped).with_detail(reason)
    }

    /// Makes the step fail.
    pub(crate) fn fail(self, kind: AuthErrorKind, advice: &Advice) -> Self {
        Self {
            outcome: Outcome::Failed,
            error_kind: Some(kind),
            cause: Some(shown::sentence(&advice.cause)),
            cure: Some(shown::sentence(&advice.cure)),
            ..self
        }
    }

    /// Makes the step pass.
    pub(crate) fn pass(self) -> Self {
        Self { outcome: Outcome::Passed, is_proven: true, error_kind: None, cause: None, cure: None, ..self }
    }

    pub(crate) fn with_subject(self, subject: &str) -> Self {
        Self { subject: Some(shown::value(subject)), ..self }
    }

    pub(crate) fn with_expected(self, expected: &str) -> Self {
        Self { expected: Some(shown::sentence(expected)), ..self }
    }

    pub(crate) fn with_received(self, received: &str) -> Self {
        Self { received: Some(shown::sentence(received)), ..self }
    }

    pub(crate) fn with_detail(self, detail: &str) -> Self {
        Self { detail: Some(shown::sentence(detail)), ..self }
    }

    pub(crate) fn proven_if(self, is_proven: bool) -> Self {
        Self { is_proven, ..self }
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

fn as_name<S: Serializer>(kind: &Option<AuthErrorKind>, serializer: S) -> Result<S::Ok, S::Error> {
    kind.map(AuthErrorKind::name).serialize(serializer)
}
