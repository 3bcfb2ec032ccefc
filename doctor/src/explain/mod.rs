//! `explain`: why a token is accepted or rejected.

mod hints;
mod input;
mod report;
mod source;

use clap::Args;

use self::input::Input;
use self::source::{KeysOf, VerifierArguments};
use crate::outcome::{Failure, Outcome};
use crate::screen::Screen;

/// The token, and the verifier to check it with.
#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// Token; without one it is read from standard input, where no other user can see it
    token: Vec<String>,
    #[command(flatten)]
    verifier: VerifierArguments,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

const NO_KEYS: &str = "nothing was verified, since no keys are configured: \
    set --issuer, --jwks-file, --jwks-url, --pem-file or --secret-file";

pub(crate) async fn run(
    arguments: &ExplainArguments,
    out: &mut Screen,
    notes: &mut Screen,
) -> Result<Outcome, Failure> {
    let source = arguments.verifier.source(notes).await?;
    let input = Input::read(&arguments.token)?;
    let report = source.verifier.explain(input.token.as_str()).await;
    if arguments.json {
        report::print_json(&report, &source.keys, &input, out)?;
    } else {
        report::print(&report, &source.keys, &input, out)?;
    }
    if matches!(source.keys, KeysOf::Nobody) {
        return Err(NO_KEYS.into());
    }
    Ok(hints::outcome(&report, &source.keys))
}
