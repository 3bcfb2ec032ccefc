use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::verify::SkippedKey;

/// How many items of a list an error shows.
pub(crate) const MOST_LISTED: usize = 5;

/// A setting that cannot be used: what is wrong with it, and what is needed.
///
/// `Display` is one line, and never contains a secret or key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// An HMAC secret is shorter than the hash of its algorithm
    /// ([RFC 7518, section 3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
    SecretTooShort {
        /// The algorithm the secret was meant for.
        algorithm: Algorithm,
        /// How many bytes it needs.
        needed: usize,
        /// How many it has, without white space, `=` and zero bytes at its end, and with a repeated pattern counted once.
        got: usize,
        /// How many it was given.
        length: usize,
    },
    /// A key and an algorithm do not go together.
    WrongKeyType {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
        /// What sort of key was given.
        key: &'static str,
    },
    /// A private key was given where a public key is needed.
    PrivateKey,
    /// A public key or a certificate was given where a private key is needed, to sign with.
    PublicKey,
    /// Something that works in the background was begun outside of a tokio runtime.
    NoRuntime,
    /// The address of a Redis server cannot be used.
    RedisAddress {
        /// What it needs to be. What it is may have a password in it.
        needed: &'static str,
    },
    /// No key could be generated: the operating system gave no random numbers.
    NoRandomness,
    /// Two keys that are published at the same time have the same `kid`, so that nothing tells them apart.
    KidTwice {
        /// The `kid`.
        kid: String,
    },
    /// There would be more keys of one algorithm than a token without `kid` is tried against, and one that signs such tokens
    /// among them.
    KidNeeded {
        /// How many there may be.
        limit: usize,
    },
    /// A certificate was given where a public key is needed.
    Certificate,
    /// An RSA key is of a size that is not accepted.
    RsaKeySize {
        /// Length of its modulus in bits.
        bits: usize,
    },
    /// A key that is good in itself is none for what checks the signatures here. Another of the crate's
    /// [back ends](crate#features) takes it.
    UnsupportedByBackEnd {
        /// The feature that is on for checking signatures.
        back_end: &'static str,
        /// The algorithm the key was meant for.
        algorithm: Algorithm,
        /// What it needs: of the key, or of the processor.
        needed: &'static str,
        /// What it was given.
        got: String,
    },
    /// The bytes are not the key that they were said to be.
    MalformedKey {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A JWK is not one that signatures can be checked with.
    UnusableJwk {
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The text is not a JWK, or not a JWK set.
    MalformedJwk {
        /// What was expected.
        expected: &'static str,
    },
    /// A JWK set has no key that can be used.
    NoUsableKey {
        /// The keys in it, each with the reason why it cannot be used.
        skipped: Vec<SkippedKey>,
    },
    /// A JWK set has more keys than are made ready.
    TooManyKeys {
        /// How many it may have.
        most: usize,
        /// How many it has.
        got: usize,
    },
    /// Keys cannot be fetched from an address.
    InvalidAddress {
        /// The address that was given, without a user name or password.
        address: String,
        /// What is wrong with it, or what it needs.
        reason: &'static str,
    },
    /// A URL cannot be named to clients.
    InvalidUrl {
        /// The URL that was given, without a user name or password.
        url: String,
        /// What is wrong with it, or what it needs.
        reason: &'static str,
    },
    /// Requests cannot be sent through a proxy at this address.
    InvalidProxy {
        /// The address that was given, without a user name or password.
        address: String,
        /// What is wrong with it, or what it needs.
        reason: &'static str,
    },
    /// The text is not a certificate in PEM.
    MalformedCertificate {
        /// What is wrong with it, and what to do.
        reason: &'static str,
    },
    /// The client that comes with the crate cannot be made. Where the machine has no certificate authorities, it is the
    /// cause of each fetch that fails for it.
    HttpClient {
        /// Why.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A verifier that is one of several demands no issuer, so that nothing tells which tokens it is for.
    NoIssuer,
    /// Keys that were added to a verifier are those of an issuer that it does not expect.
    OtherIssuer {
        /// The issuers that the verifier expects.
        expected: String,
        /// The issuer of the keys.
        got: String,
    },
    /// Two of several verifiers are for the same issuer.
    IssuerTwice {
        /// The issuer.
        issuer: String,
    },
    /// There are more issuers than there may be.
    TooManyIssuers {
        /// How many there may be.
        most: usize,
    },
    /// A file cannot be read.
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// A text is not one or more scopes with a space between them
    /// ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    InvalidScope {
        /// The text that was given.
        scope: String,
    },
    /// A name is not one that can stand in a header: a `token`
    /// ([RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2)).
    InvalidName {
        /// What it was to be the name of.
        of: &'static str,
        /// The name that was given.
        name: String,
    },
    /// A realm contains something else than printable ASCII.
    InvalidRealm {
        /// The realm that was given.
        realm: String,
    },
}

impl Display for ConfigError {
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
            Self::NoRuntime => f.write_str("what works in the background has to be begun inside of a tokio runtime"),
            Self::RedisAddress { needed } => write!(f, "the address of the Redis server cannot be used: {needed}"),
            Self::NoRandomness => {
                f.write_str("no key could be generated: the operating system gave no random numbers")
            }
            Self::KidTwice { kid } => {
                write!(f, "a key with the `kid` `{}` is published already", kid.escape_debug())
            }
            Self::KidNeeded { limit } => write!(
                f,
                "{limit} keys of this algorithm are published, and a token without `kid` is tried against no more: \
                 give each key a `kid`"
            ),
            Self::Certificate => f.write_str(
                "a certificate was given where a public key is needed; \
                 `openssl x509 -noout -pubkey` extracts the public key",
            ),
            Self::RsaKeySize { bits } => {
                write!(f, "an RSA key needs a modulus of 2048 to 8192 bits, got {bits}")
            }
            Self::UnsupportedByBackEnd { back_end, algorithm, needed, got } => {
                write!(f, "{back_end} needs {needed} for {algorithm}, got {got}")
            }
            Self::MalformedKey { reason } => write!(f, "the key cannot be read: {reason}"),
            Self::UnusableJwk { reason } => write!(f, "the JWK cannot be used: {reason}"),
            Self::MalformedJwk { expected } => write!(f, "the text is not {expected}"),
            Self::NoUsableKey { skipped } if skipped.is_empty() => f.write_str("the JWK set is empty"),
            Self::NoUsableKey { skipped } => {
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
            Self::TooManyKeys { most, got } => {
                write!(f, "a JWK set may have {most} keys, this one has {got}: JwksRules::max_keys sets how many")
            }
            Self::InvalidAddress { address, reason } => {
                write!(f, "keys cannot be fetched from `{}`: {reason}", address.escape_debug())
            }
            Self::InvalidUrl { url, reason } => {
                write!(f, "clients cannot be told of `{}`: {reason}", url.escape_debug())
            }
            Self::InvalidProxy { address, reason } => {
                write!(f, "there can be no proxy at `{}`: {reason}", address.escape_debug())
            }
            Self::MalformedCertificate { reason } => write!(f, "the certificates cannot be read: {reason}"),
            Self::HttpClient { .. } => f.write_str(
                "the HTTP client cannot be made; it needs the operating system's certificates of authorities \
                 (package `ca-certificates`), or some of your own",
            ),
            Self::NoIssuer => {
                f.write_str("a verifier among several needs an issuer to be chosen by: set JwtVerifier::issuer")
            }
            Self::OtherIssuer { expected, got } => write!(
                f,
                "the added keys are those of issuer `{}`, but the verifier expects `{}`: \
                 use Issuers, with a verifier for each",
                got.escape_debug(),
                expected.escape_debug()
            ),
            Self::IssuerTwice { issuer } => {
                write!(f, "there are two verifiers for the issuer `{}`", issuer.escape_debug())
            }
            Self::TooManyIssuers { most } => write!(f, "there may be {most} issuers, and this would be one more"),
            Self::UnreadableFile { path, .. } => write!(f, "{} cannot be read", path.display()),
            Self::InvalidScope { scope } => {
                write!(f, "scopes must be printable ASCII without `\"` and `\\`, with one space between them, got {scope:?}")
            }
            Self::InvalidName { of, name } => {
                write!(f, "{of} must be one word of letters, digits and `!#$%&'*+-.^_`|~`, got {name:?}")
            }
            Self::InvalidRealm { realm } => write!(f, "a realm must be printable ASCII, got {realm:?}"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::UnreadableFile { source, .. } => Some(source),
            Self::HttpClient { source } => Some(source),
            _ => None,
        }
    }
}
