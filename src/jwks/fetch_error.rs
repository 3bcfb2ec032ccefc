use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderName;

use super::fetch_url::FetchUrl;
use crate::config_error::ConfigError;

/// The reason that an attempt to fetch keys failed.
#[derive(Debug)]
pub(crate) struct FetchError {
    /// The requested URL. `None` if the error concerns the whole attempt.
    address: Option<String>,
    problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// The application's function for a header failed.
    Header(HeaderName, Box<dyn Error + Send + Sync>),
    /// The HTTP client returned an error.
    Transport(Box<dyn Error + Send + Sync>),
    /// The attempt timed out. With the setting of the limit.
    Deadline(Duration, Option<&'static str>),
    /// With the target if it is a redirect.
    Status(StatusCode, Option<String>),
    Encoded,
    TooLarge {
        limit: usize,
        setting: Option<&'static str>,
    },
    CutShort,
    /// With the member that is needed.
    NotMetadata(&'static str),
    OtherIssuer {
        expected: String,
        got: String,
    },
    EndpointAddress(&'static str, ConfigError),
    Keys(ConfigError),
    /// Status 304, but with an ETag other than the requested one.
    OtherVersion,
    Panicked,
    /// The runtime of the fetch task has shut down.
    Stopped,
}

/// The result of a request for a discovery document, the least telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tells {
    /// No document is there.
    Absent,
    /// Probably something else is there: a website may respond to unknown paths in this way.
    Doubtful,
    /// The document is there and wrong, or may be there and could not be fetched.
    Present,
}

impl FetchError {
    pub(crate) fn new(address: &FetchUrl, problem: Problem) -> Self {
        Self { address: Some(address.without_query()), problem }
    }

    /// Returns how much the error tells about a discovery document, to report one of several.
    pub(crate) fn tells(&self) -> Tells {
        match &self.problem {
            Problem::Status(StatusCode::NOT_FOUND | StatusCode::GONE, _) => Tells::Absent,
            Problem::NotMetadata(_) => Tells::Doubtful,
            Problem::Status(status, _)
                if !status.is_server_error() && *status != StatusCode::TOO_MANY_REQUESTS =>
            {
                Tells::Doubtful
            }
            _ => Tells::Present,
        }
    }

    /// Returns true if the whole attempt timed out.
    pub(crate) fn is_deadline(&self) -> bool {
        matches!(self.problem, Problem::Deadline(..))
    }
}

/// Creates an error that concerns the whole attempt.
impl From<Problem> for FetchError {
    fn from(problem: Problem) -> Self {
        Self { address: None, problem }
    }
}

impl Display for FetchError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "cannot fetch `{address}`: ")?;
        }
        match &self.problem {
            Problem::Header(name, _) => write!(f, "the request header `{name}` cannot be set"),
            Problem::Transport(_) => f.write_str("the request failed"),
            Problem::Deadline(limit, setting) => {
                write!(f, "timed out after {} s", limit.as_secs_f64())?;
                name_setting(f, *setting)
            }
            Problem::Status(status, None) => write!(f, "the response has status {}", status.as_u16()),
            Problem::Status(status, Some(target)) => write!(
                f,
                "the response has status {} and redirects to `{target}`; redirects are not followed",
                status.as_u16()
            ),
            Problem::Encoded => f.write_str("the response is compressed, but the request did not allow it"),
            Problem::TooLarge { limit, setting } => {
                write!(f, "the response is larger than {limit} bytes")?;
                name_setting(f, *setting)
            }
            Problem::CutShort => f.write_str("the length of the response differs from its `Content-Length`"),
            Problem::NotMetadata(member) => {
                write!(f, "the discovery document has no valid `issuer` and `{member}`")
            }
            // The provider controls this text: it may be long or contain line breaks.
            Problem::OtherIssuer { expected, got } => {
                let got: String = got.chars().take(200).collect();
                write!(
                    f,
                    "issuer mismatch: the discovery document says `{}`, expected `{expected}`",
                    got.escape_debug()
                )
            }
            Problem::EndpointAddress(member, _) => {
                write!(f, "the discovery document has an invalid `{member}`")
            }
            Problem::Keys(_) => f.write_str("the JWK set is invalid"),
            Problem::OtherVersion => {
                f.write_str("the response has status 304, but its `ETag` is not the requested one")
            }
            Problem::Panicked => f.write_str("the HTTP client panicked"),
            Problem::Stopped => f.write_str("the tokio runtime of the fetch task has shut down"),
        }
    }
}

fn name_setting(f: &mut Formatter<'_>, setting: Option<&str>) -> fmt::Result {
    setting.map_or(Ok(()), |setting| write!(f, "; {setting} sets the limit"))
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Header(_, error) | Problem::Transport(error) => Some(&**error),
            Problem::EndpointAddress(_, error) | Problem::Keys(error) => Some(error),
            _ => None,
        }
    }
}
