//! The judgement itself: a token, the keys that are held, and what is demanded of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use super::algorithms::Algorithms;
use super::base64url::Buffer;
use super::json;
use super::jws::{Header, Jws, TokenType, USUAL_HEADER};
use super::key::Key;
use super::key_set::KeySet;
use super::private_names::has_private_name;
use super::stream::{Pass, plain};
use super::validate::{Expected, UNKNOWN_TIME};
use crate::algorithm::Algorithm;
use crate::claims::{Claims, TokenInfo};
use crate::conditions::Conditions;
use crate::credential::Credential;
use crate::kind::AuthErrorKind;
use crate::observe::MayBeLogged;
use crate::registered::NumericDate;
use crate::revocation::{Revocable, Revocations};

/// What a verifier demands of a token.
#[derive(Clone)]
pub(crate) struct Rules {
    /// Another one whenever a setting changes.
    pub(crate) id: u64,
    pub(crate) expected: Expected,
    pub(crate) max_token_bytes: usize,
    pub(crate) types: Types,
    /// Those that a token may be signed with, of those that the keys serve.
    pub(crate) algorithms: Algorithms,
    pub(crate) revocations: Option<Revocations>,
    pub(crate) clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
}

/// Which tokens are accepted, by their header's `typ`.
#[derive(Clone, Debug)]
pub(crate) enum Types {
    /// All but those that are of another type.
    Usual,
    AccessTokens,
    /// This one alone, without `application/`.
    Only(String),
}

impl Types {
    fn accept(&self, header: &Header<'_>) -> bool {
        match self {
            Self::Only(wanted) => {
                header.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case(wanted))
            }
            _ => self.accept_known(header.token_type()),
        }
    }

    /// Of a header that was seen before. Where it takes more than what is remembered of it, it is read again.
    fn accept_known(&self, token_type: TokenType) -> bool {
        match token_type {
            TokenType::AccessToken => !matches!(self, Self::Only(_)),
            TokenType::Any => matches!(self, Self::Usual),
            TokenType::Other => false,
        }
    }
}

/// Why a token was not found good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: AuthErrorKind,
    pub(crate) newer_key: NewerKey,
}

/// Says if a key that is not held yet could have signed the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewerKey {
    Impossible,
    /// No key of its name is held, or the token names none.
    Missing,
    /// Keys of its name are held and have not signed it: the provider may have replaced one under the same name.
    Replaced,
}

impl From<AuthErrorKind> for Refusal {
    fn from(kind: AuthErrorKind) -> Self {
        Self { kind, newer_key: NewerKey::Impossible }
    }
}

impl Rules {
    /// Judges a token in compact serialization.
    pub(crate) fn judge<C>(&self, keys: &KeySet, credential: &Credential<'_>) -> Result<Claims<C>, Refusal>
    where
        C: DeserializeOwned + 'static,
    {
        let token = credential.token();
        if token.len() > self.max_token_bytes {
            return Err(AuthErrorKind::TokenTooLarge.into());
        }
        let jws = Jws::split(token).ok_or(AuthErrorKind::MalformedToken)?;
        self.judge_parts(keys, &jws, credential.payload())
            .map_err(|refusal| jws.misshapen().map_or(refusal, Refusal::from))
    }

    fn judge_parts<C>(
        &self,
        keys: &KeySet,
        jws: &Jws<'_>,
        decoded: Option<&str>,
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
                let refused_by = known.map(|(key, _)| key);
                let signer = self.find_signer(keys, &header, refused_by, jws.signed, signature)?;
                signer.remember(jws.header, &header);
                (signer, header.kid.as_deref())
            }
        };

        // From here on the token is what its issuer made.
        let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
        let payload = match decoded {
            Some(payload) => payload,
            None => payload_text(jws.payload, &mut buffer)?,
        };
        let mut pass = Pass::over(payload, &self.expected.wanted);
        let claims = pass.claims();
        let registered = pass.registered().map_err(AuthErrorKind::from)?;
        let now = self.now();
        self.expected.judge(payload, registered, now)?;
        let revocable = match &self.revocations {
            Some(revocations) => revocations.revocable(&registered.identity()),
            None => Revocable::default(),
        };
        self.judge_revocations(&revocable)?;
        let expiry = registered.expiry;
        let expires_at = expiry.and_then(NumericDate::to_system_time);
        let may_be_logged = MayBeLogged::new(
            || !self.expected.issuers.is_empty(),
            || kid.is_some_and(|kid| signer.is_named(kid)),
        );
        let info = TokenInfo::with(expires_at, registered.issuer.as_deref(), kid, may_be_logged);
        let conditions = Conditions {
            rules: self.id,
            keys: keys.id(),
            judged_at: now,
            expires_at: expiry.map_or(Duration::MAX, NumericDate::since_epoch),
            signer: *signer.fingerprint(),
            revocable,
        };
        match claims {
            Ok(claims) => Ok(Claims::verified(claims, info, conditions)),
            Err(_) => Err(AuthErrorKind::InvalidClaims.into()),
        }
    }

    /// Judges what a payload says although nothing is known of its signature: a token that these rules refuse in any
    /// case is not worth a look for its key. The application's type never sees such a payload.
    #[cold]
    pub(crate) fn foresee(&self, encoded: &[u8]) -> Result<(), AuthErrorKind> {
        let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
        let payload = payload_text(encoded, &mut buffer)?;
        let registered = plain(payload, &self.expected.wanted)?;
        self.expected.judge(payload, &registered, self.now())
    }

    /// Checks the signature with every key that may have made it, but for one that is known not to have.
    fn find_signer<'k>(
        &self,
        keys: &'k KeySet,
        header: &Header<'_>,
        refused_by: Option<&Key>,
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
            .filter(|key| refused_by.is_none_or(|other| !std::ptr::eq(*key, other)))
            .find(|key| key.verify(signed, signature))
            .ok_or_else(|| Refusal {
                kind: AuthErrorKind::InvalidSignature,
                newer_key: if kid.is_some() { NewerKey::Replaced } else { NewerKey::Missing },
            })
    }

    /// Judges whether a token has been revoked.
    #[inline]
    pub(crate) fn judge_revocations(&self, token: &Revocable) -> Result<(), AuthErrorKind> {
        self.revocations.as_ref().map_or(Ok(()), |revocations| revocations.judge(token))
    }

    /// The time since 1970. A clock that stands before then is wrong in an unknown way, so no token is valid.
    pub(crate) fn now(&self) -> Duration {
        let now = self.clock.as_ref().map_or_else(SystemTime::now, |clock| clock());
        now.duration_since(UNIX_EPOCH).unwrap_or(UNKNOWN_TIME)
    }
}

/// The JSON of a payload that it is safe to read.
#[inline]
pub(crate) fn payload_text<'b, const N: usize>(
    encoded: &[u8],
    buffer: &'b mut Buffer<N>,
) -> Result<&'b str, AuthErrorKind> {
    let payload = buffer.decode(encoded).ok_or(AuthErrorKind::MalformedToken)?;
    json::object_text(payload)
        .filter(|text| json::is_shallow(text) && !has_private_name(text))
        .ok_or(AuthErrorKind::InvalidClaims)
}

/// How many bytes a token may have, unless more are allowed.
pub(crate) const TOKEN_LIMIT: usize = 16 * 1024;

/// What is longer is decoded on the heap.
pub(crate) const USUAL_PAYLOAD: usize = 4096;
/// That of an RSA key of 8192 bits, and what a decoder may ask for beyond it. One of ML-DSA is decoded on the heap: it is
/// checked in the time of a hundred allocations.
const USUAL_SIGNATURE: usize = 8192 / 8 + 2;
