//! Recording an accepted proof: in this process, and then in the store that several processes share.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::memory::Recorded;
use super::proof::ProofClaims;
use super::replay_store::{ProofId, ReplayFuture};
use super::{Dpop, Settings, State};
use crate::binding::Thumbprint;
use crate::claims::Claims;
use crate::error::{AuthError, FixedCause, NO_STORE};
use crate::kind::AuthErrorKind;
use crate::verify::Verdict;

/// The result of a valid proof.
pub(in crate::verify) struct Proven {
    /// A new nonce for the client.
    pub(super) nonce: Option<HeaderValue>,
    pub(super) recording: Option<Recording>,
}

impl Proven {
    /// Accepts the token, once the store has recorded the proof.
    pub(in crate::verify) fn accept<C: Send + Sync + 'static>(self, mut claims: Claims<C>) -> Verdict<C> {
        if let Some(nonce) = self.nonce {
            // A cached response would repeat the nonce (RFC 9449, section 8.2).
            let headers = [(NONCE, nonce), (CACHE_CONTROL, NO_STORE)];
            claims = Claims::with_response_headers(claims, headers);
        }
        let Some(recording) = self.recording else {
            return Verdict::Ready(Ok(claims));
        };
        Verdict::Pending(Box::pin(async move {
            match recording.finish().await {
                Ok(()) => Ok(claims),
                Err(error) => Err(error.about(claims.about()).proven()),
            }
        }))
    }
}

/// A proof that the store is recording.
pub(super) struct Recording {
    recorded: ReplayFuture,
    timeout: Duration,
    turn: OwnedSemaphorePermit,
}

impl Recording {
    async fn finish(self) -> Result<(), AuthError> {
        let unavailable = AuthError::new(AuthErrorKind::Unavailable).with_retry_after(Duration::from_secs(1));
        let recorded = tokio::time::timeout(self.timeout, self.recorded).await;
        drop(self.turn);
        match recorded {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(AuthErrorKind::ReplayedProof.into()),
            Ok(Err(cause)) => Err(unavailable.with_source(format!("cannot record the DPoP proof: {cause}"))),
            Err(_) => {
                let timeout = self.timeout;
                Err(unavailable
                    .with_source(format!("cannot record the DPoP proof: timed out after {timeout:?}")))
            }
        }
    }
}

impl Dpop {
    /// Remembers the proof in this process, and then in the store.
    pub(super) fn record(
        &self,
        key: Thumbprint,
        claims: &ProofClaims<'_>,
        now: Duration,
    ) -> Result<Option<Recording>, AuthError> {
        let Settings { store, store_timeout, max_age, max_ahead, .. } = &*self.settings;
        let turn = match store {
            Some(_) => Some(self.state.turn()?),
            None => None,
        };
        let issued = claims.iat.since_epoch();
        let valid_from = UNIX_EPOCH.checked_add(issued.saturating_sub(*max_ahead)).unwrap_or(UNIX_EPOCH);
        let id = ProofId::new(key.as_bytes(), &claims.jti, valid_from);
        // A request reads the clock some time before it records its proof.
        let ends = issued.saturating_add(*max_age).saturating_add(SLACK);
        match self.state.accepted.record(&id, ends, now) {
            Recorded::First => {}
            Recorded::Again => return Err(AuthErrorKind::ReplayedProof.into()),
            // The store decides alone.
            Recorded::Full if store.is_some() => {}
            Recorded::Full => return Err(AuthError::new(AuthErrorKind::Unavailable).because(FULL)),
        }
        let keep = ends.saturating_sub(now).saturating_add(*store_timeout).min(LONGEST);
        Ok(store.as_ref().zip(turn).map(|(store, turn)| Recording {
            recorded: store.record(id, keep),
            timeout: *store_timeout,
            turn,
        }))
    }
}

impl State {
    /// Returns a permit to wait for the store.
    fn turn(&self) -> Result<OwnedSemaphorePermit, AuthError> {
        let unavailable = |cause| AuthError::new(AuthErrorKind::Unavailable).because(cause);
        Handle::try_current().map_err(|_| unavailable(NO_RUNTIME))?;
        Arc::clone(&self.turns).try_acquire_owned().map_err(|_| unavailable(TOO_MANY))
    }
}

/// How much longer a proof is remembered than it is accepted.
const SLACK: Duration = Duration::from_secs(5);
/// The longest time that a store keeps a proof, so that it can add the time to its clock: a century.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
pub(super) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

const NO_RUNTIME: &FixedCause = &FixedCause("cannot record the DPoP proof: there is no tokio runtime");
const TOO_MANY: &FixedCause =
    &FixedCause("cannot record the DPoP proof: too many requests wait for the replay store");
const FULL: &FixedCause =
    &FixedCause("the memory of accepted DPoP proofs is full; Dpop::max_proofs sets the limit");
