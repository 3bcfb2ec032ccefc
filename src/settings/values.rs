//! The settings with their types, after they are checked.

use std::fmt::{self, Formatter};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Values {
    /// The settings of one issuer at the top.
    pub(super) main: IssuerValues,
    pub(super) issuers: Vec<IssuerValues>,
    pub(super) leeway_secs: Option<u64>,
    pub(super) max_token_bytes: Option<usize>,
    pub(super) cache: CacheValues,
    pub(super) fetch: FetchValues,
    pub(super) http: HttpValues,
    pub(super) api_keys: ApiKeyValues,
    pub(super) introspection: IntrospectionValues,
    pub(super) dpop: DpopValues,
    pub(super) realm: Option<String>,
    pub(super) challenge_scope: Option<String>,
    pub(super) resource_metadata_url: Option<String>,
}

impl Values {
    /// Returns true if credentials other than JWTs are configured.
    pub(super) fn has_other_credentials(&self) -> bool {
        self.api_keys != ApiKeyValues::default() || self.introspection != IntrospectionValues::default()
    }
}

/// The settings that each issuer may have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IssuerValues {
    pub(super) issuer: Vec<String>,
    pub(super) audience: Vec<String>,
    pub(super) discovery_url: Option<String>,
    pub(super) jwks_url: Option<String>,
    pub(super) jwks_file: Option<String>,
    pub(super) pem_files: Vec<String>,
    pub(super) pem_algorithm: Option<Algorithm>,
    pub(super) hmac_secret: Option<Secret>,
    pub(super) hmac_secret_file: Option<String>,
    pub(super) hmac_algorithm: Option<Algorithm>,
    pub(super) bearer_token_file: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) access_tokens_only: bool,
    pub(super) token_type: Option<String>,
    pub(super) required_claims: Map<String, Value>,
    pub(super) insecure_any_issuer: bool,
    pub(super) insecure_any_audience: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CacheValues {
    pub(super) enabled: Option<bool>,
    pub(super) max_entries: Option<usize>,
    pub(super) max_bytes: Option<usize>,
    pub(super) max_age_secs: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FetchValues {
    pub(super) refresh_min_secs: Option<u64>,
    pub(super) refresh_max_secs: Option<u64>,
    pub(super) cooldown_secs: Option<u64>,
    pub(super) timeout_secs: Option<u64>,
    pub(super) outage_limit_secs: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpValues {
    pub(super) proxy_url: Option<Secret>,
    pub(super) ca_file: Option<String>,
    pub(super) insecure_allow_plain_http: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ApiKeyValues {
    pub(super) prefix: Option<String>,
    pub(super) file: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IntrospectionValues {
    pub(super) issuer: Option<String>,
    pub(super) endpoint_url: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) client_secret_file: Option<String>,
    pub(super) auth_method: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) access_tokens_only: bool,
    pub(super) required_claims: Map<String, Value>,
    pub(super) signed_responses: bool,
    pub(super) insecure_any_audience: bool,
    pub(super) max_age_secs: Option<u64>,
    pub(super) timeout_secs: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DpopValues {
    pub(super) public_url: Vec<String>,
    pub(super) required: bool,
    pub(super) nonce_secret: Option<Secret>,
    pub(super) nonce_secret_file: Option<String>,
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
