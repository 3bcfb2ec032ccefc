//! `provider`: checks a provider's discovery document and keys, and says what to configure.

mod advice;
mod discovery;
mod issuer;
mod keys;
mod known;
mod recorder;
mod refresh;
mod report;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;
use tower_jwt_auth::ConfigError;
use tower_jwt_auth::jwks::RemoteKeys;

pub(crate) use self::discovery::Discovery;
use self::discovery::Document;
pub(crate) use self::issuer::difference;
pub(crate) use self::keys::Keys;
use self::known::Known;
pub(crate) use self::recorder::{Exchange, Recorder};
pub(crate) use self::refresh::skew;
use crate::client::ClientArguments;
use crate::escape::shortened;
use crate::outcome::{Failure, Outcome};
use crate::screen::{Mark, Screen};

/// The provider to check.
#[derive(Args, Debug)]
pub(crate) struct ProviderArguments {
    /// Issuer, for example `https://id.example.com`
    issuer: String,
    /// URL of the discovery document, if it does not follow from the issuer
    #[arg(long, value_name = "URL")]
    discovery_url: Option<String>,
    /// Audience of your API, for the lines to configure
    #[arg(long)]
    audience: Option<String>,
    #[command(flatten)]
    client: ClientArguments,
}

pub(crate) async fn run(arguments: &ProviderArguments, out: &mut Screen) -> Result<Outcome, Failure> {
    let document_url = arguments.discovery_url.as_deref();
    let issuer = issuer::of_document_url(&arguments.issuer).filter(|_| document_url.is_none());
    let given = issuer.as_deref().unwrap_or(&arguments.issuer);
    let client = Recorder::new(arguments.client.client()?);
    let keys = discovered(given, document_url, client.clone()).map_err(|error| {
        match document_url.unwrap_or(given).starts_with("http://") {
            true => format!("{error}; --insecure-plain-http allows it"),
            false => error.to_string(),
        }
    })?;

    out.line(&format!("Provider {}", shortened(given)))?;
    if issuer.is_some() {
        out.note(Mark::Info, "You gave the URL of a discovery document. The issuer is the part without it.")?;
    }
    let (_, result) = attempt(keys).await;
    let found = Discovery::new(given, client.take());
    report::places(&found, out)?;
    let Some(document) = &found.document else {
        return Ok(report::no_document(&found, result, out)?);
    };
    let is_matching = document.issuer == given;
    report::issuer_row(given, document, is_matching, out)?;

    // With another issuer the library fetches no keys. Fetch them by their own URL, to check them anyway.
    let (result, exchange) = match (is_matching, document.text("jwks_uri")) {
        (false, Some(url)) if may_be_fetched(url, document) => {
            let result = match RemoteKeys::jwks_with(url, client.clone()) {
                Ok(keys) => attempt(keys).await.1,
                Err(error) => Err(Arc::new(error) as _),
            };
            (result, client.take().into_iter().next())
        }
        _ => (result, found.keys),
    };
    let checked = report::keys(document, exchange.as_ref(), result, out)?;
    report::introspection(document, out)?;

    let known = Known::of(given).or_else(|| Known::of(&document.issuer));
    if let Some(known) = known {
        out.heading(known.name())?;
        for note in known.notes() {
            out.note(Mark::Info, note)?;
        }
    }
    report::settings(arguments, given, document, known, out)?;
    report::verdict(&checked, is_matching, given, document, out)?;
    Ok(if is_matching { checked.outcome } else { Outcome::Bad })
}

/// Returns the keys of an issuer, whose discovery document may be at another URL.
pub(crate) fn discovered(
    issuer: &str,
    document_url: Option<&str>,
    client: Recorder,
) -> Result<RemoteKeys, ConfigError> {
    match document_url {
        Some(url) => RemoteKeys::discover_at_with(issuer, url, client),
        None => RemoteKeys::discover_with(issuer, client),
    }
}

pub(crate) type Attempt = Result<(), Arc<dyn Error + Send + Sync>>;

/// Makes one attempt to fetch the keys, in the way of a service.
pub(crate) async fn attempt(keys: RemoteKeys) -> (RemoteKeys, Attempt) {
    let never = Duration::from_secs(24 * 60 * 60);
    let keys = keys.retry_between(never, never);
    let result = first_attempt(&keys).await;
    (keys, result)
}

/// Waits until the first attempt has ended.
pub(crate) async fn first_attempt(keys: &RemoteKeys) -> Attempt {
    loop {
        if keys.is_ready() {
            return Ok(());
        }
        if let Some(error) = keys.last_error() {
            return Err(error);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Returns true if the URL is as well protected as the document that names it.
fn may_be_fetched(url: &str, document: &Document) -> bool {
    url.starts_with("https://") || document.url.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::recorder::Answer;
    use super::*;

    #[test]
    fn keys_need_protection_of_document() {
        for (place, url, expected) in [
            ("https://id.example", "https://id.example/jwks", true),
            ("https://id.example", "http://127.0.0.1/jwks", false),
            ("http://127.0.0.1", "http://127.0.0.1/jwks", true),
        ] {
            let answer = Answer::Received(Response::new(br#"{"issuer": "a"}"#.to_vec()));
            let exchanges = [Exchange { url: place.to_owned(), answer }];
            let document = Discovery::document_of("", &exchanges).unwrap();
            assert_eq!(may_be_fetched(url, &document), expected, "{place} {url}");
        }
    }
}
