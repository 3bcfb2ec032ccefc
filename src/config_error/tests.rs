use std::error::Error;
use std::io;
use std::mem::size_of;

use super::{ConfigError, ConfigErrorKind as Kind, ConfigProblem, SkippedKey};
use crate::algorithm::Algorithm;

fn issuer() -> String {
    "https://id.example.com".to_owned()
}

#[test]
fn each_problem_has_a_kind_and_a_text() {
    let algorithm = Algorithm::ES256;
    let skipped = |kid: &str| {
        SkippedKey::new(
            0,
            Some(kid.to_owned()),
            ConfigProblem::UnsupportedJwk { reason: "a reason".into() }.into(),
        )
    };
    let text = |problem: ConfigProblem| Into::<ConfigError>::into(problem).to_string();
    let skipped_text = |kid: &str| format!("key 0 (`{kid}`): the JWK cannot be used: a reason");
    let long_list = ConfigProblem::NoUsableKeys { skipped: vec![skipped("a"); 7] };
    let five =
        [skipped_text("a"), skipped_text("a"), skipped_text("a"), skipped_text("a"), skipped_text("a")];
    assert_eq!(text(long_list), format!("the JWK set has no usable key: {}; and 2 more", five.join("; ")));
    for (problem, kind, expected) in [
        (
            ConfigProblem::SecretTooShort { algorithm: Algorithm::HS256, needed: 32, got: 8, length: 8 },
            Kind::WeakSecret,
            "HS256 needs a secret of at least 32 bytes, got 8",
        ),
        (
            ConfigProblem::SecretTooShort { algorithm: Algorithm::HS256, needed: 32, got: 8, length: 40 },
            Kind::WeakSecret,
            "HS256 needs a secret of at least 32 bytes, got 8 of 40: white space, `=` and zero bytes at the end, \
             and repetitions, do not count; use random bytes",
        ),
        (
            ConfigProblem::WrongKeyType { algorithm, key: "an RSA key" },
            Kind::WrongKeyType,
            "ES256 cannot be used with an RSA key",
        ),
        (
            ConfigProblem::PrivateKey,
            Kind::WrongKeyType,
            "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key",
        ),
        (
            ConfigProblem::PublicKey,
            Kind::WrongKeyType,
            "a public key was given where a private key is needed; only a private key can sign",
        ),
        (
            ConfigProblem::Certificate,
            Kind::WrongKeyType,
            "a certificate was given where a public key is needed; \
             `openssl x509 -noout -pubkey` extracts the public key",
        ),
        (
            ConfigProblem::MalformedKey { reason: "it is empty" },
            Kind::InvalidKey,
            "the key cannot be read: it is empty",
        ),
        (
            ConfigProblem::MalformedSecret { reason: "it is empty" },
            Kind::InvalidSetting,
            "the secret cannot be read: it is empty",
        ),
        (
            ConfigProblem::RsaKeySize { bits: 1024 },
            Kind::UnsupportedKey,
            "an RSA key needs a modulus of 2048 to 8192 bits, got 1024",
        ),
        (
            ConfigProblem::UnsupportedByBackEnd {
                back_end: "graviola",
                algorithm,
                needed: "a processor with aes and sha2",
                got: "one without sha2".to_owned(),
            },
            Kind::UnsupportedKey,
            "graviola needs a processor with aes and sha2 for ES256, got one without sha2",
        ),
        (
            ConfigProblem::NotInBackEnd {
                back_end: "graviola",
                algorithm: Algorithm::ES512,
                instead: "`aws-lc-rs` or `rust-crypto`",
            },
            Kind::UnsupportedKey,
            "graviola does not support ES512; enable the feature `aws-lc-rs` or `rust-crypto`",
        ),
        (
            ConfigProblem::NOT_A_SET,
            Kind::InvalidKey,
            "invalid JWK set: expected a JSON object with an array `keys`",
        ),
        (
            ConfigProblem::InvalidJwk { reason: "its `kty` is missing".into() },
            Kind::InvalidKey,
            "the JWK cannot be used: its `kty` is missing",
        ),
        (
            ConfigProblem::UnsupportedJwk { reason: "its `use` is not `sig`".into() },
            Kind::UnsupportedKey,
            "the JWK cannot be used: its `use` is not `sig`",
        ),
        (ConfigProblem::NoUsableKeys { skipped: Vec::new() }, Kind::NoUsableKeys, "the JWK set is empty"),
        (
            ConfigProblem::NoUsableKeys { skipped: vec![skipped("a"), skipped("b\n")] },
            Kind::NoUsableKeys,
            "the JWK set has no usable key: key 0 (`a`): the JWK cannot be used: a reason; \
             key 0 (`b\\n`): the JWK cannot be used: a reason",
        ),
        (
            ConfigProblem::TooManyKeys { max: 100, got: 101 },
            Kind::LimitExceeded,
            "the JWK set has 101 keys, but at most 100 are allowed; JwksRules::max_keys sets the limit",
        ),
        (
            ConfigProblem::TooManyUnnamedKeys { max: 4 },
            Kind::LimitExceeded,
            "too many keys of this algorithm: a token without `kid` is checked against at most 4; \
             give each key a `kid`",
        ),
        (
            ConfigProblem::DuplicateKeyId { kid: "a".to_owned() },
            Kind::DuplicateKeyId,
            "a key with the `kid` `a` is already published; set another with SigningKey::with_kid",
        ),
        (
            ConfigProblem::UnknownKeyId { kid: "a".to_owned() },
            Kind::UnknownKeyId,
            "no key with the `kid` `a` is published",
        ),
        (
            ConfigProblem::OnlyKey { kid: "a".to_owned() },
            Kind::OnlyKey,
            "cannot remove the key `a`: no other key could sign; add one with TokenIssuer::rotate_at first",
        ),
        (
            ConfigProblem::MissingIssuer,
            Kind::MissingIssuer,
            "a verifier has no issuer: each of several verifiers needs one; set JwtVerifier::issuer",
        ),
        (
            ConfigProblem::IssuerMismatch { expected: issuer(), got: "https://a.example.com".to_owned() },
            Kind::IssuerMismatch,
            "issuer mismatch: the added keys are from `https://a.example.com`, but the verifier expects \
             `https://id.example.com`; use Issuers, with a verifier for each",
        ),
        (
            ConfigProblem::DuplicateIssuer { issuer: issuer() },
            Kind::DuplicateIssuer,
            "duplicate verifier for the issuer `https://id.example.com`; remove one",
        ),
        (
            ConfigProblem::DuplicateRoute { route: "ApiKey".to_owned() },
            Kind::DuplicateRoute,
            "duplicate verifier for the scheme or prefix `ApiKey`; remove one",
        ),
        (
            ConfigProblem::EmptyPrefix,
            Kind::InvalidName,
            "an empty prefix matches every token; use AnyOf::jwt or AnyOf::opaque instead",
        ),
        (
            ConfigProblem::TooManyIssuers { max: 16 },
            Kind::LimitExceeded,
            "at most 16 issuers can be configured; Issuers::max_issuers sets the limit",
        ),
        (
            ConfigProblem::InvalidAddress { address: issuer(), reason: "it names no host" },
            Kind::InvalidUrl,
            "cannot fetch keys from `https://id.example.com`: it names no host",
        ),
        (
            ConfigProblem::InvalidProxy { address: issuer(), reason: "it is not a URL" },
            Kind::InvalidUrl,
            "invalid proxy URL `https://id.example.com`: it is not a URL",
        ),
        (
            ConfigProblem::InvalidUrl { url: issuer(), reason: "it has a query" },
            Kind::InvalidUrl,
            "invalid URL `https://id.example.com`: it has a query",
        ),
        (
            ConfigProblem::InvalidRedisUrl { needed: "it needs the form redis://host:6379" },
            Kind::InvalidUrl,
            "invalid Redis URL: it needs the form redis://host:6379",
        ),
        (
            ConfigProblem::InvalidName { of: "a scheme", name: "a\tb".to_owned() },
            Kind::InvalidName,
            "a scheme must be one word of letters, digits and `!#$%&'*+-.^_`|~`, got `a\\tb`",
        ),
        (
            ConfigProblem::InvalidRealm { realm: "a\nb".to_owned() },
            Kind::InvalidName,
            "a realm must be printable ASCII, got `a\\nb`",
        ),
        (
            ConfigProblem::InvalidScope { scope: "a  b".to_owned() },
            Kind::InvalidScope,
            "scopes must be printable ASCII without `\"` and `\\`, with one space between them, got `a  b`",
        ),
        (
            ConfigProblem::MalformedCertificate { reason: "it is empty" },
            Kind::InvalidCertificate,
            "the certificates cannot be read: it is empty",
        ),
        (
            ConfigProblem::UnreadableFile {
                path: "keys.json".into(),
                source: io::ErrorKind::NotFound.into(),
            },
            Kind::UnreadableFile,
            "cannot read `keys.json`",
        ),
        (
            ConfigProblem::InvalidFile {
                path: "key.pem".into(),
                error: ConfigProblem::MalformedKey { reason: "it is empty" }.into(),
            },
            Kind::InvalidKey,
            "cannot use `key.pem`: the key cannot be read: it is empty",
        ),
        (
            ConfigProblem::InvalidSetting { name: "a\nb".to_owned(), reason: "it is empty".to_owned() },
            Kind::InvalidSetting,
            "invalid setting `a\\nb`: it is empty",
        ),
        (
            ConfigProblem::UnknownSetting { name: "isuer".to_owned(), nearest: Some("issuer".to_owned()) },
            Kind::InvalidSetting,
            "unknown setting `isuer`; did you mean `issuer`?",
        ),
        (
            ConfigProblem::UnknownSetting { name: "x".to_owned(), nearest: None },
            Kind::InvalidSetting,
            "unknown setting `x`; remove it, or look up its name",
        ),
        (
            ConfigProblem::MissingSetting { name: "issuer".to_owned(), reason: "a reason".to_owned() },
            Kind::InvalidSetting,
            "missing setting `issuer`: a reason",
        ),
        (
            ConfigProblem::ConflictingSettings {
                one: "a".to_owned(),
                other: "b".to_owned(),
                reason: "a reason",
            },
            Kind::InvalidSetting,
            "conflicting settings `a` and `b`: a reason",
        ),
        (
            ConfigProblem::RejectedSetting {
                name: "pem_files".to_owned(),
                error: ConfigProblem::PublicKey.into(),
            },
            Kind::WrongKeyType,
            "invalid setting `pem_files`: a public key was given where a private key is needed; only a private key \
             can sign",
        ),
        (
            ConfigProblem::UnreadableSetting {
                name: "ca_file".to_owned(),
                error: ConfigProblem::UnreadableFile {
                    path: "a".into(),
                    source: io::ErrorKind::NotFound.into(),
                }
                .into(),
            },
            Kind::UnreadableFile,
            "invalid setting `ca_file`: it needs the path of a readable file",
        ),
        (
            ConfigProblem::HttpClient { source: "no roots".into() },
            Kind::HttpClientSetup,
            "cannot create the HTTP client: it needs the root certificates of the operating system \
             (package `ca-certificates`), or your own",
        ),
        (
            ConfigProblem::NoRuntime,
            Kind::NoRuntime,
            "no tokio runtime: the background task needs one; call SharedRevocations::start inside a runtime",
        ),
        (
            ConfigProblem::InvalidThumbprint { length: 40 },
            Kind::InvalidKey,
            "a thumbprint must be a SHA-256 hash in base64url, 43 characters, got 40",
        ),
        (
            ConfigProblem::InvalidProofAlgorithm { algorithm: Some(Algorithm::HS256) },
            Kind::WrongKeyType,
            "HS256 cannot sign DPoP proofs: the algorithm must be asymmetric",
        ),
        (
            ConfigProblem::InvalidProofAlgorithm { algorithm: None },
            Kind::WrongKeyType,
            "there is no algorithm for DPoP proofs: name at least one, such as ES256",
        ),
        (
            ConfigProblem::NoRandomness,
            Kind::NoRandomness,
            "cannot generate a key: the operating system returned no random numbers",
        ),
        (
            ConfigProblem::InvalidApiKeyPrefix { prefix: "my-key".to_owned() },
            Kind::InvalidName,
            "the prefix of API keys must be a letter and up to 31 letters, digits and `_`, got `my-key`",
        ),
        (
            ConfigProblem::DuplicateApiKey { id: "4vJ8kQ2mX7Zp".to_owned() },
            Kind::DuplicateKeyId,
            "two records of API keys have the ID `4vJ8kQ2mX7Zp`; remove one",
        ),
        (
            ConfigProblem::InvalidApiKeyRecord { id: "a".to_owned(), reason: "a reason" },
            Kind::InvalidKey,
            "invalid record of the API key `a`: a reason",
        ),
        (
            ConfigProblem::InvalidApiKeyRecords { line: 1, column: 2 },
            Kind::InvalidKey,
            "expected a JSON array of records of API keys, with the members `id`, `hash`, `claims`, `expires_at` \
             and `name` only; got something else at line 1, column 2",
        ),
        (
            ConfigProblem::PrivateNameInApiKeys,
            Kind::InvalidKey,
            "a record of an API key has a member `$serde_json::private::..`, which serde_json would read as another \
             value; remove it",
        ),
    ] {
        let error: ConfigError = problem.into();
        assert_eq!((error.kind(), &*error.to_string()), (kind, expected));
        let has_source = matches!(kind, Kind::UnreadableFile | Kind::HttpClientSetup);
        assert_eq!(error.source().is_some(), has_source, "{error}");
    }
}

#[test]
fn debug_shows_kind_text_and_source() {
    let error: ConfigError = ConfigProblem::HttpClient { source: "no roots".into() }.into();
    let expected = r#"ConfigError { kind: HttpClientSetup, message: "cannot create the HTTP client: it needs the root certificates of the operating system (package `ca-certificates`), or your own", source: "no roots" }"#;
    assert_eq!(format!("{error:?}"), expected);
}

#[test]
fn error_is_one_pointer() {
    assert_eq!(size_of::<Result<(), ConfigError>>(), size_of::<usize>());
}

#[test]
fn question_mark_in_a_closure_needs_no_annotation() -> Result<(), ConfigError> {
    let start = |is_in_runtime: bool| -> Result<(), ConfigError> {
        if is_in_runtime { Ok(()) } else { Err(ConfigProblem::NoRuntime.into()) }
    };
    let start_both = || {
        start(true)?;
        Ok(start(true).is_ok())
    };
    assert!(start_both()?);
    Ok(())
}
