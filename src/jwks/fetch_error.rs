use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use http::StatusCode;

use super::fetch_url::FetchUrl;
use crate::config_error::ConfigError;

/// Why keys could not be fetched.
#[derive(Debug)]
pub(crate) struct FetchError {
    /// What was asked for, where it is known.
    address: Option<String>,
    problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// No answer, or one that the client cannot read.
    Transport(Box<dyn Error + Send + Sync>),
    /// The time of the attempt was over.
    Deadline(Duration),
    /// With the target of a redirect, where it is one that names any.
    Status(StatusCode, Option<String>),
    Encoded,
    TooLarge {
        limit: usize,
    },
    CutShort,
    NotMetadata,
    OtherIssuer {
        expected: String,
        got: String,
    },
    KeysAddress(ConfigError),
    Keys(ConfigError),
    /// It says that the keys are unchanged, but not which.
    OtherVersion,
    Panicked,
    /// The runtime that the fetches were made in has ended.
    Stopped,
}

impl FetchError {
    pub(crate) fn new(address: &FetchUrl, problem: Problem) -> Self {
        Self { address: Some(address.without_query()), problem }
    }

    /// Whether the time of the whole attempt is over.
    pub(crate) fn is_deadline(&self) -> bool {
        matches!(self.problem, Problem::Deadline(_))
    }
}

/// Of an attempt as a whole.
impl From<Problem> for FetchError {
    fn from(problem: Problem) -> Self {
        Self { address: None, problem }
    }
}

impl Display for FetchError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "{address}: ")?;
        }
        match &self.problem {
            Problem::Transport(_) => f.write_str("it could not be fetched"),
            Problem::Deadline(limit) => write!(
                f,
                "timed out after {} s: RemoteKeys::fetch_timeout sets how long an attempt may take",
                limit.as_secs_f64()
            ),
            Problem::Status(status, None) => write!(f, "it answered with status {}", status.as_u16()),
            Problem::Status(status, Some(target)) => write!(
                f,
                "it answered with status {}, a redirect to `{target}`: redirects are not followed",
                status.as_u16()
            ),
            Problem::Encoded => f.write_str("its answer is compressed, which was not asked for"),
            Problem::TooLarge { limit } => write!(
                f,
                "its answer has more than {limit} bytes: RemoteKeys::max_document_bytes sets how many it may have"
            ),
            Problem::CutShort => f.write_str("its answer is not as long as it says"),
            Problem::NotMetadata => {
                f.write_str("its answer is no JSON object with one `issuer` and one `jwks_uri`")
            }
            // Whoever wrote the metadata may have put a line break in, or a whole book.
            Problem::OtherIssuer { expected, got } => {
                let got: String = got.chars().take(200).collect();
                write!(f, "it is the metadata of `{}`, not of `{expected}`", got.escape_debug())
            }
            Problem::KeysAddress(_) => f.write_str("the address of the keys cannot be used"),
            Problem::Keys(_) => f.write_str("its JWK set cannot be used"),
            Problem::OtherVersion => f.write_str(
                "it says that the keys have not changed, and means others than those it was asked about",
            ),
            Problem::Panicked => f.write_str("the HTTP client panicked"),
            Problem::Stopped => f.write_str("the runtime that keys were fetched in has ended"),
        }
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Transport(error) => Some(&**error),
            Problem::KeysAddress(error) | Problem::Keys(error) => Some(error),
            _ => None,
        }
    }
}
