//! The command line.

use clap::{Parser, Subcommand};

use crate::api_key::ApiKeyArguments;
use crate::explain::ExplainArguments;
use crate::mint::MintArguments;
use crate::provider::ProviderArguments;

/// Checks providers, explains rejected tokens, and makes tokens and API keys for development
#[derive(Parser, Debug)]
#[command(name = "jwt-doctor", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  accepted, healthy, or made
  1  rejected, or a problem found
  2  wrong command line, unreadable file or invalid setting
  3  the provider could not be asked

Output is coloured on a terminal. NO_COLOR=1 switches colours off.";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Check a provider: discovery document, issuer, keys, and what to configure
    #[command(after_help = EXIT_CODES)]
    Provider(ProviderArguments),
    /// Explain a token from standard input: why it is accepted or rejected, and what to change
    #[command(after_help = EXIT_CODES)]
    Explain(Box<ExplainArguments>),
    /// Make a token for development: prints only the token on standard output
    #[command(after_help = EXIT_CODES)]
    Mint(MintArguments),
    /// Make an API key: prints it once, with the record for the file of keys
    #[command(after_help = EXIT_CODES)]
    ApiKey(ApiKeyArguments),
}
