//! `explain`: why a token is accepted or rejected.

mod hints;
mod input;
mod report;
mod source;

use clap::Args;
use serde_json::Value;
use tower_jwt_auth::explain::{Explanation, Outcome as StepOutcome};

use self::input::Input;
use self::source::{KeysOf, Source, VerifierArguments};
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
    let report = explained(&source, &input.token).await;
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

/// Explains the token with the verifier of its issuer, or with the first one.
async fn explained(source: &Source, token: &str) -> Explanation<Value> {
    let mut first = None;
    for verifier in &source.verifiers {
        let report = verifier.explain(token).await;
        if report.steps().iter().any(|step| step.name() == "iss" && step.outcome() == StepOutcome::Passed) {
            return report;
        }
        first.get_or_insert(report);
    }
    first.expect("a source has a verifier")
}
