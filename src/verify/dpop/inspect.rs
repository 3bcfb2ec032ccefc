//! A look at a proof for a report.

use std::borrow::Cow;
use std::time::Duration;

use super::Dpop;
use crate::binding::Thumbprint;
use crate::credential::Credential;
use crate::error::AuthError;
use crate::head::Head;

impl Dpop {
    /// Checks a proof like [`judge`](Self::judge), without using it up.
    pub(in crate::verify) fn inspect(
        &self,
        key: Thumbprint,
        credential: &Credential<'_>,
        now: Duration,
    ) -> Result<(), AuthError> {
        self.judge_with(key, credential, now, |_| Ok(None)).map(drop)
    }

    /// Returns the URLs that the `htu` of a proof for this request may be, as a list.
    pub(in crate::verify) fn expected_urls(&self, request: Head<'_>) -> String {
        let urls = self.public_urls(request).unwrap_or(Cow::Borrowed(&self.settings.urls));
        let urls = urls.iter().map(|url| format!("{}{}", url.as_str(), request.uri().path()));
        urls.collect::<Vec<_>>().join(" or ")
    }
}
