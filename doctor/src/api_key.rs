//! `api-key`: a new API key, and its record for the file of keys.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::{Map, Value};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord};

use crate::escape::quoted;
use crate::files;
use crate::mint::ClaimArguments;
use crate::outcome::{Failure, Outcome};
use crate::screen::{Mark, Screen};

/// The key to make.
#[derive(Args, Debug)]
pub(crate) struct ApiKeyArguments {
    /// Prefix of the key, such as `acme`: secret scanners find the keys by it
    #[arg(long)]
    prefix: String,
    /// Name for logs, such as `ci`
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    claims: ClaimArguments,
    /// Days until the key expires; without it, the key does not expire
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    expires_in_days: Option<u32>,
    /// Add the record to this JSON file, and create it if there is none
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn run(
    arguments: &ApiKeyArguments,
    out: &mut Screen,
    notes: &mut Screen,
) -> Result<Outcome, Failure> {
    let claims = arguments.claims.claims(notes)?;
    check_claims(&claims)?;
    let key = ApiKey::generate(&arguments.prefix)?;
    let mut record = ApiKeyRecord::new(&key, Value::from(claims));
    if let Some(name) = &arguments.name {
        record = record.name(name);
    }
    if let Some(days) = arguments.expires_in_days {
        record = record.expires_at(SystemTime::now() + DAY * days);
    }
    let record = serde_json::to_value(record)?;
    match &arguments.keys_file {
        Some(path) => {
            add(path, &record)?;
            out.line(key.expose())?;
            notes.row(Mark::Info, "record", &format!("added to `{}`", path.display()))?;
        }
        None => {
            out.line(key.expose())?;
            out.json(&record)?;
            notes.row(
                Mark::Info,
                "record",
                "the JSON is for the file of keys: it has a hash, and not the key",
            )?;
        }
    }
    notes.row(Mark::Info, "ID", key.id())?;
    notes.note(Mark::Warn, "This is the only time that the key is shown. Give it to the client now.")?;
    Ok(Outcome::Good)
}

/// Adds a record to the array in a file. Readers see either the old or the new array.
fn add(path: &Path, record: &Value) -> Result<(), Failure> {
    let before = if path.try_exists()? { Some(files::read(path)?) } else { None };
    let mut records: Vec<Map<String, Value>> = match &before {
        Some(json) => serde_json::from_slice(json)
            .map_err(|_| format!("{} has no JSON array of records", quoted(&path.display().to_string())))?,
        None => Vec::new(),
    };
    records.extend(record.as_object().cloned());
    let mut text = serde_json::to_string_pretty(&records)?;
    text.push('\n');
    if text.len() > LARGEST {
        let problem =
            "would be larger than 1 MiB, which the service does not read; remove records or use a database";
        return Err(format!("{} {problem}", quoted(&path.display().to_string())).into());
    }
    files::replace(path, before.as_deref(), &text)
}

/// The limit of the library for a file that it follows.
const LARGEST: usize = 1024 * 1024;

/// Rejects claims that an API key does not check.
fn check_claims(claims: &Map<String, Value>) -> Result<(), Failure> {
    match ["exp", "nbf", "iss", "aud"].into_iter().find(|name| claims.contains_key(*name)) {
        Some("exp") => Err("the claim `exp` has no effect on an API key: use --expires-in-days".into()),
        Some(name) => Err(format!("the claim `{name}` has no effect on an API key: remove it").into()),
        None => Ok(()),
    }
}
