//! The results of commands, as exit codes.

use std::error::Error;
use std::process::ExitCode;

/// The reason that a command could not do its work.
pub(crate) type Failure = Box<dyn Error>;

/// The exit code for a [`Failure`]. clap uses it for a wrong command line, too.
pub(crate) const SET_UP_ERROR: u8 = 2;

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The token is accepted, or the provider is healthy.
    Good,
    /// The token is rejected, or there is a problem.
    Bad,
    /// The provider could not be asked.
    Unreachable,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Good => 0,
            Outcome::Bad => 1,
            Outcome::Unreachable => 3,
        })
    }
}
