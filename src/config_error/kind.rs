/// The category of a [`ConfigError`](crate::ConfigError).
///
/// The text of the error says more than its kind: log or show the text, and match on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// An HMAC secret is shorter than the hash of its algorithm
    /// ([RFC 7518, section 3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)). Padding and repetitions do not count.
    WeakSecret,
    /// The key is of another type than the setting needs: a private key, a public key or a certificate in the wrong place, or
    /// a key that does not fit its algorithm.
    WrongKeyType,
    /// The text or the bytes are not a well-formed key, JWK or JWK set.
    InvalidKey,
    /// The key is well-formed, but its size, curve, algorithm or use is not supported: by this crate, by its
    /// [back end](crate#features), or by the settings that it is read with.
    UnsupportedKey,
    /// A JWK set has no usable key. [`skipped_keys`](crate::ConfigError::skipped_keys) has the reasons.
    NoUsableKeys,
    /// Two keys that are published at the same time have the same `kid`.
    DuplicateKeyId,
    /// No published key has this `kid`.
    UnknownKeyId,
    /// The key cannot be removed: no other key could sign.
    OnlyKey,
    /// There are more keys or issuers than allowed.
    LimitExceeded,
    /// A verifier that is one of several expects no issuer, so that nothing selects the tokens it is for.
    MissingIssuer,
    /// Keys that were added to a verifier belong to an issuer that the verifier does not expect.
    IssuerMismatch,
    /// Two of several verifiers are for the same issuer.
    DuplicateIssuer,
    /// Two verifiers of an [`AnyOf`](crate::verifiers::AnyOf) are for the same scheme or prefix.
    DuplicateRoute,
    /// A URL is malformed or not allowed: of an issuer, a JWK set, a proxy, a Redis server, or one that clients are told.
    InvalidUrl,
    /// A name contains characters that its header does not allow: of a header, a cookie, a query parameter or a realm.
    InvalidName,
    /// A text is not a list of scopes
    /// ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    InvalidScope,
    /// The text is not a certificate in PEM.
    InvalidCertificate,
    /// A file cannot be read. The error's source is the [`std::io::Error`].
    UnreadableFile,
    /// The HTTP client cannot be created. Most often the machine has no root certificates.
    HttpClientSetup,
    /// A background task was started outside a tokio runtime.
    NoRuntime,
    /// The operating system returned no random numbers.
    NoRandomness,
}
