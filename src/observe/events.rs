//! `tracing` events. They contain nothing from a token except values that the settings also contain.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use http::StatusCode;
use tracing::{debug, error, info, warn};

use crate::kind::AuthErrorKind;

/// The trusted facts about a rejected token: the issuer that the settings require, and the `kid` of a known key.
#[derive(Clone, Debug, Default)]
pub(crate) struct About(Option<Arc<Named>>);

#[derive(Debug)]
struct Named {
    issuer: Option<String>,
    kid: Option<String>,
    /// The name of an API key.
    name: Option<String>,
}

impl About {
    pub(crate) fn new(issuer: impl FnOnce() -> Option<String>, kid: impl FnOnce() -> Option<String>) -> Self {
        Self(Some(Arc::new(Named { issuer: issuer(), kid: kid(), name: None })))
    }

    /// Creates the facts about an API key that exists. Without an ID, it is about one that does not.
    #[cfg(feature = "api-keys")]
    pub(crate) fn api_key(prefix: &str, id: Option<&str>, name: Option<&str>) -> Self {
        let [issuer, kid, name] = [Some(prefix), id, name].map(|text| text.map(str::to_owned));
        Self(Some(Arc::new(Named { issuer, kid, name })))
    }

    /// Returns true if there are no facts.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn issuer(&self) -> Option<&str> {
        self.0.as_ref()?.issuer.as_deref()
    }

    fn kid(&self) -> Option<&str> {
        self.0.as_ref()?.kid.as_deref()
    }

    fn name(&self) -> Option<&str> {
        self.0.as_ref()?.name.as_deref()
    }
}

/// Marks the parts of an accepted token that may be logged, because the settings or keys contain them too.
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

/// Logs rejections caused by the client at level info, and failures of the service as a warning or an error.
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
                key_name = about.name(),
                cause = cause.map(in_short).as_deref(),
                "request rejected: {reason}"
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
        info!(target: TARGET, provider, keys, failures, "fetched keys after failures");
    } else {
        debug!(target: TARGET, provider, keys, "fetched keys");
    }
}

pub(super) fn fetch_failed(provider: &str, error: &(dyn Error + 'static), failures: u32, serve_on: bool) {
    let cause = in_short(error);
    warn!(target: TARGET, provider, failures, serve_on, cause = cause.as_str(), "cannot fetch keys");
}

pub(super) fn file_read(path: &str, failures: u32) {
    if failures > 0 {
        info!(target: TARGET, path, failures, "read the followed file after failures");
    }
}

/// Logs each error once, since the file is read every few seconds.
pub(super) fn file_failed(path: &str, error: &(dyn Error + 'static), failures: u32, is_new: bool) {
    let cause = in_short(error);
    if is_new {
        warn!(target: TARGET, path, failures, cause = cause.as_str(), "cannot read the followed file");
    } else {
        debug!(target: TARGET, path, failures, cause = cause.as_str(), "still cannot read the followed file");
    }
}

pub(super) fn renewal_failed(issuer: &str, error: &(dyn Error + 'static)) {
    let cause = in_short(error);
    warn!(target: TARGET, issuer, cause = cause.as_str(), "cannot renew the verifier of an issuer");
}

/// Logs the unusable keys of a set. The caller checks that they have changed.
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
        "skipped unusable keys of the provider"
    );
}

pub(super) fn lookups_recovered(service: &str, failures: u32) {
    if failures > 0 {
        info!(target: TARGET, service, failures, "lookups work again");
    }
}

/// Only the first failure in a row is a warning, since clients can cause many lookups.
pub(super) fn lookup_failed(service: &str, error: &(dyn Error + 'static), failures: u32) {
    let cause = in_short(error);
    if failures == 1 {
        warn!(target: TARGET, service, cause = cause.as_str(), "a lookup failed");
    } else {
        debug!(target: TARGET, service, failures, cause = cause.as_str(), "a lookup failed");
    }
}

pub(super) fn store_answered(call: &str, failures: u64) {
    if failures > 0 {
        info!(target: TARGET, call, failures, "the revocation store works again");
    }
}

/// Only the first failure is a warning, since there are several attempts per second.
pub(super) fn store_failed(call: &str, error: &(dyn Error + 'static), failures: u64) {
    let cause = in_short(error);
    if failures == 1 {
        warn!(target: TARGET, call, cause = cause.as_str(), "the revocation store failed");
    } else {
        debug!(target: TARGET, call, failures, cause = cause.as_str(), "the revocation store failed again");
    }
}

/// The same target for all events, independent of the module.
const TARGET: &str = "tower_jwt_auth";

/// Joins an error and its sources, up to a maximum length.
///
/// An attacker may influence the text. It is recorded as a string, so that subscribers escape it.
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

/// Maximum number of characters that are logged of an error.
const LONGEST_CAUSE: usize = 1000;
