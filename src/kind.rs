use std::fmt::{self, Display, Formatter};

/// The category of an [`AuthError`](crate::AuthError): the reason for a rejection.
///
/// `Display` returns one plain sentence, which is also the `error_description` for the client. It never contains
/// anything from the token.
///
/// ```
/// use tower_jwt_auth::{AuthError, AuthErrorKind};
///
/// fn advice(error: &AuthError) -> &'static str {
///     match error.kind() {
///         AuthErrorKind::Expired => "refresh the token",
///         AuthErrorKind::InsufficientScope => "ask for more scopes",
///         _ => "sign in again",
///     }
/// }
///
/// assert_eq!(advice(&AuthErrorKind::Expired.into()), "refresh the token");
/// assert_eq!(AuthErrorKind::Expired.name(), "expired"); // in logs and metrics
/// ```
///
/// # Custom verifiers and policies
///
/// - [`InvalidToken`](Self::InvalidToken): the token is unknown or inactive.
/// - [`Unavailable`](Self::Unavailable): the token could not be checked.
/// - [`InsufficientScope`](Self::InsufficientScope): a policy rejects the request.
///
/// Use a more specific kind where it applies, such as [`Expired`](Self::Expired). [`JwtVerifier`](crate::JwtVerifier)
/// and [`Issuers`](crate::verifiers::Issuers) never return the first, and the second only if a DPoP proof cannot be
/// recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// The request has no credential, or one with a scheme that is not offered.
    ///
    /// Answered with 401, without an error code.
    MissingCredential,
    /// The credential is empty or malformed for its [`TokenSource`](crate::TokenSource).
    ///
    /// The form of a bearer token is in [RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1).
    ///
    /// Answered with 400 `invalid_request`.
    MalformedCredential,
    /// The request carries more than one credential.
    ///
    /// Answered with 400 `invalid_request`.
    MultipleCredentials,
    /// The token is longer than the verifier's limit.
    ///
    /// Answered with 401 `invalid_token`.
    TokenTooLarge,
    /// The token is not a JWT.
    ///
    /// It does not have three parts, its base64url is not canonical, or its header is not a JSON object.
    ///
    /// Answered with 401 `invalid_token`.
    MalformedToken,
    /// The token is encrypted, has an unencoded payload, or names a critical extension.
    ///
    /// Answered with 401 `invalid_token`.
    UnsupportedToken,
    /// The header's `typ` is not one that the verifier accepts.
    ///
    /// Answered with 401 `invalid_token`.
    WrongTokenType,
    /// The algorithm is not accepted.
    ///
    /// The header's `alg` is `none`, unknown, not the algorithm of the key that the token names, or not one of
    /// [`JwtVerifier::algorithms`](crate::JwtVerifier::algorithms).
    ///
    /// Answered with 401 `invalid_token`.
    UnsupportedAlgorithm,
    /// No key is held that could have signed the token.
    ///
    /// With an `IssuerResolver`, this is also the kind for an unknown issuer and for a signature that does not match.
    /// The error's source has the reason.
    ///
    /// Answered with 401 `invalid_token`.
    UnknownKey,
    /// The signature does not match.
    ///
    /// Answered with 401 `invalid_token`.
    InvalidSignature,
    /// The claims are invalid.
    ///
    /// The payload is not a JSON object, a claim has the wrong type or appears twice, or the claims do not match the
    /// application's type.
    ///
    /// Answered with 401 `invalid_token`.
    InvalidClaims,
    /// `iss` is missing or is not the expected issuer.
    ///
    /// Also if the verifier has no issuer, although its key source does not name one.
    ///
    /// Answered with 401 `invalid_token`.
    WrongIssuer,
    /// `aud` is missing or has no expected audience.
    ///
    /// Also if the token has `aud` and the verifier expects no audience.
    ///
    /// Answered with 401 `invalid_token`.
    WrongAudience,
    /// A claim of [`JwtVerifier::require_claim`](crate::JwtVerifier::require_claim) is missing or has another value.
    ///
    /// Answered with 401 `invalid_token`.
    WrongClaim,
    /// The token is bound to a key (`cnf`), but was sent as a plain bearer token.
    ///
    /// Also if the verifier does not support this kind of binding.
    ///
    /// Answered with 401 `invalid_token`.
    SenderConstrained,
    /// The token is not bound to a key or certificate, but must be.
    ///
    /// It was sent with the scheme `DPoP`, or the verifier requires bound tokens.
    ///
    /// Answered with 401 `invalid_token`.
    MissingBinding,
    /// The token was sent with the scheme `DPoP`, but without a DPoP proof.
    ///
    /// The proof is in the header `DPoP`
    /// ([RFC 9449, section 7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    MissingProof,
    /// The DPoP proof is malformed.
    ///
    /// There are several `DPoP` headers, or the proof is not a JWT of the type `dpop+jwt`, its algorithm is not
    /// accepted, its header has no public key, or a claim is missing.
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    MalformedProof,
    /// The signature of the DPoP proof does not match the key in its header.
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    InvalidProofSignature,
    /// The DPoP proof is for another method or URL (`htm`, `htu`).
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    WrongProofRequest,
    /// The DPoP proof is for another token (`ath`).
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    WrongProofToken,
    /// The DPoP proof is too old or from the future (`iat`).
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    WrongProofTime,
    /// The DPoP proof has no nonce of this server, or an old one.
    ///
    /// The response has a new one in `DPoP-Nonce`
    /// ([RFC 9449, section 9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
    ///
    /// Answered with 401 `use_dpop_nonce`.
    WrongProofNonce,
    /// The token is bound to another key than that of the DPoP proof.
    ///
    /// Answered with 401 `invalid_token`.
    WrongProofKey,
    /// The DPoP proof has been used before (`jti`).
    ///
    /// Answered with 401 `invalid_dpop_proof`.
    ReplayedProof,
    /// The token is bound to a client certificate, but the client sent none.
    ///
    /// Answered with 401 `invalid_token`.
    MissingCertificate,
    /// The token is bound to another client certificate.
    ///
    /// Answered with 401 `invalid_token`.
    WrongCertificate,
    /// `exp` is missing.
    ///
    /// Answered with 401 `invalid_token`.
    MissingExpiry,
    /// `nbf` is in the future.
    ///
    /// Answered with 401 `invalid_token`.
    NotYetValid,
    /// `exp` has passed.
    ///
    /// Answered with 401 `invalid_token`.
    Expired,
    /// The token has been revoked: it is on the verifier's list of [revocations](crate::revocation::Revocations).
    ///
    /// Answered with 401 `invalid_token`.
    Revoked,
    /// The API key is mistyped or incomplete: its form or its checksum is wrong.
    ///
    /// Answered with 401 `invalid_token`.
    MalformedApiKey,
    /// The token is unknown or inactive.
    ///
    /// Examples are an opaque token that introspection rejects, and an unknown API key.
    ///
    /// Answered with 401 `invalid_token`.
    InvalidToken,
    /// The token is valid, but the application has no such user.
    ///
    /// Answered with 401 `invalid_token`.
    UnknownPrincipal,
    /// The token is valid, but does not permit this request.
    ///
    /// Answered with 403 `insufficient_scope`.
    InsufficientScope,
    /// The token could not be verified for lack of a key.
    ///
    /// Its key is not held and newer keys could not be fetched, its issuer could not be resolved, or too many requests
    /// were already waiting.
    ///
    /// Answered with 503.
    KeysUnavailable,
    /// The token is valid, but may have been revoked.
    ///
    /// The list of [revocations](crate::revocation::Revocations) has been disconnected from its store for too long.
    ///
    /// Answered with 503.
    RevocationsUnavailable,
    /// The token is valid, but the application's user could not be looked up.
    ///
    /// Answered with 503.
    PrincipalUnavailable,
    /// The token could not be checked at this time.
    ///
    /// A service such as an introspection endpoint or a database failed or timed out.
    ///
    /// Answered with 503.
    Unavailable,
    /// Claims are needed, but there is no [`JwtAuthLayer`](crate::JwtAuthLayer).
    ///
    /// This is a bug in the application.
    ///
    /// Answered with 500.
    MissingLayer,
}

impl AuthErrorKind {
    pub(crate) const ALL: [Self; 40] = [
        Self::MissingCredential,
        Self::MalformedCredential,
        Self::MultipleCredentials,
        Self::TokenTooLarge,
        Self::MalformedToken,
        Self::UnsupportedToken,
        Self::WrongTokenType,
        Self::UnsupportedAlgorithm,
        Self::UnknownKey,
        Self::InvalidSignature,
        Self::InvalidClaims,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongClaim,
        Self::SenderConstrained,
        Self::MissingBinding,
        Self::MissingProof,
        Self::MalformedProof,
        Self::InvalidProofSignature,
        Self::WrongProofRequest,
        Self::WrongProofToken,
        Self::WrongProofTime,
        Self::WrongProofNonce,
        Self::WrongProofKey,
        Self::ReplayedProof,
        Self::MissingCertificate,
        Self::WrongCertificate,
        Self::MissingExpiry,
        Self::NotYetValid,
        Self::Expired,
        Self::Revoked,
        Self::MalformedApiKey,
        Self::InvalidToken,
        Self::UnknownPrincipal,
        Self::InsufficientScope,
        Self::KeysUnavailable,
        Self::RevocationsUnavailable,
        Self::PrincipalUnavailable,
        Self::Unavailable,
        Self::MissingLayer,
    ];

    /// Returns a stable name in lower case with underscores, for logs and metrics.
    ///
    /// ```
    /// assert_eq!(tower_jwt_auth::AuthErrorKind::InvalidSignature.name(), "invalid_signature");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::MalformedCredential => "malformed_credential",
            Self::MultipleCredentials => "multiple_credentials",
            Self::TokenTooLarge => "token_too_large",
            Self::MalformedToken => "malformed_token",
            Self::UnsupportedToken => "unsupported_token",
            Self::WrongTokenType => "wrong_token_type",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnknownKey => "unknown_key",
            Self::InvalidSignature => "invalid_signature",
            Self::InvalidClaims => "invalid_claims",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongClaim => "wrong_claim",
            Self::SenderConstrained => "sender_constrained",
            Self::MissingBinding => "missing_binding",
            Self::MissingProof => "missing_proof",
            Self::MalformedProof => "malformed_proof",
            Self::InvalidProofSignature => "invalid_proof_signature",
            Self::WrongProofRequest => "wrong_proof_request",
            Self::WrongProofToken => "wrong_proof_token",
            Self::WrongProofTime => "wrong_proof_time",
            Self::WrongProofNonce => "wrong_proof_nonce",
            Self::WrongProofKey => "wrong_proof_key",
            Self::ReplayedProof => "replayed_proof",
            Self::MissingCertificate => "missing_certificate",
            Self::WrongCertificate => "wrong_certificate",
            Self::MissingExpiry => "missing_expiry",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::MalformedApiKey => "malformed_api_key",
            Self::InvalidToken => "invalid_token",
            Self::UnknownPrincipal => "unknown_principal",
            Self::InsufficientScope => "insufficient_scope",
            Self::KeysUnavailable => "keys_unavailable",
            Self::RevocationsUnavailable => "revocations_unavailable",
            Self::PrincipalUnavailable => "principal_unavailable",
            Self::Unavailable => "unavailable",
            Self::MissingLayer => "missing_layer",
        }
    }

    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::MissingCredential => "the request carries no bearer token",
            Self::MalformedCredential => "the credential is not a single well-formed bearer token",
            Self::MultipleCredentials => "the request carries more than one credential",
            Self::TokenTooLarge => "the token is too large",
            Self::MalformedToken => "the token is not a well-formed JWT",
            Self::UnsupportedToken => "the token is encrypted or uses an extension that is not supported",
            Self::WrongTokenType => "the token is of the wrong type",
            Self::UnsupportedAlgorithm => "the token is signed with an algorithm that is not accepted",
            Self::UnknownKey => "the token is not signed with a known key",
            Self::InvalidSignature => "the signature of the token is not valid",
            Self::InvalidClaims => "the claims of the token are not well-formed",
            Self::WrongIssuer => "the token is not from the expected issuer",
            Self::WrongAudience => "the token is not for this audience",
            Self::WrongClaim => "the token lacks a required claim",
            Self::SenderConstrained => "the token is bound to a key and cannot be used as a bearer token",
            Self::MissingBinding => "the token is not bound to a key or certificate of the sender",
            Self::MissingProof => "the request carries no DPoP proof",
            Self::MalformedProof => "the DPoP proof is not well-formed",
            Self::InvalidProofSignature => "the signature of the DPoP proof is not valid",
            Self::WrongProofRequest => "the DPoP proof is not for this request",
            Self::WrongProofToken => "the DPoP proof is not for this token",
            Self::WrongProofTime => "the DPoP proof is too old or from the future",
            Self::WrongProofNonce => "the DPoP proof needs the nonce of this server",
            Self::WrongProofKey => "the token is bound to another key than that of the DPoP proof",
            Self::ReplayedProof => "the DPoP proof has been used before",
            Self::MissingCertificate => {
                "the token is bound to a client certificate, and the connection has none"
            }
            Self::WrongCertificate => "the token is bound to another client certificate",
            Self::MissingExpiry => "the token has no expiry",
            Self::NotYetValid => "the token is not valid yet",
            Self::Expired => "the token has expired",
            Self::Revoked => "the token has been revoked",
            Self::MalformedApiKey => "the API key is mistyped or incomplete",
            Self::InvalidToken => "the token is not valid",
            Self::UnknownPrincipal => "the token does not belong to a known user",
            Self::InsufficientScope => "the token does not permit this request",
            Self::KeysUnavailable => "the signing keys are temporarily unavailable",
            Self::RevocationsUnavailable => {
                "the revocation status of the token cannot be checked at this time"
            }
            Self::PrincipalUnavailable => "the user of the token cannot be looked up",
            Self::Unavailable => "the token cannot be checked at this time",
            Self::MissingLayer => "the server is not set up to authenticate this request",
        }
    }
}

impl Display for AuthErrorKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}
