//! The table of all settings. The names of the variables and the documentation follow from it.

/// One setting.
pub(super) struct Field {
    /// Its place in a file. The variable has the same name in upper case, with `_` for each dot.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    /// True if each of several issuers has its own.
    pub(super) per_issuer: bool,
    /// The default in the documentation.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test compares it with the documentation"))]
    pub(super) default: &'static str,
    /// A line of documentation.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test compares it with the documentation"))]
    pub(super) text: &'static str,
}

/// The values that a setting accepts.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Printable ASCII.
    Ascii,
    /// Scopes with one space between them.
    Scopes,
    Url,
    /// Like `Url`, with a password.
    SecretUrl,
    File,
    Secret,
    Algorithm,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// The prefix of API keys.
    Prefix,
    Flag,
    Number {
        unit: &'static str,
        min: u64,
        max: u64,
    },
    List(&'static Self),
    /// Names of claims with the accepted values.
    Claims,
    /// A list of tables with the settings of one issuer each.
    Issuers,
}

impl Kind {
    /// The word for the kind in the documentation.
    #[cfg(test)]
    pub(super) fn name(self) -> String {
        match self {
            Self::Text | Self::Ascii | Self::Scopes | Self::Choice(_) | Self::Prefix => "text".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::SecretUrl => "URL, secret".to_owned(),
            Self::File => "file".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Algorithm => "algorithm".to_owned(),
            Self::Flag => "flag".to_owned(),
            Self::Number { unit, max, .. } if max < 10_000_000 => format!("{unit}, up to {max}"),
            Self::Number { unit, .. } => unit.to_owned(),
            Self::List(kind) => format!("{}, or a list", kind.name()),
            Self::Claims => "table".to_owned(),
            Self::Issuers => "list of tables".to_owned(),
        }
    }
}

const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Number { unit: "seconds", min, max }
}

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// A setting that each issuer may have.
const fn of_issuer(path: &'static str, kind: Kind, default: &'static str, text: &'static str) -> Field {
    Field { path, kind, per_issuer: true, default, text }
}

/// A setting of the whole.
const fn of_all(path: &'static str, kind: Kind, default: &'static str, text: &'static str) -> Field {
    Field { path, kind, per_issuer: false, default, text }
}

pub(super) const FIELDS: &[Field] = &[
    of_issuer("issuer", Kind::List(&Kind::Text), "", "Required `iss`. Its published keys are fetched."),
    of_issuer("audience", Kind::List(&Kind::Text), "", "Accepted values of `aud`."),
    of_issuer("discovery_url", Kind::Url, "", "URL of its discovery document, if it is elsewhere."),
    of_issuer("jwks_url", Kind::Url, "", "JWK set to fetch, instead of the published keys."),
    of_issuer("jwks_file", Kind::File, "", "File with a JWK set to use instead."),
    of_issuer("pem_files", Kind::List(&Kind::File), "", "Files with a public key in PEM to use instead."),
    of_issuer("pem_algorithm", Kind::Algorithm, "", "Algorithm of `pem_files`, required with them."),
    of_issuer("hmac_secret", Kind::Secret, "", "Secret to use instead."),
    of_issuer("hmac_secret_file", Kind::File, "", "File with a secret to use instead."),
    of_issuer("hmac_algorithm", Kind::Algorithm, "HS256", "Algorithm of the secret."),
    of_issuer("bearer_token_file", Kind::File, "", "File with a token for the requests that fetch keys."),
    of_issuer("algorithms", Kind::List(&Kind::Algorithm), "all", "Accepted algorithms."),
    of_issuer("access_tokens_only", Kind::Flag, "false", "Requires `at+jwt` as the `typ` (RFC 9068)."),
    of_issuer("token_type", Kind::Text, "", "Required `typ`."),
    of_issuer("required_claims", Kind::Claims, "", "Claims with their accepted values."),
    of_issuer("insecure_any_issuer", Kind::Flag, "false", "Accepts any `iss`."),
    of_issuer("insecure_any_audience", Kind::Flag, "false", "Accepts any `aud`."),
    of_all("issuers", Kind::Issuers, "", "Several issuers, each with the settings above."),
    of_all("leeway_secs", seconds(0, HOUR), "60", "Allowed clock difference."),
    of_all(
        "max_token_bytes",
        Kind::Number { unit: "bytes", min: 1024, max: 1024 * 1024 },
        "16384",
        "Longest token.",
    ),
    of_all("cache.enabled", Kind::Flag, "true", "Caches verified tokens."),
    of_all(
        "cache.max_entries",
        Kind::Number { unit: "number", min: 1, max: 100_000_000 },
        "10000",
        "Most tokens in the cache of an issuer.",
    ),
    of_all(
        "cache.max_bytes",
        Kind::Number { unit: "bytes", min: 1024, max: 1 << 40 },
        "16777216",
        "Most memory for the cache of an issuer.",
    ),
    of_all("cache.max_age_secs", seconds(1, DAY), "300", "Longest time in the cache."),
    of_all("fetch.refresh_min_secs", seconds(1, DAY), "60", "Shortest time between fetches of keys."),
    of_all("fetch.refresh_max_secs", seconds(1, DAY), "3600", "Longest time between fetches of keys."),
    of_all("fetch.cooldown_secs", seconds(1, DAY), "30", "Time between fetches started by tokens."),
    of_all("fetch.timeout_secs", seconds(1, 300), "5", "Timeout of a fetch."),
    of_all("fetch.outage_limit_secs", seconds(1, 30 * DAY), "86400", "Longest use of old keys."),
    of_all("http.proxy_url", Kind::SecretUrl, "", "Proxy for all fetches."),
    of_all("http.ca_file", Kind::File, "", "More trusted root certificates in PEM."),
    of_all("http.insecure_allow_plain_http", Kind::Flag, "false", "Allows `http://` for other machines."),
    of_all("api_keys.prefix", Kind::Prefix, "", "Prefix of the accepted API keys."),
    of_all("api_keys.file", Kind::File, "", "File with the records of the API keys."),
    of_all("introspection.issuer", Kind::Url, "", "Provider of opaque tokens."),
    of_all("introspection.endpoint_url", Kind::Url, "", "Endpoint to ask, instead of the published one."),
    of_all("introspection.client_id", Kind::Text, "", "ID of this service at the provider."),
    of_all("introspection.client_secret", Kind::Secret, "", "Secret of this service at the provider."),
    of_all("introspection.client_secret_file", Kind::File, "", "File with that secret."),
    of_all(
        "introspection.auth_method",
        Kind::Choice(&["client_secret_basic", "client_secret_post"]),
        "client_secret_basic",
        "Or `client_secret_post`.",
    ),
    of_all("introspection.audience", Kind::List(&Kind::Text), "", "Accepted values of `aud`."),
    of_all("introspection.access_tokens_only", Kind::Flag, "false", "Requires a `token_type`."),
    of_all("introspection.required_claims", Kind::Claims, "", "Claims with their accepted values."),
    of_all("introspection.signed_responses", Kind::Flag, "false", "Requires signed responses."),
    of_all("introspection.insecure_any_audience", Kind::Flag, "false", "Accepts any `aud`."),
    of_all("introspection.max_age_secs", seconds(1, HOUR), "60", "Longest use of a response."),
    of_all("introspection.timeout_secs", seconds(1, 60), "2", "Timeout of a request."),
    of_all(
        "dpop.public_url",
        Kind::List(&Kind::Url),
        "",
        "URL of clients. Accepts DPoP-bound tokens (RFC 9449).",
    ),
    of_all("dpop.required", Kind::Flag, "false", "Rejects tokens that are not bound."),
    of_all("dpop.nonce_secret", Kind::Secret, "", "Requires nonces, made with this secret."),
    of_all("dpop.nonce_secret_file", Kind::File, "", "File with that secret, read once."),
    of_all("realm", Kind::Ascii, "api", "Realm in the challenge."),
    of_all("challenge_scope", Kind::Scopes, "", "Scopes in the challenge."),
    of_all("resource_metadata_url", Kind::Url, "", "URL of the metadata for clients (RFC 9728)."),
];
