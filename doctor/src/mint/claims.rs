//! The claims that the command line names.

use clap::Args;
use serde_json::{Map, Value};

use crate::escape::quoted;
use crate::outcome::Failure;
use crate::screen::{Mark, Screen};

/// The claims of the application.
#[derive(Args, Debug)]
pub(crate) struct ClaimArguments {
    /// `sub`
    #[arg(long)]
    subject: Option<String>,
    /// One or more scopes for `scope`; may be repeated
    #[arg(long)]
    scope: Vec<String>,
    /// Another claim; a value that is not JSON is a string
    #[arg(long, value_name = "NAME=JSON")]
    claim: Vec<String>,
}

impl ClaimArguments {
    pub(crate) fn claims(&self, notes: &mut Screen) -> Result<Map<String, Value>, Failure> {
        let mut claims = Map::new();
        let mut add = |name: String, value| match claims.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(format!("the claim {} is set twice: remove one", quoted(&name))),
        };
        for text in &self.claim {
            let (name, value) = parse_claim(text, notes)?;
            add(name, value)?;
        }
        if let Some(subject) = &self.subject {
            add("sub".to_owned(), subject.as_str().into())?;
        }
        if !self.scope.is_empty() {
            add("scope".to_owned(), self.scope.join(" ").into())?;
        }
        Ok(claims)
    }
}

/// Parses `name=json`. A value that is not JSON is a string, since a shell takes its quotes away.
pub(crate) fn parse_claim(text: &str, notes: &mut Screen) -> Result<(String, Value), Failure> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("{} is not a claim: use --claim NAME=JSON", quoted(text)))?;
    let value = match serde_json::from_str(value) {
        Ok(value) => value,
        Err(_) => {
            notes
                .note(Mark::Info, &format!("the value of {} is not JSON, so it is a string", quoted(name)))?;
            value.into()
        }
    };
    Ok((name.to_owned(), value))
}
