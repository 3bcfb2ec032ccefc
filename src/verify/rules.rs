//! Verification of a token with the available keys and the rules of a verifier.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Verdict;
use super::algorithms::Algorithms;
use super::base64url::Buffer;
use super::clock::Clock;
use super::confirmation;
use super::heap_bytes::heap_bytes;
use super::json;
use super::jws::{Header, Jws, TokenType, USUAL_HEADER};
use super::key::Key;
use super::key_set::KeySet;
use super::private_names::has_private_name;
use super::sender::{self, Senders};
use super::stream::{Pass, plain};
use super::validate::Expected;
use crate::algorithm::Algorithm;
use crate::challenges::Challenges;
use crate::claims::{Claims, TokenInfo};
use crate::conditions::{Conditions, unique_id};
use crate::credential::Credential;
use crate::crypto::Fingerprint;
use crate::kind::AuthErrorKind;
use crate::observe::{About, MayBeLogged};
use crate::registered::NumericDate;
use crate::revocation::{Revocable, Revocations, TokenIds};
use crate::scheme::Scheme;

/// The requirements of a verifier.
#[derive(Clone)]
pub(crate) struct Rules {
    /// Changes with every setting.
    pub(crate) id: u64,
    pub(crate) expected: Expected,
    pub(crate) max_token_bytes: usize,
    pub(crate) types: Types,
    /// The accepted algorithms, among those of the keys.
    pub(crate) algorithms: Algorithms,
    pub(crate) revocations: Option<Revocations>,
    /// The supported bindings of tokens to their senders, if there are any.
    pub(crate) senders: Option<Arc<Senders>>,
    pub(crate) clock: Clock,
}

/// The accepted values of `typ` in the header.
#[derive(Clone, Debug)]
pub(crate) enum Types {
    /// All tokens, except those with the `typ` of another kind of token.
    Usual,
    AccessTokens,
    /// Only this type, without `application/`.
    Only(String),
}

impl Types {
    pub(crate) fn accept(&self, header: &Header<'_>) -> bool {
        match self {
            Self::Only(wanted) => {
                header.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case(wanted))
            }
            _ => self.accept_known(header.token_type()),
        }
    }

    /// Checks a known header. Returns false if the stored type is not enough to decide: the header is then read again.
    fn accept_known(&self, token_type: TokenType) -> bool {
        match token_type {
            TokenType::AccessToken => !matches!(self, Self::Only(_)),
            TokenType::Any => matches!(self, Self::Usual),
            TokenType::Other => false,
        }
    }
}

/// The facts about the signature of a payload. The default is for one that a trusted service vouches for.
#[derive(Default)]
pub(crate) struct Proof<'a> {
    pub(crate) kid: Option<&'a str>,
    /// The ID of the key set.
    pub(crate) keys: u64,
    pub(crate) signer: Fingerprint,
    /// The issuer that vouches for a payload without a signature.
    pub(crate) provider: Option<&'a str>,
    /// The time from which the verdict counts, if that is not now.
    pub(crate) asked_at: Option<Duration>,
}

/// The reason why a token was rejected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: AuthErrorKind,
    pub(crate) newer_key: NewerKey,
}

/// The possibility that a newer key, not fetched yet, has signed the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewerKey {
    Impossible,
    /// No known key has the `kid` of the token, or the token has no `kid`.
    Missing,
    /// No known key with this `kid` has signed the token. The provider may have replaced a key and reused its `kid`.
    Replaced,
}

impl From<AuthErrorKind> for Refusal {
    fn from(kind: AuthErrorKind) -> Self {
        Self { kind, newer_key: NewerKey::Impossible }
    }
}

impl Rules {
    /// Creates the default requirements.
    pub(crate) fn new() -> Self {
        Self {
            id: unique_id(),
            expected: Expected::new(),
            max_token_bytes: TOKEN_LIMIT,
            types: Types::Usual,
            algorithms: Algorithms::ALL,
            revocations: None,
            senders: None,
            clock: Clock::default(),
        }
    }

    /// Changes a setting.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        self.id = unique_id();
    }

    pub(crate) fn set_revocations(&mut self, revocations: Revocations) {
        self.expected.wanted.identity = true;
        self.revocations = Some(revocations);
    }

    /// Supports one more kind of binding.
    #[cfg(any(feature = "dpop", feature = "mtls"))]
    pub(crate) fn support(&mut self, add: impl FnOnce(&mut Senders)) {
        add(Arc::make_mut(self.senders.get_or_insert_default()));
        self.expected.ignore_confirmation = false;
        self.expected.checks_binding = true;
    }

    /// Returns true if a token of the type `DPoP` can be accepted.
    #[cfg(feature = "introspection")]
    pub(crate) fn accepts_dpop(&self) -> bool {
        self.expected.ignore_confirmation
            || self.senders.as_ref().is_some_and(|senders| senders.dpop.is_some())
    }

    /// Checks the sender of a token after its verdict.
    #[inline]
    pub(crate) fn judge_sender<C>(&self, verdict: Verdict<C>, credential: &Credential<'_>) -> Verdict<C>
    where
        C: Send + Sync + 'static,
    {
        match &self.senders {
            Some(senders) => senders.confirm(verdict, credential, &self.clock),
            // The scheme needs a binding, which these rules cannot check.
            None if credential.scheme() == Scheme::DPOP && !self.expected.ignore_confirmation => {
                sender::reject_dpop(verdict)
            }
            None => verdict,
        }
    }

    /// Returns the schemes of the tokens that can be accepted.
    pub(crate) fn challenges(&self) -> Challenges {
        self.senders.as_ref().map_or_else(Challenges::bearer, |senders| senders.challenges())
    }

    /// Accepts bound tokens as bearer tokens.
    pub(crate) fn ignore_confirmation(&mut self) {
        self.senders = None;
        self.expected.ignore_confirmation = true;
        self.expected.checks_binding = false;
    }

    /// Verifies a token in compact serialization.
    pub(crate) fn judge<C>(&self, keys: &KeySet, credential: &Credential<'_>) -> Result<Claims<C>, Refusal>
    where
        C: DeserializeOwned + 'static,
    {
        let token = credential.token();
        if token.len() > self.max_token_bytes {
            return Err(AuthErrorKind::TokenTooLarge.into());
        }
        let jws = Jws::split(token).ok_or(AuthErrorKind::MalformedToken)?;
        self.judge_parts(keys, &jws, credential)
            .map_err(|refusal| jws.misshapen().map_or(refusal, Refusal::from))
    }

    fn judge_parts<C>(
        &self,
        keys: &KeySet,
        jws: &Jws<'_>,
        credential: &Credential<'_>,
    ) -> Result<Claims<C>, Refusal>
    where
        C: DeserializeOwned + 'static,
    {
        let mut buffer = Buffer::<USUAL_SIGNATURE>::new();
        let signature = buffer.decode(jws.signature).ok_or(AuthErrorKind::MalformedToken)?;
        let mut buffer = Buffer::<USUAL_HEADER>::new();
        let header;
        let known = keys.who_knows(jws.header).filter(|(key, known)| {
            self.types.accept_known(known.token_type) && self.algorithms.contain(key.algorithm())
        });
        let (signer, kid) = match known {
            Some((key, known)) if key.verify(jws.signed, signature) => (key, known.kid.as_deref()),
            _ => {
                header = Header::read(jws.header, &mut buffer)?;
                if !self.types.accept(&header) {
                    return Err(AuthErrorKind::WrongTokenType.into());
                }
                let failed = known.map(|(key, _)| key);
                let signer = self.find_signer(keys, &header, failed, jws.signed, signature)?;
                signer.remember(jws.header, &header);
                (signer, header.kid.as_deref())
            }
        };

        // The signature is valid.
        let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
        let payload = match credential.payload() {
            Some(payload) => payload,
            None => payload_text(jws.payload, &mut buffer)?,
        };
        let kid_may_be_logged = || kid.is_some_and(|kid| signer.is_named(kid));
        let proof = Proof { kid, keys: keys.id(), signer: *signer.fingerprint(), ..Proof::default() };
        let judge_use = |revocable: &Revocable| self.judge_revocations(revocable);
        self.judge_claims(payload, &proof, kid_may_be_logged, judge_use).map_err(Refusal::from)
    }

    /// Judges the claims of a payload whose origin is proven.
    #[inline]
    pub(crate) fn judge_claims<C>(
        &self,
        payload: &str,
        proof: &Proof<'_>,
        kid_may_be_logged: impl FnOnce() -> bool,
        judge_use: impl FnOnce(&Revocable) -> Result<(), AuthErrorKind>,
    ) -> Result<Claims<C>, AuthErrorKind>
    where
        C: DeserializeOwned + 'static,
    {
        let mut pass = Pass::over(payload, &self.expected.wanted);
        let claims = pass.claims();
        let registered = pass.registered().map_err(AuthErrorKind::from)?;
        let now = self.now();
        self.expected.judge(payload, registered, now)?;
        // Without an `iss`, the token is from the provider.
        let issuer = registered.issuer.as_deref().or(proof.provider);
        if proof.provider.is_some() && self.expected.issuers.is_empty() && issuer != proof.provider {
            return Err(AuthErrorKind::WrongIssuer);
        }
        let revocable = match &self.revocations {
            Some(revocations) => revocations
                .revocable(&TokenIds { issuer: issuer.unwrap_or_default(), ..registered.identity() }),
            None => Revocable::default(),
        };
        judge_use(&revocable)?;
        let expiry = registered.expiry;
        let expires_at = expiry.and_then(NumericDate::to_system_time);
        let is_expected = || !self.expected.issuers.is_empty() || proof.provider.is_some();
        let may_be_logged = MayBeLogged::new(is_expected, kid_may_be_logged);
        let info = TokenInfo::with(expires_at, issuer, proof.kid, may_be_logged);
        let conditions = Conditions {
            rules: self.id,
            keys: proof.keys,
            judged_at: proof.asked_at.unwrap_or(now),
            expires_at: expiry.map_or(Duration::MAX, NumericDate::since_epoch),
            signer: proof.signer,
            heap_bytes: 0,
            revocable,
            about: About::default(),
        };
        let is_bound = registered.sender_constrained;
        let claims = match claims {
            Ok(claims) => Claims::verified(claims, info, conditions),
            Err(_) => return Err(AuthErrorKind::InvalidClaims),
        };
        if is_bound { self.bind(claims, payload) } else { Ok(claims) }
    }

    /// Adds the `cnf` of the payload to its claims, unless bound tokens are accepted as bearer tokens.
    ///
    /// Apart from the path of bearer tokens, which would be slower otherwise.
    #[cold]
    fn bind<C>(&self, claims: Claims<C>, payload: &str) -> Result<Claims<C>, AuthErrorKind> {
        let Some(senders) = &self.senders else {
            return Ok(claims);
        };
        let binding = confirmation::binding(payload).map_err(|_| AuthErrorKind::InvalidClaims)?;
        match binding.filter(|binding| senders.support(binding)) {
            Some(binding) => Ok(claims.with_binding(binding)),
            None => Err(AuthErrorKind::SenderConstrained),
        }
    }

    /// Checks a payload before its signature: a token that the rules reject anyway needs no fetch of its key.
    ///
    /// The application's type is not deserialized from such a payload.
    #[cold]
    pub(crate) fn foresee(&self, encoded: &[u8]) -> Result<(), AuthErrorKind> {
        let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
        let payload = payload_text(encoded, &mut buffer)?;
        let registered = plain(payload, &self.expected.wanted)?;
        self.expected.judge(payload, &registered, self.now())
    }

    /// Finds the key that signed the token. Skips `failed`, the key that was already tried.
    fn find_signer<'k>(
        &self,
        keys: &'k KeySet,
        header: &Header<'_>,
        failed: Option<&Key>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<&'k Key, Refusal> {
        let kid = header.kid.as_deref();
        let algorithm = Algorithm::named(&header.alg)
            .filter(|algorithm| self.algorithms.contain(*algorithm))
            .ok_or(AuthErrorKind::UnsupportedAlgorithm)?;
        let mut candidates = keys.candidates(algorithm, kid).peekable();
        if candidates.peek().is_none() {
            return Err(match kid {
                Some(kid) if keys.has_named(kid) => {
                    Refusal { kind: AuthErrorKind::UnsupportedAlgorithm, newer_key: NewerKey::Replaced }
                }
                _ => Refusal { kind: AuthErrorKind::UnknownKey, newer_key: NewerKey::Missing },
            });
        }
        candidates
            .filter(|key| failed.is_none_or(|other| !std::ptr::eq(*key, other)))
            .find(|key| key.verify(signed, signature))
            .ok_or_else(|| Refusal {
                kind: AuthErrorKind::InvalidSignature,
                newer_key: if kid.is_some() { NewerKey::Replaced } else { NewerKey::Missing },
            })
    }

    /// Rejects a revoked token.
    #[inline]
    pub(crate) fn judge_revocations(&self, token: &Revocable) -> Result<(), AuthErrorKind> {
        self.revocations.as_ref().map_or(Ok(()), |revocations| revocations.judge(token))
    }

    /// Returns the time since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }
}

/// Estimates the heap memory of the claims of an accepted token.
#[inline(never)]
pub(crate) fn heap_bytes_of<C: DeserializeOwned>(credential: &Credential<'_>) -> usize {
    let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
    let payload = match credential.payload() {
        Some(payload) => Some(payload),
        None => Jws::split(credential.token()).and_then(|jws| payload_text(jws.payload, &mut buffer).ok()),
    };
    payload.map_or(usize::MAX, heap_bytes::<C>)
}

/// Decodes a payload, and rejects JSON that is not safe to deserialize.
#[inline]
pub(crate) fn payload_text<'b, const N: usize>(
    encoded: &[u8],
    buffer: &'b mut Buffer<N>,
) -> Result<&'b str, AuthErrorKind> {
    let payload = buffer.decode(encoded).ok_or(AuthErrorKind::MalformedToken)?;
    safe_text(payload)
}

/// Returns a JSON object as text, and rejects JSON that is not safe to deserialize.
#[inline]
pub(crate) fn safe_text(payload: &[u8]) -> Result<&str, AuthErrorKind> {
    json::object_text(payload)
        .filter(|text| json::is_shallow(text) && !has_private_name(text))
        .ok_or(AuthErrorKind::InvalidClaims)
}

/// The default of the maximum length of a token in bytes.
pub(crate) const TOKEN_LIMIT: usize = 16 * 1024;

/// Longer payloads are decoded on the heap.
pub(crate) const USUAL_PAYLOAD: usize = 4096;
/// The length of a signature of an RSA key of 8192 bits, and the extra room of the decoder. ML-DSA signatures are
/// decoded on the heap: their check takes the time of a hundred allocations.
const USUAL_SIGNATURE: usize = 8192 / 8 + 2;
