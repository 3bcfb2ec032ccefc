//! The sections of the report.

use std::io;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::advice::Settings;
use super::discovery::{self, Discovery, Document};
use super::issuer;
use super::keys::Keys;
use super::known::Known;
use super::recorder::Exchange;
use super::refresh;
use super::{Attempt, ProviderArguments};
use crate::escape::{quoted, shortened};
use crate::outcome::Outcome;
use crate::screen::{Mark, Screen, chain};

/// The most that clocks may differ without other settings: the default of `JwtVerifier::leeway`.
const LEEWAY: u64 = 60;

/// The most that a leeway should make up for, in seconds. A longer one accepts tokens long after they expire.
const LONGEST_LEEWAY: u64 = 5 * 60;

/// The outcome of the checks of the keys, and the verdict.
pub(super) struct Checked {
    pub(super) outcome: Outcome,
    verdict: &'static str,
}

const USABLE: Checked =
    Checked { outcome: Outcome::Good, verdict: "the library verifies tokens of this provider" };
const UNUSABLE: Checked =
    Checked { outcome: Outcome::Bad, verdict: "the keys of this provider cannot be used" };
const LOST: Checked =
    Checked { outcome: Outcome::Unreachable, verdict: "the keys of this provider could not be fetched" };
const SECRET: Checked = Checked {
    outcome: Outcome::Bad,
    verdict: "the provider publishes a symmetric key, with which anyone can sign",
};
const CLOCK: Checked = Checked {
    outcome: Outcome::Bad,
    verdict: "the clocks of the provider and of this machine differ too much",
};

/// The methods of `ClientAuth`.
const SUPPORTED_METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];

pub(super) fn places(found: &Discovery, out: &mut Screen) -> io::Result<()> {
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

pub(super) fn no_document(found: &Discovery, result: Attempt, out: &mut Screen) -> io::Result<Outcome> {
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

pub(super) fn issuer_row(
    given: &str,
    document: &Document,
    is_matching: bool,
    out: &mut Screen,
) -> io::Result<()> {
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

pub(super) fn keys(
    document: &Document,
    exchange: Option<&Exchange>,
    result: Attempt,
    out: &mut Screen,
) -> io::Result<Checked> {
    out.heading("Keys")?;
    let mut checked = USABLE;
    let response = exchange.and_then(Exchange::response);
    if let Some(exchange) = exchange {
        let (mark, text) = discovery::outcome(exchange);
        out.row(mark, "JWK set", &text)?;
    }
    if let Some(response) = response.filter(|response| response.status() == StatusCode::OK) {
        let keys = Keys::read(response.body());
        keys.print(out)?;
        if let Some(stated) = document.list("id_token_signing_alg_values_supported") {
            let (held, stated) = (keys.algorithms().join(", "), shortened(&stated.join(", ")));
            let text = format!("{held}; the document lists for ID tokens: {stated}");
            out.row(Mark::Info, "algorithms", &text)?;
        }
        out.row(Mark::Info, "refresh", &refresh::interval(response.headers()))?;
        if !clock(response.headers(), out)? {
            checked = CLOCK;
        }
        if keys.have_secret() {
            checked = SECRET;
        }
        if !keys.are_usable() {
            return Ok(UNUSABLE);
        }
    }
    let Err(error) = result else {
        return Ok(checked);
    };
    out.row(Mark::Fail, "error", &chain(&*error))?;
    let is_lost = match (exchange, response) {
        (_, Some(response)) => discovery::is_temporary(response.status()),
        (Some(_), None) => true,
        // The document names no URL that may be fetched.
        (None, None) => false,
    };
    Ok(if is_lost { LOST } else { UNUSABLE })
}

/// Returns true if the clocks agree, as far as the provider states its time.
fn clock(headers: &HeaderMap, out: &mut Screen) -> io::Result<bool> {
    let Some(skew) = refresh::skew(headers, SystemTime::now()) else {
        return Ok(true);
    };
    let seconds = skew.unsigned_abs();
    if seconds <= LEEWAY {
        out.row(Mark::Pass, "clock", "the provider's clock agrees with this machine's")?;
        return Ok(true);
    }
    let side = if skew > 0 { "ahead of" } else { "behind" };
    let advice = match seconds {
        ..=LONGEST_LEEWAY => "synchronize the clocks, or set JwtVerifier::leeway",
        _ => "set the clock that is wrong",
    };
    let text = format!(
        "the provider's clock is {seconds} s {side} this machine's\nthe library allows {LEEWAY} s: {advice}"
    );
    out.row(Mark::Fail, "clock", &text)?;
    Ok(false)
}

pub(super) fn introspection(document: &Document, out: &mut Screen) -> io::Result<()> {
    let Some(endpoint) = document.text("introspection_endpoint") else {
        return Ok(());
    };
    out.heading("Introspection of opaque tokens")?;
    out.row(Mark::Info, "endpoint", &shortened(endpoint))?;
    let Some(methods) = document.list("introspection_endpoint_auth_methods_supported") else {
        return out.row(Mark::Info, "client auth", "not stated");
    };
    out.row(Mark::Info, "client auth", &shortened(&methods.join(", ")))?;
    if methods.iter().any(|method| SUPPORTED_METHODS.contains(method)) {
        return Ok(());
    }
    out.note(
        Mark::Warn,
        &format!("The library supports none of these methods, only {}.", SUPPORTED_METHODS.join(", ")),
    )
}

pub(super) fn settings(
    arguments: &ProviderArguments,
    given: &str,
    document: &Document,
    known: Option<Known>,
    out: &mut Screen,
) -> io::Result<()> {
    if matches!(known, Some(Known::EntraOtherTenants)) {
        return Ok(());
    }
    let is_discovered = arguments.discovery_url.is_some() || issuer::same_place(given, &document.issuer);
    // Anyone can write the name of another provider into a document, beside keys of their own.
    if issuer::host(given) != issuer::host(&document.issuer) {
        out.heading("Configure")?;
        let text = format!(
            "Nothing of this document: its host is not that of the issuer. If {} is your provider, run `jwt-doctor provider` \
             with it, and with --discovery-url if its document is this one.",
            quoted(&document.issuer)
        );
        return out.note(Mark::Warn, &text);
    }
    let on_its_host = |url: &&str| issuer::host(url) == issuer::host(&document.issuer);
    let settings = Settings {
        issuer: &document.issuer,
        discovery_url: arguments.discovery_url.as_deref(),
        jwks_url: document.text("jwks_uri").filter(|_| !is_discovered).filter(on_its_host),
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

pub(super) fn verdict(
    checked: &Checked,
    is_matching: bool,
    given: &str,
    document: &Document,
    out: &mut Screen,
) -> io::Result<()> {
    let is_its_host = issuer::host(given) == issuer::host(&document.issuer);
    let text = match (is_matching, is_its_host) {
        (true, _) => checked.verdict.to_owned(),
        (false, true) => format!("issuer mismatch: configure {} as the issuer", quoted(&document.issuer)),
        (false, false) => format!("issuer mismatch: the document is of {}", quoted(&document.issuer)),
    };
    let is_good = is_matching && checked.outcome == Outcome::Good;
    out.verdict(if is_good { Mark::Pass } else { Mark::Fail }, &text)
}
