use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;

use super::{ConfigError, ConfigErrorKind, SkippedKey, quoted};
use crate::algorithm::Algorithm;

/// The length of an API key's ID.
const API_KEY_ID: usize = 12;

/// Maximum number of items of a list in an error.
pub(crate) const MOST_LISTED: usize = 5;

/// The problem behind a [`ConfigError`](super::ConfigError), with the values for its text.
#[allow(dead_code, reason = "some belong to a feature or a back end that may be off")]
#[derive(Debug)]
pub(crate) enum ConfigProblem {
    /// `got` excludes padding and repetitions. `length` is the total length.
    SecretTooShort {
        algorithm: Algorithm,
        needed: usize,
        got: usize,
        length: usize,
    },
    WrongKeyType {
        algorithm: Algorithm,
        key: &'static str,
    },
    PrivateKey,
    PublicKey,
    Certificate,
    MalformedKey {
        reason: &'static str,
    },
    /// A secret in a file, which is no key.
    MalformedSecret {
        reason: &'static str,
    },
    RsaKeySize {
        bits: usize,
    },
    UnsupportedByBackEnd {
        back_end: &'static str,
        algorithm: Algorithm,
        needed: &'static str,
        got: String,
    },
    /// `instead` names features of this crate.
    NotInBackEnd {
        back_end: &'static str,
        algorithm: Algorithm,
        instead: &'static str,
    },
    MalformedJwk {
        what: &'static str,
        expected: &'static str,
    },
    InvalidJwk {
        reason: Cow<'static, str>,
    },
    UnsupportedJwk {
        reason: Cow<'static, str>,
    },
    NoUsableKeys {
        skipped: Vec<SkippedKey>,
    },
    TooManyKeys {
        max: usize,
        got: usize,
    },
    TooManyUnnamedKeys {
        max: usize,
    },
    DuplicateKeyId {
        kid: String,
    },
    UnknownKeyId {
        kid: String,
    },
    OnlyKey {
        kid: String,
    },
    InvalidThumbprint {
        length: usize,
    },
    /// The algorithms of DPoP proofs. `None` if there are none.
    InvalidProofAlgorithm {
        algorithm: Option<Algorithm>,
    },
    MissingIssuer,
    IssuerMismatch {
        expected: String,
        got: String,
    },
    DuplicateIssuer {
        issuer: String,
    },
    DuplicateRoute {
        route: String,
    },
    EmptyPrefix,
    TooManyIssuers {
        max: usize,
    },
    /// A URL that keys are fetched from. Like in the next three variants, secrets are removed.
    InvalidAddress {
        address: String,
        reason: &'static str,
    },
    /// The URL of an introspection endpoint, or of the issuer that names one.
    InvalidEndpoint {
        address: String,
        reason: &'static str,
    },
    InvalidProxy {
        address: String,
        reason: &'static str,
    },
    /// A URL that is sent to clients.
    InvalidUrl {
        url: String,
        reason: &'static str,
    },
    /// Without the URL, since any part of it may be a password.
    InvalidRedisUrl {
        needed: &'static str,
    },
    InvalidName {
        of: &'static str,
        name: String,
    },
    InvalidScope {
        scope: String,
    },
    InvalidRealm {
        realm: String,
    },
    MalformedCertificate {
        reason: &'static str,
    },
    UnreadableFile {
        path: PathBuf,
        source: io::Error,
    },
    /// A followed file that was read, but not parsed.
    InvalidFile {
        path: PathBuf,
        error: ConfigError,
    },
    /// A setting in the environment or a file. Like in the next variants, no text contains a value.
    InvalidSetting {
        name: String,
        reason: String,
    },
    UnknownSetting {
        name: String,
        nearest: Option<String>,
    },
    MissingSetting {
        name: String,
        reason: String,
    },
    ConflictingSettings {
        one: String,
        other: String,
        reason: &'static str,
    },
    /// A setting that the thing that it configures has rejected.
    RejectedSetting {
        name: String,
        error: ConfigError,
    },
    /// A setting that names an unreadable file. The path is left out: it may be a secret in the wrong place.
    UnreadableSetting {
        name: String,
        error: ConfigError,
    },
    HttpClient {
        source: Box<dyn Error + Send + Sync>,
    },
    NoRuntime,
    NoRandomness,
    InvalidApiKeyPrefix {
        prefix: String,
    },
    DuplicateApiKey {
        id: String,
    },
    InvalidApiKeyRecord {
        id: String,
        reason: &'static str,
    },
    InvalidApiKeyRecords {
        line: usize,
        column: usize,
    },
    PrivateNameInApiKeys,
}

impl ConfigProblem {
    pub(crate) const NOT_A_JWK: Self = Self::MalformedJwk { what: "JWK", expected: "a JSON object" };
    pub(crate) const NOT_A_SET: Self =
        Self::MalformedJwk { what: "JWK set", expected: "a JSON object with an array `keys`" };

    pub(super) fn kind(&self) -> ConfigErrorKind {
        match self {
            Self::SecretTooShort { .. } => ConfigErrorKind::WeakSecret,
            Self::WrongKeyType { .. } | Self::PrivateKey | Self::PublicKey | Self::Certificate => {
                ConfigErrorKind::WrongKeyType
            }
            Self::MalformedKey { .. } | Self::MalformedJwk { .. } | Self::InvalidJwk { .. } => {
                ConfigErrorKind::InvalidKey
            }
            Self::RsaKeySize { .. }
            | Self::UnsupportedByBackEnd { .. }
            | Self::NotInBackEnd { .. }
            | Self::UnsupportedJwk { .. } => ConfigErrorKind::UnsupportedKey,
            Self::NoUsableKeys { .. } => ConfigErrorKind::NoUsableKeys,
            Self::DuplicateKeyId { .. } => ConfigErrorKind::DuplicateKeyId,
            Self::UnknownKeyId { .. } => ConfigErrorKind::UnknownKeyId,
            Self::OnlyKey { .. } => ConfigErrorKind::OnlyKey,
            Self::TooManyKeys { .. } | Self::TooManyUnnamedKeys { .. } | Self::TooManyIssuers { .. } => {
                ConfigErrorKind::LimitExceeded
            }
            Self::MissingIssuer => ConfigErrorKind::MissingIssuer,
            Self::IssuerMismatch { .. } => ConfigErrorKind::IssuerMismatch,
            Self::DuplicateIssuer { .. } => ConfigErrorKind::DuplicateIssuer,
            Self::DuplicateRoute { .. } => ConfigErrorKind::DuplicateRoute,
            Self::EmptyPrefix => ConfigErrorKind::InvalidName,
            Self::InvalidAddress { .. }
            | Self::InvalidEndpoint { .. }
            | Self::InvalidProxy { .. }
            | Self::InvalidUrl { .. }
            | Self::InvalidRedisUrl { .. } => ConfigErrorKind::InvalidUrl,
            Self::InvalidName { .. } | Self::InvalidRealm { .. } => ConfigErrorKind::InvalidName,
            Self::InvalidScope { .. } => ConfigErrorKind::InvalidScope,
            Self::MalformedCertificate { .. } => ConfigErrorKind::InvalidCertificate,
            Self::UnreadableFile { .. } => ConfigErrorKind::UnreadableFile,
            Self::InvalidFile { error, .. }
            | Self::RejectedSetting { error, .. }
            | Self::UnreadableSetting { error, .. } => error.kind(),
            Self::InvalidSetting { .. }
            | Self::MalformedSecret { .. }
            | Self::UnknownSetting { .. }
            | Self::MissingSetting { .. }
            | Self::ConflictingSettings { .. } => ConfigErrorKind::InvalidSetting,
            Self::HttpClient { .. } => ConfigErrorKind::HttpClientSetup,
            Self::NoRuntime => ConfigErrorKind::NoRuntime,
            Self::NoRandomness => ConfigErrorKind::NoRandomness,
            Self::InvalidApiKeyPrefix { .. } => ConfigErrorKind::InvalidName,
            Self::DuplicateApiKey { .. } => ConfigErrorKind::DuplicateKeyId,
            Self::InvalidApiKeyRecord { .. }
            | Self::InvalidApiKeyRecords { .. }
            | Self::PrivateNameInApiKeys
            | Self::InvalidThumbprint { .. } => ConfigErrorKind::InvalidKey,
            Self::InvalidProofAlgorithm { .. } => ConfigErrorKind::WrongKeyType,
        }
    }

    pub(super) fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::UnreadableFile { source, .. } => Some(source),
            Self::InvalidFile { error, .. }
            | Self::RejectedSetting { error, .. }
            | Self::UnreadableSetting { error, .. } => error.source(),
            Self::HttpClient { source } => Some(&**source),
            _ => None,
        }
    }
}

impl Display for ConfigProblem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretTooShort { algorithm, needed, got, length } => {
                write!(f, "{algorithm} needs a secret of at least {needed} bytes, got {got}")?;
                if got == length {
                    return Ok(());
                }
                let rule = "white space, `=` and zero bytes at the end, and repetitions, do not count; use random bytes";
                write!(f, " of {length}: {rule}")
            }
            Self::WrongKeyType { algorithm, key } => write!(f, "{algorithm} cannot be used with {key}"),
            Self::PrivateKey => f.write_str(
                "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key",
            ),
            Self::PublicKey => {
                f.write_str("a public key was given where a private key is needed; only a private key can sign")
            }
            Self::Certificate => f.write_str(
                "a certificate was given where a public key is needed; \
                 `openssl x509 -noout -pubkey` extracts the public key",
            ),
            Self::MalformedKey { reason } => write!(f, "the key cannot be read: {reason}"),
            Self::MalformedSecret { reason } => write!(f, "the secret cannot be read: {reason}"),
            Self::RsaKeySize { bits } => {
                write!(f, "an RSA key needs a modulus of 2048 to 8192 bits, got {bits}")
            }
            Self::UnsupportedByBackEnd { back_end, algorithm, needed, got } => {
                write!(f, "{back_end} needs {needed} for {algorithm}, got {got}")
            }
            Self::NotInBackEnd { back_end, algorithm, instead } => {
                write!(f, "{back_end} does not support {algorithm}; enable the feature {instead}")
            }
            Self::MalformedJwk { what, expected } => write!(f, "invalid {what}: expected {expected}"),
            Self::InvalidJwk { reason } | Self::UnsupportedJwk { reason } => {
                write!(f, "the JWK cannot be used: {reason}")
            }
            Self::NoUsableKeys { skipped } if skipped.is_empty() => f.write_str("the JWK set is empty"),
            Self::NoUsableKeys { skipped } => {
                f.write_str("the JWK set has no usable key: ")?;
                for (position, key) in skipped.iter().take(MOST_LISTED).enumerate() {
                    let separator = if position == 0 { "" } else { "; " };
                    write!(f, "{separator}{key}")?;
                }
                match skipped.len().saturating_sub(MOST_LISTED) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            Self::TooManyKeys { max, got } => {
                write!(f, "the JWK set has {got} keys, but at most {max} are allowed; JwksRules::max_keys sets the limit")
            }
            Self::TooManyUnnamedKeys { max } => write!(
                f,
                "too many keys of this algorithm: a token without `kid` is checked against at most {max}; \
                 give each key a `kid`"
            ),
            Self::DuplicateKeyId { kid } => {
                let kid = kid.escape_debug();
                write!(f, "a key with the `kid` `{kid}` is already published; set another with SigningKey::with_kid")
            }
            Self::UnknownKeyId { kid } => {
                write!(f, "no key with the `kid` `{}` is published", kid.escape_debug())
            }
            Self::OnlyKey { kid } => write!(
                f,
                "cannot remove the key `{}`: no other key could sign; add one with TokenIssuer::rotate_at first",
                kid.escape_debug()
            ),
            Self::MissingIssuer => f.write_str(
                "a verifier has no issuer: each of several verifiers needs one; set JwtVerifier::issuer",
            ),
            Self::IssuerMismatch { expected, got } => write!(
                f,
                "issuer mismatch: the added keys are from `{}`, but the verifier expects `{}`; \
                 use Issuers, with a verifier for each",
                got.escape_debug(),
                expected.escape_debug()
            ),
            Self::DuplicateRoute { route } => {
                write!(f, "duplicate verifier for the scheme or prefix `{}`; remove one", route.escape_debug())
            }
            Self::EmptyPrefix => {
                f.write_str("an empty prefix matches every token; use AnyOf::jwt or AnyOf::opaque instead")
            }
            Self::DuplicateIssuer { issuer } => {
                write!(f, "duplicate verifier for the issuer `{}`; remove one", issuer.escape_debug())
            }
            Self::TooManyIssuers { max } => {
                write!(f, "at most {max} issuers can be configured; Issuers::max_issuers sets the limit")
            }
            Self::InvalidAddress { address, reason } => {
                write!(f, "cannot fetch keys from `{}`: {reason}", address.escape_debug())
            }
            Self::InvalidEndpoint { address, reason } => {
                write!(f, "cannot ask `{}` about tokens: {reason}", address.escape_debug())
            }
            Self::InvalidProxy { address, reason } => {
                write!(f, "invalid proxy URL `{}`: {reason}", address.escape_debug())
            }
            Self::InvalidThumbprint { length } => {
                write!(f, "a thumbprint must be a SHA-256 hash in base64url, 43 characters, got {length}")
            }
            Self::InvalidProofAlgorithm { algorithm: Some(algorithm) } => {
                write!(f, "{algorithm} cannot sign DPoP proofs: the algorithm must be asymmetric")
            }
            Self::InvalidProofAlgorithm { algorithm: None } => {
                f.write_str("there is no algorithm for DPoP proofs: name at least one, such as ES256")
            }
            Self::InvalidUrl { url, reason } => write!(f, "invalid URL `{}`: {reason}", url.escape_debug()),
            Self::InvalidRedisUrl { needed } => write!(f, "invalid Redis URL: {needed}"),
            Self::InvalidName { of, name } => write!(
                f,
                "{of} must be one word of letters, digits and `!#$%&'*+-.^_`|~`, got `{}`",
                name.escape_debug()
            ),
            Self::InvalidScope { scope } => write!(
                f,
                "scopes must be printable ASCII without `\"` and `\\`, with one space between them, got `{}`",
                scope.escape_debug()
            ),
            Self::InvalidRealm { realm } => {
                write!(f, "a realm must be printable ASCII, got `{}`", realm.escape_debug())
            }
            Self::MalformedCertificate { reason } => write!(f, "the certificates cannot be read: {reason}"),
            Self::UnreadableFile { path, .. } => write!(f, "cannot read `{}`", path.display()),
            Self::InvalidFile { path, error } => write!(f, "cannot use `{}`: {error}", path.display()),
            Self::InvalidSetting { name, reason } => {
                write!(f, "invalid setting `{}`: {reason}", name.escape_debug())
            }
            Self::UnknownSetting { name, nearest: Some(nearest) } => {
                write!(f, "unknown setting `{}`; did you mean `{nearest}`?", name.escape_debug())
            }
            Self::UnknownSetting { name, nearest: None } => {
                write!(f, "unknown setting `{}`; remove it, or look up its name", name.escape_debug())
            }
            Self::MissingSetting { name, reason } => write!(f, "missing setting `{name}`: {reason}"),
            Self::ConflictingSettings { one, other, reason } => {
                write!(f, "conflicting settings `{one}` and `{other}`: {reason}")
            }
            Self::RejectedSetting { name, error } => write!(f, "invalid setting `{name}`: {error}"),
            Self::UnreadableSetting { name, .. } => {
                write!(f, "invalid setting `{name}`: it needs the path of a readable file")
            }
            Self::HttpClient { .. } => f.write_str(
                "cannot create the HTTP client: it needs the root certificates of the operating system \
                 (package `ca-certificates`), or your own",
            ),
            Self::NoRuntime => f.write_str(
                "no tokio runtime: the background task needs one; call SharedRevocations::start inside a runtime",
            ),
            Self::NoRandomness => {
                f.write_str("cannot generate a key: the operating system returned no random numbers")
            }
            Self::InvalidApiKeyPrefix { prefix } => write!(
                f,
                "the prefix of API keys must be a letter and up to 31 letters, digits and `_`, got {}",
                quoted(prefix)
            ),
            Self::DuplicateApiKey { id } => {
                write!(f, "two records of API keys have the ID {}; remove one", quoted(id))
            }
            // Somebody may have pasted the whole key as the ID.
            Self::InvalidApiKeyRecord { id, reason } if id.chars().count() > API_KEY_ID => {
                write!(f, "invalid record of an API key with a long ID: {reason}")
            }
            Self::InvalidApiKeyRecord { id, reason } => {
                write!(f, "invalid record of the API key {}: {reason}", quoted(id))
            }
            Self::InvalidApiKeyRecords { line, column } => write!(
                f,
                "expected a JSON array of records of API keys, with the members `id`, `hash`, `claims`, `expires_at` \
                 and `name` only; got something else at line {line}, column {column}"
            ),
            Self::PrivateNameInApiKeys => f.write_str(
                "a record of an API key has a member `$serde_json::private::..`, which serde_json would read as another \
                 value; remove it",
            ),
        }
    }
}
