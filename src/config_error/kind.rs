/// The category of a [`ConfigError`](crate::ConfigError).
///
/// The text of the error says more than its kind: log or show the text, and match on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// An HMAC secret is too short for its algorithm.
    ///
    /// It must be as long as the hash ([RFC 7518, section 3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
    /// Padding and repetitions do not count.
    WeakSecret,
    /// The key has another type than the setting needs.
    ///
    /// Either a private key, public key or certificate is in the wrong place, or the key does not fit its algorithm.
    WrongKeyType,
    /// The input is not a well-formed key, JWK, JWK set or record of an API key.
    InvalidKey,
    /// The key is well-formed, but not supported.
    ///
    /// Its size, curve, algorithm or use is not supported by this crate, by its [back end](crate#features), or by the
    /// settings that it is read with.
    UnsupportedKey,
    /// A JWK set has no usable key. [`skipped_keys`](crate::ConfigError::skipped_keys) has the reasons.
    NoUsableKeys,
    /// Two keys that are published at the same time have the same `kid`, or two API keys the same ID.
    DuplicateKeyId,
    /// No published key has this `kid`.
    UnknownKeyId,
    /// The key cannot be removed: no other key could sign.
    OnlyKey,
    /// There are more keys or issuers than allowed.
    LimitExceeded,
    /// One of several verifiers has no issuer, so its tokens cannot be selected.
    MissingIssuer,
    /// Keys that were added to a verifier are from an issuer that it does not expect.
    IssuerMismatch,
    /// Two of several verifiers are for the same issuer.
    DuplicateIssuer,
    /// Two verifiers of an [`AnyOf`](crate::verifiers::AnyOf) are for the same scheme or prefix.
    DuplicateRoute,
    /// A URL is malformed or not allowed.
    ///
    /// It is the URL of an issuer, a JWK set, a proxy or a Redis server, or one that is sent to clients.
    InvalidUrl,
    /// A name has characters that its header does not allow.
    ///
    /// It is the name of a scheme, a cookie, a subprotocol or a realm, or the prefix of API keys or other tokens.
    InvalidName,
    /// The text is not a list of scopes.
    ///
    /// See [RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3).
    InvalidScope,
    /// The text is not a certificate in PEM.
    InvalidCertificate,
    /// A file cannot be read. The error's source is the [`std::io::Error`].
    UnreadableFile,
    /// A setting in the environment or a file is unknown, missing, invalid, or conflicts with another one.
    InvalidSetting,
    /// The HTTP client cannot be created, usually for lack of root certificates.
    HttpClientSetup,
    /// A background task was started outside a tokio runtime.
    NoRuntime,
    /// The operating system returned no random numbers.
    NoRandomness,
}
