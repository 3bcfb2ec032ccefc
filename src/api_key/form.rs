//! The form of an API key: `<prefix>_<id>_<secret><checksum>`.

use crate::config_error::{ConfigError, ConfigProblem};
use crate::error::FixedCause;

/// The public ID of a key.
pub(super) type Id = [u8; 12];

pub(super) const SECRET_LEN: usize = 30;
pub(super) const CHECKSUM_LEN: usize = 6;
const LONGEST_PREFIX: usize = 32;

/// The digits of base 62, in the order of ASCII.
pub(super) const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The parts of a key whose form and checksum are right.
pub(super) struct Parts<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) id: &'a Id,
    /// `<prefix>_<id>`.
    pub(super) name: &'a [u8],
    pub(super) secret: &'a [u8; SECRET_LEN],
}

impl<'a> Parts<'a> {
    /// Splits a key. The error says which part is wrong, and contains nothing of the key.
    pub(super) fn of(key: &'a [u8]) -> Result<Self, &'static FixedCause> {
        let end = memchr::memrchr(b'_', key).ok_or(UNDERSCORES)?;
        let (name, rest) = (&key[..end], &key[end + 1..]);
        let id_start = memchr::memrchr(b'_', name).ok_or(UNDERSCORES)? + 1;
        let prefix = &name[..id_start - 1];
        if !is_prefix(prefix) {
            return Err(PREFIX);
        }
        let id: &Id = name[id_start..].try_into().ok().filter(|id: &&Id| are_digits(*id)).ok_or(ID)?;
        if rest.len() != SECRET_LEN + CHECKSUM_LEN {
            return Err(LENGTH);
        }
        if !are_digits(rest) {
            return Err(SECRET);
        }
        let (body, last) = key.split_at(key.len() - CHECKSUM_LEN);
        if *last != checksum(body) {
            return Err(CHECKSUM);
        }
        let secret = rest.first_chunk().expect("the length was checked");
        Ok(Self { prefix, id, name, secret })
    }
}

/// Returns the CRC-32 of the other parts, in base 62 with leading zeros.
///
/// It detects every typo of one character.
pub(super) fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(body);
    let mut text = [0; CHECKSUM_LEN];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    text
}

/// Checks a prefix in the settings.
pub(super) fn check_prefix(prefix: &str) -> Result<(), ConfigError> {
    match is_prefix(prefix.as_bytes()) {
        true => Ok(()),
        false => Err(ConfigProblem::InvalidApiKeyPrefix { prefix: prefix.to_owned() }.into()),
    }
}

/// Reads an ID in a record.
pub(super) fn id(text: &str) -> Option<Id> {
    text.as_bytes().try_into().ok().filter(|id: &Id| are_digits(id))
}

fn is_prefix(prefix: &[u8]) -> bool {
    prefix.len() <= LONGEST_PREFIX
        && prefix.first().is_some_and(u8::is_ascii_alphabetic)
        && prefix.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn are_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphanumeric)
}

const UNDERSCORES: &FixedCause =
    &FixedCause("an API key has the form <prefix>_<id>_<secret><checksum>, but an underscore is missing");
const PREFIX: &FixedCause = &FixedCause("the prefix is not a letter and up to 31 letters, digits and `_`");
const ID: &FixedCause = &FixedCause("the ID, after the prefix, is not 12 letters and digits");
const LENGTH: &FixedCause = &FixedCause("the part after the last underscore does not have 36 characters");
const SECRET: &FixedCause =
    &FixedCause("the part after the last underscore has a character that is no letter or digit");
const CHECKSUM: &FixedCause = &FixedCause("the checksum does not match the other characters");
