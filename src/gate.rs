//! The decision about a request, in one place: find the token, have it judged, put the claims in or refuse.

use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use http::{Request, Response, StatusCode};

use crate::caching::Caching;
use crate::challenge::Challenge;
use crate::claims::{Claims, NoClaims};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::{self, Timer};
use crate::policy::Policy;
use crate::reject::{self, Head, Kept, Reject};
use crate::token_source::TokenSource;
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
    pub(crate) challenge: Option<Arc<Challenge>>,
    pub(crate) reject: R,
    /// Set by [`prepared`](Self::prepared).
    pub(crate) caching: CachingBySource,
}

/// What responses tell caches, by where the token was; `None` if it was in `Authorization`.
#[derive(Clone, Default)]
pub(crate) struct CachingBySource {
    with_token: Option<Arc<Caching>>,
    without_token: Option<Arc<Caching>>,
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
    MayPass(Option<Arc<Caching>>),
    Refused(AuthError),
    /// It has to wait for the verdict, and then be [finished](Gate::finish).
    Waiting(PendingVerdict<C>, Option<Arc<Caching>>),
}

/// What is left to do once the service inside has responded.
pub(crate) struct Outgoing<R> {
    reject: R,
    kept: Kept,
    caching: Option<Arc<Caching>>,
}

impl<R> Outgoing<R> {
    #[inline]
    pub(crate) fn finish<B>(&self, response: &mut Response<B>)
    where
        R: Reject<B>,
    {
        self.kept.render(&self.reject, response);
        if let Some(caching) = &self.caching {
            // The response to an upgrade is never cached.
            if !response.status().is_informational() {
                caching.add_to(response.headers_mut());
            }
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
            challenge: self.challenge,
            reject,
            caching: self.caching,
        }
    }

    /// The same once all sources are known, as services use it.
    pub(crate) fn prepared(mut self) -> Self {
        self.caching = CachingBySource {
            with_token: Caching::with_token(&self.sources).map(Arc::new),
            without_token: Caching::without_token(&self.sources).map(Arc::new),
        };
        self
    }

    /// Keeps what is needed of a request that may pass until its response is there.
    #[inline]
    pub(crate) fn outgoing<B, ResBody>(
        &self,
        request: &Request<B>,
        caching: Option<Arc<Caching>>,
    ) -> Outgoing<R>
    where
        R: Reject<ResBody> + Clone,
    {
        Outgoing { reject: self.reject.clone(), kept: Kept::of(request, self.reject.reads()), caching }
    }

    /// The `Debug` output of whatever is made of a gate.
    pub(crate) fn describe(&self, f: &mut Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("sources", &self.sources)
            .field("prefers_first_source", &self.prefers_first_source)
            .field("lets_pass", &self.lets_pass)
            .field("challenge", &Challenge::or_default(self.challenge.as_deref()))
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
        for source in &self.sources {
            source.mark_sensitive(request.headers_mut());
        }
        let missing = || AuthError::new(AuthErrorKind::MissingCredential);
        if self.passes_unread.as_ref().is_some_and(|passes| passes((&*request).into())) {
            self.pass(request, self.error(missing()));
            return Step::MayPass(None);
        }
        let found = self.credential((&*request).into());
        let caching = self.caching(&found);
        let judged = match found {
            Ok(None) if self.lets_pass == LetsPass::WithoutCredential => {
                self.pass(request, self.error(missing()));
                return Step::MayPass(caching);
            }
            Ok(None) => Err(missing()),
            Ok(Some(Credential { token, .. })) if token.is_empty() => {
                Err(AuthErrorKind::MalformedCredential.into())
            }
            Ok(Some(Credential { source, token })) => {
                let timer = Timer::start();
                match self.verifier.verify_bytes(&token) {
                    Verdict::Ready(judged) => {
                        timer.stop(&judged);
                        judged.map_err(|error| reconsider(source, &token, error))
                    }
                    Verdict::Pending(_) if !source.is_well_formed(&token) => {
                        let judged = Err(AuthErrorKind::MalformedCredential.into());
                        timer.stop(&judged);
                        judged
                    }
                    Verdict::Pending(verdict) => return Step::Waiting(timer.until(verdict), caching),
                }
            }
            Err(kind) => Err(kind.into()),
        };
        match self.finish(request, judged) {
            Ok(()) => Step::MayPass(caching),
            Err(error) => Step::Refused(error),
        }
    }

    /// Puts the claims of a judged token into the request, or says why not.
    #[inline]
    pub(crate) fn finish<B>(
        &self,
        request: &mut Request<B>,
        judged: Result<Claims<V::Claims>, AuthError>,
    ) -> Result<(), AuthError> {
        let error = match judged {
            Ok(claims) => match self.policy.check(&claims, (&*request).into()) {
                Ok(()) => {
                    self.accept(request, claims);
                    return Ok(());
                }
                Err(error) => claims.error(error),
            },
            Err(error) => error,
        };
        let error = self.error(error);
        if self.lets_pass == LetsPass::Everybody {
            self.pass(request, error);
            return Ok(());
        }
        Err(error)
    }

    #[inline]
    fn accept<B>(&self, request: &mut Request<B>, mut claims: Claims<V::Claims>) {
        claims.set_challenge(self.challenge.clone());
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
                source.take_out(request);
            }
        }
    }

    /// An error that is answered as this layer answers.
    fn error(&self, error: AuthError) -> AuthError {
        error.in_challenge(self.challenge.as_ref())
    }

    /// The response that tells a client of a refusal.
    pub(crate) fn refuse<B, ResBody>(&self, error: AuthError, request: &Request<B>) -> Response<ResBody>
    where
        R: Reject<ResBody>,
    {
        observe::request_refused(error.kind());
        reject::refuse(&self.reject, error, request.into())
    }

    /// The credential of a request: the only one, or the first one where that is preferred.
    #[inline]
    fn credential<'s, 'r>(&'s self, request: Head<'r>) -> Result<Option<Credential<'s, 'r>>, AuthErrorKind> {
        let mut found: Option<Credential<'s, 'r>> = None;
        for source in &self.sources {
            let Some(first) = &found else {
                found = source.find(request)?.map(|token| Credential { source, token });
                continue;
            };
            let is_second = match self.prefers_first_source {
                true => source.is_ambiguous(request),
                false => source.find(request)?.is_some(),
            };
            if is_second && !first.source.is_same_place(source) {
                return Err(AuthErrorKind::MultipleCredentials);
            }
        }
        Ok(found)
    }

    #[inline]
    fn caching(&self, found: &Result<Option<Credential<'_, '_>>, AuthErrorKind>) -> Option<Arc<Caching>> {
        match found {
            Ok(Some(credential)) if credential.source.is_in_authorization() => None,
            Ok(None) => self.caching.without_token.clone(),
            Ok(Some(_)) | Err(_) => self.caching.with_token.clone(),
        }
    }
}

/// A token and the source that found it.
struct Credential<'s, 'r> {
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
