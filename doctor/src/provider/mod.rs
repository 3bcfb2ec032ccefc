//! `provider`: checks a provider's discovery document and keys, and says what to configure.

mod advice;
mod discovery;
mod issuer;
mod keys;
mod known;
mod recorder;
mod refresh;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use http::{HeaderMap, StatusCode};
use tokio::time::sleep;
use tower_jwt_auth::jwks::RemoteKeys;

use self::advice::Settings;
pub(crate) use self::discovery::Discovery;
use self::discovery::Document;
pub(crate) use self::issuer::difference;
pub(crate) use self::keys::Keys;
use self::known::Known;
pub(crate) use self::recorder::{Exchange, Recorder};
pub(crate) use self::refresh::skew;
use crate::client::ClientArguments;
use crate::escape::{quoted, shortened};
use crate::outcome::{Failure, Outcome};
use crate::screen::{Mark, Screen, chain};

/// The provider to check.
#[derive(Args, Debug)]
pub(crate) struct ProviderArguments {
    /// Issuer URL, for example https://id.example.com
    issuer: String,
    /// Audience of your API, for the lines to configure
    #[arg(long)]
    audience: Option<String>,
    #[command(flatten)]
    client: ClientArguments,
}

/// The most that clocks may differ without other settings: the default of `JwtVerifier::leeway`.
const LEEWAY: u64 = 60;

pub(crate) async fn run(arguments: &ProviderArguments, out: &mut Screen) -> Result<Outcome, Failure> {
    let issuer = issuer::of_document_url(&arguments.issuer);
    let given = issuer.as_deref().unwrap_or(&arguments.issuer);
    let client = Recorder::new(arguments.client.client()?);
    let keys = RemoteKeys::discover_with(given, client.clone()).map_err(|error| match given {
        given if given.starts_with("http://") => format!("{error}; --insecure-plain-http allows it"),
        _ => error.to_string(),
    })?;

    out.line(&format!("Provider {}", shortened(given)))?;
    if issuer.is_some() {
        out.note(Mark::Info, "You gave the URL of a discovery document. The issuer is the part without it.")?;
    }
    let (_, result) = attempt(keys).await;
    let found = Discovery::new(given, client.take());
    print_places(&found, out)?;
    let Some(document) = &found.document else {
        return Ok(no_document(&found, result, out)?);
    };
    let is_matching = document.issuer == given;
    print_issuer(given, document, is_matching, out)?;

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
    let outcome = print_keys(exchange.as_ref(), result, out)?;
    print_introspection(document, out)?;

    let known = Known::of(given).or_else(|| Known::of(&document.issuer));
    if let Some(known) = known {
        out.heading(known.name())?;
        for note in known.notes() {
            out.note(Mark::Info, note)?;
        }
    }
    let outcome = if is_matching { outcome } else { Outcome::Bad };
    print_settings(arguments, given, document, known, out)?;
    match outcome {
        Outcome::Good => out.verdict(Mark::Pass, "the library verifies tokens of this provider")?,
        Outcome::Bad if !is_matching => out.verdict(
            Mark::Fail,
            &format!("issuer mismatch: configure {} as the issuer", quoted(&document.issuer)),
        )?,
        Outcome::Bad => out.verdict(Mark::Fail, "the keys of this provider cannot be used")?,
        Outcome::Unreachable => out.verdict(Mark::Fail, "the keys of this provider could not be fetched")?,
    }
    Ok(outcome)
}

pub(crate) type Attempt = Result<(), Arc<dyn Error + Send + Sync>>;

/// Makes one attempt to fetch the keys, in the way of a service.
pub(crate) async fn attempt(keys: RemoteKeys) -> (RemoteKeys, Attempt) {
    let never = Duration::from_secs(24 * 60 * 60);
    let keys = keys.retry_between(never, never);
    loop {
        if keys.is_ready() {
            return (keys, Ok(()));
        }
        if let Some(error) = keys.last_error() {
            return (keys, Err(error));
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Returns true if the URL is as well protected as the document that names it.
fn may_be_fetched(url: &str, document: &Document) -> bool {
    url.starts_with("https://") || document.url.starts_with("http://")
}

fn print_places(found: &Discovery, out: &mut Screen) -> io::Result<()> {
    out.heading("Discovery document")?;
    for exchange in &found.places {
        let (mark, text) = discovery::outcome(exchange);
        let label = match exchange.url.contains("oauth-authorization-server") {
            true => "RFC 8414",
            false => "OpenID",
        };
        out.row(mark, label, &text)?;
    }
    Ok(())
}

fn no_document(found: &Discovery, result: Attempt, out: &mut Screen) -> io::Result<Outcome> {
    if found.is_unreachable() {
        out.verdict(
            Mark::Fail,
            "the provider cannot be reached: check the host, the network, --proxy and --ca-file",
        )?;
        return Ok(Outcome::Unreachable);
    }
    if let Err(error) = result {
        out.row(Mark::Fail, "error", &chain(&*error))?;
    }
    out.verdict(
        Mark::Fail,
        "no discovery document: check the path of the issuer, such as a realm or tenant, or configure the JWK set's URL",
    )?;
    Ok(Outcome::Bad)
}

fn print_issuer(given: &str, document: &Document, is_matching: bool, out: &mut Screen) -> io::Result<()> {
    if is_matching {
        return out.row(Mark::Pass, "issuer", &shortened(given));
    }
    let text = format!(
        "the document says {}\nyou gave          {}\n{}",
        quoted(&document.issuer),
        quoted(given),
        issuer::difference(given, &document.issuer)
    );
    out.row(Mark::Fail, "issuer", &text)
}

fn print_keys(exchange: Option<&Exchange>, result: Attempt, out: &mut Screen) -> io::Result<Outcome> {
    out.heading("Keys")?;
    let response = exchange.and_then(Exchange::response);
    if let Some(exchange) = exchange {
        let (mark, text) = discovery::outcome(exchange);
        out.row(mark, "JWK set", &text)?;
    }
    if let Some(response) = response.filter(|response| response.status() == StatusCode::OK) {
        let keys = Keys::read(response.body());
        keys.print(out)?;
        out.row(Mark::Info, "refresh", &refresh::interval(response.headers()))?;
        print_clock(response.headers(), out)?;
        if !keys.are_usable() {
            return Ok(Outcome::Bad);
        }
    }
    let Err(error) = result else {
        return Ok(Outcome::Good);
    };
    out.row(Mark::Fail, "error", &chain(&*error))?;
    let is_lost = match (exchange, response) {
        (_, Some(response)) => discovery::is_temporary(response.status()),
        (Some(_), None) => true,
        // The document names no URL that may be fetched.
        (None, None) => false,
    };
    Ok(if is_lost { Outcome::Unreachable } else { Outcome::Bad })
}

fn print_clock(headers: &HeaderMap, out: &mut Screen) -> io::Result<()> {
    match refresh::skew(headers, SystemTime::now()) {
        None => Ok(()),
        Some(skew) if skew.unsigned_abs() <= LEEWAY => {
            out.row(Mark::Pass, "clock", "the provider's clock agrees with this machine's")
        }
        Some(skew) => {
            let side = if skew > 0 { "ahead of" } else { "behind" };
            let text = format!(
                "the provider's clock is {} s {side} this machine's\n\
                 the library allows {LEEWAY} s: synchronize the clocks, or set JwtVerifier::leeway",
                skew.unsigned_abs()
            );
            out.row(Mark::Warn, "clock", &text)
        }
    }
}

fn print_introspection(document: &Document, out: &mut Screen) -> io::Result<()> {
    let Some(endpoint) = document.text("introspection_endpoint") else {
        return Ok(());
    };
    out.heading("Introspection of opaque tokens")?;
    out.row(Mark::Info, "endpoint", &shortened(endpoint))?;
    let methods = document
        .list("introspection_endpoint_auth_methods_supported")
        .map_or_else(|| "not stated".to_owned(), |methods| shortened(&methods.join(", ")));
    out.row(Mark::Info, "client auth", &methods)
}

fn print_settings(
    arguments: &ProviderArguments,
    given: &str,
    document: &Document,
    known: Option<Known>,
    out: &mut Screen,
) -> io::Result<()> {
    if matches!(known, Some(Known::EntraOtherTenants)) {
        return Ok(());
    }
    let is_discovered = issuer::same_place(given, &document.issuer);
    let settings = Settings {
        issuer: &document.issuer,
        jwks_url: document.text("jwks_uri").filter(|_| !is_discovered),
        audience: arguments.audience.as_deref(),
        known,
        client: &arguments.client,
    };
    out.heading("Configure")?;
    out.code(&settings.rust())?;
    out.line("")?;
    out.code(&settings.environment())?;
    if settings.audience.is_none() {
        out.note(Mark::Info, "Replace the audience by the `aud` of a token for your API.")?;
    }
    Ok(())
}
