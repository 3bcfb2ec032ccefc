//! The checks of a proof (RFC 9449, section 4.3).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::known_keys::KnownKey;
use super::nonces::Age;
use super::proof::{self, ProofClaims, ProofHeader};
use super::recording::{NONCE, Proven, Recording};
use super::target::PublicUrl;
use super::{Dpop, Settings};
use crate::binding::Thumbprint;
use crate::credential::{Credential, PROOF};
use crate::error::{AuthError, FixedCause};
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::verify::base64url::Buffer;
use crate::verify::jws::Jws;

impl Dpop {
    /// Checks the proof of a request with a token that is bound to `key`: all checks of RFC 9449, section 4.3.
    pub(in crate::verify) fn judge(
        &self,
        key: Thumbprint,
        credential: &Credential<'_>,
        now: Duration,
    ) -> Result<Proven, AuthError> {
        self.judge_with(key, credential, now, |claims| self.record(key, claims, now))
    }

    /// Checks a proof and then records it with a function.
    pub(super) fn judge_with(
        &self,
        key: Thumbprint,
        credential: &Credential<'_>,
        now: Duration,
        record: impl FnOnce(&ProofClaims<'_>) -> Result<Option<Recording>, AuthError>,
    ) -> Result<Proven, AuthError> {
        let request = credential.request().ok_or_else(|| missing(NO_REQUEST))?;
        let mut values = request.headers().get_all(PROOF).iter();
        let value = values.next().ok_or_else(|| missing(NO_PROOF))?;
        if values.next().is_some() {
            return Err(AuthError::new(AuthErrorKind::MalformedProof).because(SEVERAL));
        }
        let jws = proof::split(value.as_bytes())?;
        let (sender, is_new) = match self.state.keys.get(&key, jws.header) {
            Some(known) => (known, false),
            None => (Arc::new(self.presented_key(&jws, key)?), true),
        };
        let mut buffer = Buffer::new();
        let claims = ProofClaims::read(jws.payload, &mut buffer)?;
        self.judge_request(&claims, request)?;
        let token_hash = Thumbprint::new(Sha256::digest(credential.token()).into());
        if Thumbprint::read(&claims.ath) != Some(token_hash) {
            return Err(AuthErrorKind::WrongProofToken.into());
        }
        let nonce = self.judge_nonce(&claims, now)?;
        self.judge_time(&claims, now)?;
        let mut buffer = Buffer::<USUAL_SIGNATURE>::new();
        let signature = buffer.decode(jws.signature);
        if !signature.is_some_and(|signature| sender.verify(jws.signed, signature)) {
            return Err(AuthErrorKind::InvalidProofSignature.into());
        }
        if is_new {
            self.state.keys.insert(key, sender);
        }
        Ok(Proven { nonce, recording: record(&claims)? })
    }

    /// Reads the key in the header of a proof, which must be the one that the token is bound to.
    fn presented_key(&self, jws: &Jws<'_>, bound_to: Thumbprint) -> Result<KnownKey, AuthError> {
        let mut buffer = Buffer::new();
        let header = ProofHeader::read(jws.header, &mut buffer)?;
        let key = header.key(&self.settings.algorithms, bound_to)?;
        Ok(KnownKey::new(jws.header, key))
    }

    fn judge_request(&self, claims: &ProofClaims<'_>, request: Head<'_>) -> Result<(), AuthError> {
        let reject = |cause: String| Err(AuthError::new(AuthErrorKind::WrongProofRequest).with_source(cause));
        if *claims.htm != *request.method().as_str() {
            return reject("the `htm` of the proof is not the method of the request".to_owned());
        }
        let Some(urls) = self.public_urls(request) else {
            return reject("Dpop::public_url_from returned no `http` or `https` URL".to_owned());
        };
        let path = request.uri().path();
        if urls.iter().any(|url| url.is_target(&claims.htu, path)) {
            return Ok(());
        }
        reject(match urls {
            Cow::Owned(_) => {
                "the `htu` of the proof is not the URL that Dpop::public_url_from returned, followed by the \
                              path of the request"
                    .to_owned()
            }
            Cow::Borrowed(urls) => {
                let urls: Vec<_> = urls.iter().map(PublicUrl::as_str).collect();
                let urls = urls.join(" or ");
                format!(
                    "the `htu` of the proof is not {urls} followed by the path of the request; Dpop::new sets this URL"
                )
            }
        })
    }

    /// Returns the public URLs of a request: the one that the application states, or else the configured ones.
    ///
    /// Returns `None` if the application states something else than a URL.
    pub(super) fn public_urls(&self, request: Head<'_>) -> Option<Cow<'_, [PublicUrl]>> {
        match self.settings.url_of.as_ref().and_then(|url_of| url_of(request)) {
            Some(stated) => PublicUrl::new(&stated).map(|url| Cow::Owned(vec![url])),
            None => Some(Cow::Borrowed(&self.settings.urls)),
        }
    }

    /// Checks the nonce. Returns a new one if the client should use it from now on.
    fn judge_nonce(&self, claims: &ProofClaims<'_>, now: Duration) -> Result<Option<HeaderValue>, AuthError> {
        let Some(nonces) = &self.settings.nonces else {
            return Ok(None);
        };
        let age = claims.nonce.as_ref().map(|nonce| nonces.age(nonce, self.settings.nonce_lifetime, now));
        match age {
            Some(Age::Fresh) => Ok(None),
            Some(Age::Ending) => Ok(Some(nonces.issue(now))),
            Some(Age::Invalid) | None => {
                let error = AuthError::new(AuthErrorKind::WrongProofNonce);
                let error = error.because(if age.is_some() { OLD_NONCE } else { NO_NONCE });
                Err(error.with_response_header(NONCE, nonces.issue(now)))
            }
        }
    }

    fn judge_time(&self, claims: &ProofClaims<'_>, now: Duration) -> Result<(), AuthError> {
        let Settings { max_age, max_ahead, .. } = *self.settings;
        let reject = |cause| Err(AuthError::new(AuthErrorKind::WrongProofTime).with_source(cause));
        let issued = claims.iat.since_epoch();
        let latest = now.saturating_add(max_ahead);
        if now >= issued.saturating_add(max_age) {
            let age = (now - issued).as_secs();
            return reject(format!("the proof is {age} s old by its `iat`; Dpop::max_age is {max_age:?}"));
        }
        if issued > latest {
            let ahead = (issued - now).as_secs();
            return reject(format!(
                "the `iat` of the proof is {ahead} s ahead of the clock; Dpop::max_ahead is {max_ahead:?}"
            ));
        }
        if claims.exp.is_some_and(|exp| now >= exp.since_epoch()) {
            return reject("the `exp` of the proof has passed".to_owned());
        }
        if claims.nbf.is_some_and(|nbf| latest < nbf.since_epoch()) {
            return reject("the `nbf` of the proof has not come".to_owned());
        }
        Ok(())
    }
}

fn missing(cause: &'static FixedCause) -> AuthError {
    AuthError::new(AuthErrorKind::MissingProof).because(cause)
}

/// The length of a signature of an RSA key of 8192 bits, and the extra room of the decoder.
const USUAL_SIGNATURE: usize = 8192 / 8 + 2;

const NO_REQUEST: &FixedCause = &FixedCause(
    "the token is bound to a key and was verified without its request; pass a Credential with the request of the proof",
);
const NO_PROOF: &FixedCause = &FixedCause("the request has no `DPoP` header");
const SEVERAL: &FixedCause = &FixedCause("the request has several `DPoP` headers (RFC 9449, section 4.3)");
const NO_NONCE: &FixedCause = &FixedCause("the proof has no `nonce`; the response has one in `DPoP-Nonce`");
const OLD_NONCE: &FixedCause = &FixedCause(
    "the `nonce` of the proof is too old or not from this service; the response has a new one in `DPoP-Nonce`",
);
