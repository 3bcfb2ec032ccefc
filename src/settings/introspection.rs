//! Opaque tokens, checked by their provider.

use std::time::Duration;

use http::Request;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::issuer::accepted_values;
use super::names::Names;
use super::secret_file::read_secret;
use super::values::{IntrospectionValues, Values};
use crate::config_error::ConfigError;
use crate::file_follower::FileFollower;
use crate::introspection::{ClientAuth, Introspection};
use crate::jwks::{ClientFuture, HttpClient, RemoteKeys};
use crate::lookups::LookupSettings;

/// The parts that all verifiers of opaque tokens share.
pub(super) struct Provider {
    client: Authenticated,
    auth: ClientAuth,
    /// The keys of signed responses.
    pub(super) keys: Option<RemoteKeys>,
}

impl Provider {
    /// `keys_of` returns the keys of an issuer, to verify signed responses with.
    pub(super) fn new(
        all: &Values,
        names: &Names,
        client: &mut Option<Client>,
        keys_of: impl FnOnce(&str, Client) -> Result<RemoteKeys, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let values = &all.introspection;
        if values.issuer.is_none() && values.endpoint_url.is_none() {
            let reason =
                "the provider of opaque tokens is not known; set its issuer, or the URL of its endpoint";
            return Err(names.missing("introspection.issuer", reason));
        }
        if !values.audience.is_empty() && values.insecure_any_audience {
            return Err(names.conflict(
                "introspection.audience",
                "introspection.insecure_any_audience",
                "the audience would be ignored; remove one",
            ));
        }
        let (auth, secret_file) = auth(values, names)?;
        let client = Client::shared(client, &all.http, names)?;
        let keys = match (values.signed_responses, &values.issuer) {
            (false, _) => None,
            (true, Some(issuer)) => {
                let about = |error| names.about("introspection.issuer", error);
                Some(keys_of(issuer, client.clone()).map_err(about)?)
            }
            (true, None) => {
                let reason =
                    "signed responses are verified with its keys; set it, or remove the signed responses";
                return Err(names.missing("introspection.issuer", reason));
            }
        };
        let is_limited = !values.audience.is_empty() || !values.required_claims.is_empty();
        if !is_limited && !values.access_tokens_only && !values.insecure_any_audience {
            let reason = "tokens for any service of the provider would be accepted, and refresh tokens; set the audience. \
                          If the provider states none, require another claim, or set `access_tokens_only`";
            return Err(names.missing("introspection.audience", reason));
        }
        Ok(Self { client: Authenticated { client, secret_file }, auth, keys })
    }

    /// Creates the verifier.
    pub(super) fn verifier<C>(&self, all: &Values, names: &Names) -> Result<Introspection<C>, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let values = &all.introspection;
        let (auth, client) = (self.auth.clone(), self.client.clone());
        let mut verifier = match (&values.endpoint_url, &values.issuer) {
            (Some(url), issuer) => {
                let verifier = Introspection::endpoint_with(url, auth, client);
                let verifier = verifier.map_err(|error| names.about("introspection.endpoint_url", error))?;
                issuer.iter().fold(verifier, Introspection::issuer)
            }
            (None, issuer) => {
                Introspection::discover_with(issuer.as_deref().unwrap_or_default(), auth, client)
                    .map_err(|error| names.about("introspection.issuer", error))?
            }
        };
        verifier = values.audience.iter().fold(verifier, Introspection::add_audience);
        if values.insecure_any_audience {
            verifier = verifier.insecure_any_audience();
        }
        if values.access_tokens_only {
            verifier = verifier.access_tokens_only();
        }
        verifier = accepted_values(&values.required_claims)
            .fold(verifier, |verifier, (name, value)| verifier.require_claim(name, value.clone()));
        if let Some(seconds) = all.leeway_secs {
            verifier = verifier.leeway(Duration::from_secs(seconds));
        }
        if let Some(bytes) = all.max_token_bytes {
            verifier = verifier.max_token_bytes(bytes);
        }
        if let Some(keys) = &self.keys {
            verifier = verifier.signed_responses(keys.clone());
        }
        let mut lookups = LookupSettings::new();
        if let Some(seconds) = values.max_age_secs {
            lookups = lookups.max_age(Duration::from_secs(seconds));
        }
        if let Some(seconds) = values.timeout_secs {
            lookups = lookups.timeout(Duration::from_secs(seconds));
        }
        Ok(verifier.lookup_settings(lookups))
    }
}

/// The HTTP client of a service whose secret may be in a file.
#[derive(Clone)]
struct Authenticated {
    client: Client,
    /// Replaces the credentials when the file changes. Each request makes sure that its task is running.
    secret_file: Option<FileFollower<()>>,
}

impl HttpClient for Authenticated {
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
        if let Some(file) = &self.secret_file {
            drop(file.current());
        }
        self.client.fetch(request, limit)
    }

    fn allows_plain_http(&self) -> bool {
        self.client.allows_plain_http()
    }
}

/// Returns the credentials, and the file that they follow.
fn auth(
    values: &IntrospectionValues,
    names: &Names,
) -> Result<(ClientAuth, Option<FileFollower<()>>), ConfigError> {
    const SECRET: &str = "introspection.client_secret";
    const SECRET_FILE: &str = "introspection.client_secret_file";
    let Some(id) = values.client_id.clone() else {
        let reason = "the provider asks for it; set the ID of this service at the provider";
        return Err(names.missing("introspection.client_id", reason));
    };
    let is_post = values.auth_method.as_deref() == Some("client_secret_post");
    let auth_with = move |secret: &str| match is_post {
        true => ClientAuth::post(id.clone(), secret),
        false => ClientAuth::basic(id.clone(), secret),
    };
    match (&values.client_secret, &values.client_secret_file) {
        (Some(_), Some(_)) => Err(names.conflict(SECRET, SECRET_FILE, "both are the secret; remove one")),
        (Some(secret), None) => Ok((auth_with(secret.expose()), None)),
        (None, Some(file)) => {
            let auth = auth_with("");
            let replaced = auth.clone();
            let replace = move |content: &[u8]| {
                replaced.replace(&auth_with(read_secret(content)?));
                Ok(())
            };
            let file = FileFollower::open(file, replace).map_err(|error| names.about(SECRET_FILE, error))?;
            Ok((auth, Some(file)))
        }
        (None, None) => {
            let reason = "the provider asks for it; set the secret of this service at the provider";
            Err(names.missing(SECRET, reason))
        }
    }
}
