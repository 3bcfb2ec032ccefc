//! The decision about a request, in one place: find the token, have it judged, put the claims in or refuse.

use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Request, Response, StatusCode};

use crate::caching::Added;
use crate::challenge::{Challenge, LayerChallenges, Settings};
use crate::challenges::Challenges;
use crate::claims::{Claims, NoClaims};
use crate::credential::Credential;
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::observe::{self, Timer};
use crate::policy::Policy;
use crate::reject::{self, Kept, Reject};
use crate::scheme::Scheme;
use crate::token_source::{TokenSource, attempted_scheme};
use crate::verify::{PendingVerdict, Verdict, Verify};

/// What a layer is made of, but for the service inside.
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

/// What is made of the settings once all of them are known. It is made once for all services of a layer.
#[derive(Clone)]
pub(crate) struct Prepared {
    challenges: LayerChallenges,
    /// True if no credential can have another scheme, as nearly always.
    is_bearer_alone: bool,
    /// What responses tell caches, by where the token was; `None` if it was in `Authorization`.
    with_token: Option<Arc<Added>>,
    without_token: Option<Arc<Added>>,
}

impl Default for Prepared {
    fn default() -> Self {
        let challenges = LayerChallenges::new(None, Challenges::bearer());
        Self { challenges, is_bearer_alone: true, with_token: None, without_token: None }
    }
}

/// Who may pass without good claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetsPass {
    Nobody,
    WithoutCredential,
    Everybody,
}

pub(crate) type Predicate = dyn Fn(Head<'_>) -> bool + Send + Sync;

/// How far a request has come.
pub(crate) enum Step<C> {
    /// The extensions are as the service inside expects them, with claims or without.
    MayPass(Option<Arc<Added>>),
    Refused(AuthError),
    /// It has to wait for the verdict, and then be [finished](Gate::finish).
    Waiting(Waited<C>),
}

/// A verdict that is waited for, with what is needed then.
pub(crate) struct Waited<C> {
    pub(crate) verdict: PendingVerdict<C>,
    pub(crate) challenge: Option<Arc<Challenge>>,
    pub(crate) added: Option<Arc<Added>>,
}

/// What is left to do once the service inside has responded.
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
    /// The same with another policy or another sort of answer.
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

    /// The same once all settings are known, as services use it.
    pub(crate) fn prepared(mut self, once: &OnceLock<Prepared>) -> Self
    where
        V: Verify,
    {
        let prepare = || {
            let offered = self.verifier.challenges();
            let has_own_scheme = self.sources.iter().any(TokenSource::has_own_scheme);
            Prepared {
                is_bearer_alone: offered == Challenges::bearer() && !has_own_scheme,
                challenges: LayerChallenges::new(self.settings.as_ref(), offered),
                with_token: Added::with_token(&self.sources).map(Arc::new),
                without_token: Added::without_token(&self.sources).map(Arc::new),
            }
        };
        self.prepared = once.get_or_init(prepare).clone();
        self
    }

    /// Keeps what is needed of a request that may pass until its response is there.
    #[inline]
    pub(crate) fn outgoing<B, ResBody>(&self, request: &Request<B>, added: Option<Arc<Added>>) -> Outgoing<R>
    where
        R: Reject<ResBody> + Clone,
    {
        Outgoing { reject: self.reject.clone(), kept: Kept::of(request, self.reject.reads()), added }
    }

    /// The `Debug` output of whatever is made of a gate.
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
    /// Takes a request as far as it goes without waiting.
    #[inline]
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) -> Step<V::Claims> {
        let mut has_header = false;
        for source in &self.sources {
            has_header |= source.mark_sensitive(request.headers_mut());
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
            Err(error) => Step::Refused(error),
        }
    }

    /// Puts the claims of a judged token into the request, or says why not. Returns the verifier's headers for the response.
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
            // One that is there already comes from somewhere else.
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
        // Claims that are there already come from somewhere else, and say nothing of this request.
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
    }

    /// The response that tells a client of a refusal.
    pub(crate) fn refuse<B, ResBody>(&self, error: AuthError, request: &mut Request<B>) -> Response<ResBody>
    where
        R: Reject<ResBody>,
    {
        observe::request_refused(error.kind());
        reject::refuse(&self.reject, error, request)
    }

    /// The credential of a request: the only one, or the first one where that is preferred.
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

/// A token that was refused may have been no token at all: then the request is at fault, not the token.
fn reconsider(source: &TokenSource, token: &[u8], error: AuthError) -> AuthError {
    if error.status() == StatusCode::UNAUTHORIZED && !source.is_well_formed(token) {
        return AuthErrorKind::MalformedCredential.into();
    }
    error
}
