//! A set of API keys in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::form::Id;
use super::record::ApiKeyRecord;
use crate::claims::Claims;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::verify::private_names::has_private_name;

/// The claims of each key by its ID. A request clones an `Arc`.
pub(super) struct KeyTable<C>(HashMap<Id, Claims<C>>);

impl<C> KeyTable<C> {
    pub(super) fn new(
        prefix: &str,
        records: impl IntoIterator<Item = ApiKeyRecord<C>>,
    ) -> Result<Self, ConfigError> {
        let mut by_id = HashMap::new();
        for record in records {
            let (id, claims) = record.into_claims(prefix, Duration::ZERO)?;
            match by_id.entry(id) {
                Entry::Vacant(vacant) => vacant.insert(claims),
                Entry::Occupied(_) => {
                    let id = String::from_utf8_lossy(&id).into_owned();
                    return Err(ConfigProblem::DuplicateApiKey { id }.into());
                }
            };
        }
        Ok(Self(by_id))
    }

    /// Reads a JSON array of records.
    pub(super) fn from_json(prefix: &str, json: &[u8]) -> Result<Self, ConfigError>
    where
        C: DeserializeOwned,
    {
        let invalid =
            |line, column| -> ConfigError { ConfigProblem::InvalidApiKeyRecords { line, column }.into() };
        let json = str::from_utf8(json).map_err(|error| {
            let before = &json[..error.valid_up_to()];
            let line = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
            invalid(before.split(|byte| *byte == b'\n').count(), line + 1)
        })?;
        if has_private_name(json) {
            return Err(ConfigProblem::PrivateNameInApiKeys.into());
        }
        // The texts of serde contain values, so only the place is reported.
        let records: Vec<ApiKeyRecord<C>> =
            serde_json::from_str(json).map_err(|error| invalid(error.line(), error.column()))?;
        Self::new(prefix, records)
    }

    pub(super) fn get(&self, id: &Id) -> Option<&Claims<C>> {
        self.0.get(id)
    }
}
