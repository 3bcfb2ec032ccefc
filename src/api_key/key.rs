use std::fmt::{self, Formatter};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use spki::der::zeroize::Zeroizing;

use super::form::{CHECKSUM_LEN, DIGITS, Id, Parts, SECRET_LEN, check_prefix, checksum};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::verify::base64url;

/// An API key with its secret. Show it to its owner once, and store only its hash.
///
/// ```
/// use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let key = ApiKey::generate("acme")?;
/// println!("Your API key: {}", key.expose());
/// let record = ApiKeyRecord::new(&key, serde_json::json!({"scope": "orders:read"}));
/// # Ok(())
/// # }
/// ```
///
/// # Format
///
/// A key is `<prefix>_<id>_<secret><checksum>`, for example
/// `acme_4vJ8kQ2mX7Zp_Hk3TzN9wRb5LxYc1VgQ8dMfP6sJt2E0qOmv9`:
///
/// - The prefix is a letter and up to 31 letters, digits and `_`.
/// - The ID has 12 random letters and digits. It is public: logs, revocations and your own pages name the key by it.
/// - The secret has 30 random letters and digits, which is 178 bits.
/// - The checksum has 6 letters and digits: the CRC-32 (as in zlib) of all characters before it, as a number in base 62,
///   with leading zeros. The digits are `0-9`, `A-Z` and `a-z`, in this order. The key above has the CRC-32 774277399,
///   which is `0qOmv9`.
///
/// Secret scanners find the keys of the prefix `acme` with this regular expression. They avoid false alarms by the
/// checksum:
///
/// ```text
/// \bacme_[0-9A-Za-z]{12}_[0-9A-Za-z]{36}\b
/// ```
///
/// # Security
///
/// `Debug` shows the prefix and the ID only. There is no `Display` and no `Serialize`. The memory of the key is
/// overwritten when it is dropped.
pub struct ApiKey {
    text: Zeroizing<String>,
    prefix_len: usize,
}

impl ApiKey {
    /// Generates a key with random numbers of the operating system.
    ///
    /// # Errors
    ///
    /// - The prefix is not a letter and up to 31 letters, digits and `_`.
    /// - The operating system returns no random numbers.
    pub fn generate(prefix: &str) -> Result<Self, ConfigError> {
        check_prefix(prefix)?;
        // With the whole capacity the text does not move and leaves no copies.
        let capacity = prefix.len() + size_of::<Id>() + SECRET_LEN + CHECKSUM_LEN + 2;
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        text.push_str(prefix);
        text.push('_');
        add_random(&mut text, size_of::<Id>())?;
        text.push('_');
        add_random(&mut text, SECRET_LEN)?;
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Ok(Self { text, prefix_len: prefix.len() })
    }

    /// Reads a key with any prefix and checks its form and its checksum.
    ///
    /// # Errors
    ///
    /// [`MalformedApiKey`](AuthErrorKind::MalformedApiKey). The source says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let malformed = |cause| AuthError::new(AuthErrorKind::MalformedApiKey).because(cause);
        let prefix_len = Parts::of(text.as_bytes()).map_err(malformed)?.prefix.len();
        Ok(Self { text: Zeroizing::new(text.to_owned()), prefix_len })
    }

    /// Returns the prefix, without the underscore.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.text[..self.prefix_len]
    }

    /// Returns the public ID.
    #[must_use]
    pub fn id(&self) -> &str {
        let start = self.prefix_len + 1;
        &self.text[start..start + size_of::<Id>()]
    }

    /// Returns the whole key with its secret, to be shown once.
    ///
    /// # Security
    ///
    /// Anyone with this text can use the key. Do not store or log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the hash for an [`ApiKeyRecord`](super::ApiKeyRecord), as base64url text.
    ///
    /// It is the HMAC-SHA-256 of the secret without the checksum. The key of the HMAC is `<prefix>_<id>`, so that a hash
    /// is worthless for another key. The [module](super#why-a-fast-hash-is-enough) says why a fast hash is enough.
    #[must_use]
    pub fn hash(&self) -> String {
        let parts = Parts::of(self.text.as_bytes()).expect("the form was checked");
        base64url::encode(&mac(&parts).finalize().into_bytes())
    }
}

/// Shows the prefix and the ID only.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("prefix", &self.prefix())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Returns the MAC of the secret, which is the stored hash.
pub(super) fn mac(parts: &Parts<'_>) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(parts.name).expect("HMAC takes keys of any length");
    mac.update(parts.secret);
    mac
}

/// Appends random digits. Values beyond the digits are skipped, so that all digits are equally likely.
fn add_random(text: &mut String, count: usize) -> Result<(), ConfigError> {
    let end = text.len() + count;
    let mut random = Zeroizing::new([0; 64]);
    while text.len() < end {
        getrandom::fill(&mut *random).map_err(|_| ConfigProblem::NoRandomness.into())?;
        let digits = random.iter().filter_map(|byte| DIGITS.get(usize::from(byte & 63)));
        text.extend(digits.take(end - text.len()).map(|digit| char::from(*digit)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_digits_are_equally_likely() {
        let mut text = String::new();
        add_random(&mut text, 62_000).unwrap();
        let counts = DIGITS.map(|digit| text.bytes().filter(|byte| *byte == digit).count());
        // Six standard deviations.
        assert!(counts.iter().all(|count| (810..=1190).contains(count)), "{counts:?}");
    }
}
