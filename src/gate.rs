//! Authenticates a request: finds the token, calls the verifier, and then inserts the claims or rejects the request.

use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Request, Response, StatusCode};

use crate::caching::Added;
use crate::challenge::{Challenge, LayerChallenges, Settings};
use crate::challenges::Challenges;
use crate::claims::{Claims, NoClaims};
use crate::credential::{Credential, PROOF};
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::observe::{self, Timer};
use crate::policy::Policy;
use crate::reject::{self, Kept, Reject};
use crate::scheme::Scheme;
use crate::token_source::{TokenSource, attempted_scheme, mark_sensitive};
use crate::verify::{PendingVerdict, Verdict, Verify};

/// The configuration shared by all services that one layer creates.
#[derive(Clone)]
pub(crate) struct Gate<V, R, P> {
    pub(crate) verifier: V,
    pub(crate) sources: Vec<TokenSource>,
    pub(crate) prefers_first_source: bool,
    pub(crate) lets_pass: LetsPass,
    pub(crate) passes_unread: Option<Arc<Predicate>>,
    pub(crate) removes_credential: bool,
    pub(crate) policy: P,
    pub(crate) settings: Option<Settings>,
    pub(crate) reject: R,
    pub(crate) prepared: Prepared,
}

/// Values derived from the complete settings, once for all services of a layer.
#[derive(Clone)]
pub(crate) struct Prepared {
    challenges: LayerChallenges,
    /// True if `Bearer` is the only possible scheme, which is the usual case.
    is_bearer_alone: bool,
    /// True if `DPoP` is offered, so that requests may have proofs.
    takes_proofs: bool,
    /// The caching headers of responses, depending on the place of the token. `None` if it was in `Authorization`.
    with_token: Option<Arc<Added>>,
    without_token: Option<Arc<Added>>,
}

impl Default for Prepared {
    fn default() -> Self {
        let challenges = LayerChallenges::new(None, Challenges::bearer());
        Self { challenges, is_bearer_alone: true, takes_proofs: false, with_token: None, without_token: None }
    }
}

/// The requests that may pass without valid claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetsPass {
    Nobody,
    WithoutCredential,
    Everybody,
}

pub(crate) type Predicate = dyn Fn(Head<'_>) -> bool + Send + Sync;

/// The result of the synchronous part of authentication.
pub(crate) enum Step<C> {
    /// The request is ready for the inner service, with or without claims.
    MayPass(Option<Arc<Added>>),
    Rejected(AuthError),
    /// The request must wait for the verdict. Then call [`finish`](Gate::finish).
    Waiting(Waited<C>),
}

/// A pending verdict, with the values needed after it.
pub(crate) struct Waited<C> {
    pub(crate) verdict: PendingVerdict<C>,
    pub(crate) challenge: Option<Arc<Challenge>>,
    pub(crate) added: Option<Arc<Added>>,
}

/// The work that remains after the response of the inner service.
pub(crate) struct Outgoing<R> {
    reject: R,
    kept: Kept,
    added: Option<Arc<Added>>,
}

impl<R> Outgoing<R> {
    #[inline]
    pub(crate) fn finish<B>(&self, response: &mut Response<B>)
    where
        R: Reject<B>,
    {
        self.kept.render(&self.reject, response);
        if let Some(added) = &self.added {
            added.add_to(response);
        }
    }
}

impl<V, R, P> Gate<V, R, P> {
    /// Replaces the policy or the rejection.
    pub(crate) fn with<R2, P2>(self, change: impl FnOnce(R, P) -> (R2, P2)) -> Gate<V, R2, P2> {
        let (reject, policy) = change(self.reject, self.policy);
        Gate {
            verifier: self.verifier,
            sources: self.sources,
            prefers_first_source: self.prefers_first_source,
            lets_pass: self.lets_pass,
            passes_unread: self.passes_unread,
            removes_credential: self.removes_credential,
            policy,
            settings: self.settings,
            reject,
            prepared: self.prepared,
        }
    }

    /// Derives the [prepared values](Prepared) of the settings. Services use a gate only after this.
    pub(crate) fn prepared(mut self, once: &OnceLock<Prepared>) -> Self
    where
        V: Verify,
    {
        let prepare = || {
            let offered = self.verifier.challenges();
            let has_own_scheme = self.sources.iter().any(TokenSource::has_own_scheme);
            Prepared {
                is_bearer_alone: offered == Challenges::bearer() && !has_own_scheme,
                takes_proofs: offered.position(Scheme::DPOP).is_some(),
                challenges: LayerChallenges::new(self.settings.as_ref(), offered),
                with_token: Added::with_token(&self.sources).map(Arc::new),
                without_token: Added::without_token(&self.sources).map(Arc::new),
            }
        };
        self.prepared = once.get_or_init(prepare).clone();
        self
    }

    /// Keeps the parts of an accepted request that its response needs.
    #[inline]
    pub(crate) fn outgoing<B, ResBody>(&self, request: &Request<B>, added: Option<Arc<Added>>) -> Outgoing<R>
    where
        R: Reject<ResBody> + Clone,
    {
        Outgoing { reject: self.reject.clone(), kept: Kept::of(request, self.reject.reads()), added }
    }

    /// Writes the `Debug` output of a type that contains a gate.
    pub(crate) fn describe(&self, f: &mut Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("sources", &self.sources)
            .field("prefers_first_source", &self.prefers_first_source)
            .field("lets_pass", &self.lets_pass)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<V, R, P> Gate<V, R, P>
where
    V: Verify,
    V::Claims: Send + Sync + 'static,
    P: Policy<V::Claims>,
{
    /// Runs the synchronous part of authentication.
    #[inline]
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) -> Step<V::Claims> {
        let mut has_header = false;
        for source in &self.sources {
            has_header |= source.mark_sensitive(request.headers_mut());
        }
        if self.prepared.takes_proofs {
            mark_sensitive(request.headers_mut(), &PROOF);
        }
        let missing = || AuthError::new(AuthErrorKind::MissingCredential);
        if self.passes_unread.as_ref().is_some_and(|passes| passes((&*request).into())) {
            self.pass(request, missing().in_challenge(self.prepared.challenges.to_any()));
            return Step::MayPass(None);
        }
        let head: Head<'_> = (&*request).into();
        let found = self.credential(&head, has_header);
        let added = self.caching(&found);
        let mut challenge = self.prepared.challenges.to_any();
        let judged = match found {
            Ok(None) if self.lets_pass == LetsPass::WithoutCredential => {
                self.pass(request, missing().in_challenge(challenge));
                return Step::MayPass(added);
            }
            Ok(None) => Err(missing()),
            Ok(Some(Found { source, token })) => {
                let mut scheme = Scheme::BEARER;
                if !self.prepared.is_bearer_alone {
                    scheme = source.scheme(&head, self.prepared.challenges.schemes());
                    challenge = self.prepared.challenges.to(scheme);
                }
                if token.is_empty() {
                    Err(AuthErrorKind::MalformedCredential.into())
                } else {
                    let timer = Timer::start();
                    match self.verifier.verify(Credential::new(scheme, &token).with_request(&head)) {
                        Verdict::Ready(judged) => {
                            timer.stop(&judged);
                            judged.map_err(|error| reconsider(source, &token, error))
                        }
                        Verdict::Pending(_) if !source.is_well_formed(&token) => {
                            let judged = Err(AuthErrorKind::MalformedCredential.into());
                            timer.stop(&judged);
                            judged
                        }
                        Verdict::Pending(verdict) => {
                            let verdict = timer.until(verdict);
                            return Step::Waiting(Waited { verdict, challenge: challenge.cloned(), added });
                        }
                    }
                }
            }
            Err(kind) => {
                if !self.prepared.is_bearer_alone {
                    challenge = self.prepared.challenges.to(attempted_scheme(&head));
                }
                Err(kind.into())
            }
        };
        match self.finish(request, judged, challenge) {
            Ok(None) => Step::MayPass(added),
            Ok(Some(headers)) => Step::MayPass(Some(Added::with_headers(added, headers))),
            Err(error) => Step::Rejected(error),
        }
    }

    /// Applies the policy and inserts the claims into the request. Returns the verifier's headers for the response.
    #[inline]
    pub(crate) fn finish<B>(
        &self,
        request: &mut Request<B>,
        judged: Result<Claims<V::Claims>, AuthError>,
        challenge: Option<&Arc<Challenge>>,
    ) -> Result<Option<Box<HeaderMap>>, AuthError> {
        let error = match judged {
            Ok(mut claims) => match self.policy.check(&claims, (&*request).into()) {
                Ok(()) => {
                    let headers = claims.response_headers();
                    claims.set_challenge(challenge.cloned());
                    self.accept(request, claims);
                    return Ok(headers);
                }
                Err(error) => claims.error(error),
            },
            Err(error) => error,
        };
        let error = error.in_challenge(challenge);
        if self.lets_pass == LetsPass::Everybody {
            self.pass(request, error);
            return Ok(None);
        }
        Err(error)
    }

    #[inline]
    fn accept<B>(&self, request: &mut Request<B>, claims: Claims<V::Claims>) {
        if self.lets_pass == LetsPass::Everybody {
            // Another layer may have inserted an error.
            request.extensions_mut().remove::<AuthError>();
        }
        request.extensions_mut().insert(claims);
        observe::request_accepted();
        self.take_out_credential(request);
    }

    /// Lets a request pass without claims.
    fn pass<B>(&self, request: &mut Request<B>, error: AuthError) {
        observe::request_passed(error.kind());
        let extensions = request.extensions_mut();
        // Another layer may have inserted claims, which do not apply here.
        extensions.remove::<Claims<V::Claims>>();
        if self.lets_pass == LetsPass::Everybody {
            extensions.insert(error.clone());
        }
        extensions.insert(NoClaims::<V::Claims>::new(error));
        self.take_out_credential(request);
    }

    #[inline]
    fn take_out_credential<B>(&self, request: &mut Request<B>) {
        for source in &self.sources {
            if self.removes_credential || source.is_always_taken_out() {
                source.take_out(request, self.prepared.challenges.schemes());
            }
        }
        if self.prepared.takes_proofs && self.removes_credential {
            request.headers_mut().remove(PROOF);
        }
    }

    /// Creates the response to a rejected request.
    pub(crate) fn reject<B, ResBody>(&self, error: AuthError, request: &mut Request<B>) -> Response<ResBody>
    where
        R: Reject<ResBody>,
    {
        observe::request_refused(error.kind());
        reject::refuse(&self.reject, error, request)
    }

    /// Finds the only credential of a request, or the first one if the settings prefer it.
    #[inline]
    fn credential<'s, 'r>(
        &'s self,
        request: &Head<'r>,
        has_header: bool,
    ) -> Result<Option<Found<'s, 'r>>, AuthErrorKind> {
        if !has_header && self.sources.iter().all(TokenSource::reads_headers_alone) {
            return Ok(None);
        }
        let offered = self.prepared.challenges.schemes();
        let mut found: Option<Found<'s, 'r>> = None;
        for source in &self.sources {
            let Some(first) = &found else {
                found = source.find(request, offered)?.map(|token| Found { source, token });
                continue;
            };
            let is_second = match self.prefers_first_source {
                true => source.is_ambiguous(request, offered),
                false => source.find(request, offered)?.is_some(),
            };
            if is_second && !first.source.is_same_place(source) {
                return Err(AuthErrorKind::MultipleCredentials);
            }
        }
        Ok(found)
    }

    #[inline]
    fn caching(&self, found: &Result<Option<Found<'_, '_>>, AuthErrorKind>) -> Option<Arc<Added>> {
        match found {
            Ok(Some(found)) if found.source.is_in_authorization() => None,
            Ok(None) => self.prepared.without_token.clone(),
            Ok(Some(_)) | Err(_) => self.prepared.with_token.clone(),
        }
    }
}

/// A token and the source that found it.
struct Found<'s, 'r> {
    source: &'s TokenSource,
    token: Cow<'r, [u8]>,
}

/// Changes the error if the rejected token is malformed: the request is then invalid, not the token.
fn reconsider(source: &TokenSource, token: &[u8], error: AuthError) -> AuthError {
    if error.status() == StatusCode::UNAUTHORIZED && !source.is_well_formed(token) {
        return AuthErrorKind::MalformedCredential.into();
    }
    error
}
