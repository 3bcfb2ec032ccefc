//! Events, by `tracing`. Nothing of a token is in them but what the settings say already.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use http::StatusCode;
use tracing::{debug, error, info, warn};

use crate::kind::AuthErrorKind;

/// What is known of a token that was refused, without believing it: the issuer that the settings demand, and the name of
/// a key that is held.
#[derive(Clone, Default)]
pub(crate) struct About(Option<Arc<Named>>);

struct Named {
    issuer: Option<String>,
    kid: Option<String>,
}

impl About {
    pub(crate) fn new(issuer: impl FnOnce() -> Option<String>, kid: impl FnOnce() -> Option<String>) -> Self {
        Self(Some(Arc::new(Named { issuer: issuer(), kid: kid() })))
    }

    fn issuer(&self) -> Option<&str> {
        self.0.as_ref()?.issuer.as_deref()
    }

    fn kid(&self) -> Option<&str> {
        self.0.as_ref()?.kid.as_deref()
    }
}

/// Which of an accepted token's issuer and `kid` may be logged: those that the settings and the keys name as well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MayBeLogged {
    issuer: bool,
    kid: bool,
}

impl MayBeLogged {
    #[inline]
    pub(crate) fn new(issuer: impl FnOnce() -> bool, kid: impl FnOnce() -> bool) -> Self {
        Self { issuer: issuer(), kid: kid() }
    }

    pub(crate) fn about<'a>(
        self,
        issuer: impl FnOnce() -> Option<&'a str>,
        kid: impl FnOnce() -> Option<&'a str>,
    ) -> About {
        let known = |may_be_logged, text: Option<&str>| text.filter(|_| may_be_logged).map(str::to_owned);
        About::new(|| known(self.issuer, issuer()), || known(self.kid, kid()))
    }
}

/// What a client did is told at the level of information, what ails the service as a warning or an error.
pub(super) fn refusal_answered(
    kind: AuthErrorKind,
    status: StatusCode,
    about: &About,
    reason: &dyn Display,
    cause: Option<&(dyn Error + 'static)>,
) {
    macro_rules! event {
        ($level:ident) => {
            $level!(
                target: TARGET,
                kind = kind.name(),
                status = status.as_u16(),
                issuer = about.issuer(),
                kid = about.kid(),
                cause = cause.map(in_short).as_deref(),
                "request refused: {reason}"
            )
        };
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        event!(warn);
    } else if status.is_server_error() {
        event!(error);
    } else {
        event!(info);
    }
}

pub(super) fn keys_fetched(provider: &str, keys: usize, failures: u32) {
    if failures > 0 {
        info!(target: TARGET, provider, keys, failures, "the keys were fetched, after failures");
    } else {
        debug!(target: TARGET, provider, keys, "the keys were fetched");
    }
}

pub(super) fn fetch_failed(provider: &str, error: &(dyn Error + 'static), failures: u32, serve_on: bool) {
    let cause = in_short(error);
    warn!(target: TARGET, provider, failures, serve_on, cause = cause.as_str(), "the keys could not be fetched");
}

pub(super) fn renewal_failed(issuer: &str, error: &(dyn Error + 'static)) {
    let cause = in_short(error);
    warn!(target: TARGET, issuer, cause = cause.as_str(), "the verifier of an issuer could not be renewed");
}

/// Logs the keys of a set that cannot be used, where they are not the same as before.
pub(crate) fn keys_skipped(provider: &str, skipped: &[impl Display]) {
    if skipped.is_empty() {
        return;
    }
    let reasons = skipped.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let reasons = cut(reasons);
    warn!(
        target: TARGET,
        provider,
        skipped = skipped.len(),
        reasons = reasons.as_str(),
        "unusable keys of the provider were skipped"
    );
}

pub(super) fn store_answered(call: &str, failures: u64) {
    if failures > 0 {
        info!(target: TARGET, call, failures, "a call of the store of revocations is good again");
    }
}

/// It is tried again several times a second, so that only the first failure is a warning.
pub(super) fn store_failed(call: &str, error: &(dyn Error + 'static), failures: u64) {
    let cause = in_short(error);
    if failures == 1 {
        warn!(target: TARGET, call, cause = cause.as_str(), "a call of the store of revocations has failed");
    } else {
        debug!(target: TARGET, call, failures, cause = cause.as_str(), "a call of the store of revocations has failed once more");
    }
}

/// Whatever the module is called that an event is in.
const TARGET: &str = "tower_jwt_auth";

/// An error and what it comes from, as a text, which subscribers escape, since a stranger may have had a hand in it; and not
/// as long as a stranger likes.
fn in_short(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    cut(text)
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_CAUSE) {
        text.truncate(end);
        text += "..";
    }
    text
}

/// How many characters of an error are logged.
const LONGEST_CAUSE: usize = 1000;
