//! `explain`: why a token is accepted or rejected.

mod hints;
mod input;
mod opaque;
mod proof;
mod report;
mod source;

use clap::Args;
use serde_json::Value;
use tower_jwt_auth::explain::{Explanation, Outcome as StepOutcome};
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{Credential, Head};

use self::input::Input;
use self::proof::ProofArguments;
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
    #[command(flatten)]
    proof: ProofArguments,
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
    let proof = arguments.proof.proof()?;
    let source = arguments.verifier.source(proof.as_ref().map(|proof| &proof.dpop), notes).await?;
    let input = Input::read(&arguments.token)?;
    let token = input.token.as_str();
    let head = proof.as_ref().map(|proof| Head::from(&proof.request));
    let credential = match &head {
        Some(head) => Credential::new(Scheme::DPOP, token.as_bytes()).with_request(head),
        None => Credential::from(token),
    };
    let report = explained(&source, credential).await;
    if let Some(service) = &source.service {
        let verified = service.verify(token).await;
        let verdict = opaque::Verdict { error: verified.as_ref().err(), as_jwt: report.as_ref() };
        if !verdict.is_explained(token) {
            match arguments.json {
                true => verdict.print_json(&input, out)?,
                false => verdict.print(&input, out)?,
            }
            return Ok(input.outcome(verdict.outcome()));
        }
    }
    let report = report.expect("without settings there is a verifier");
    if arguments.json {
        report::print_json(&report, &source.keys, &input, out)?;
    } else {
        report::print(&report, &source.keys, &input, out)?;
    }
    if matches!(source.keys, KeysOf::Nobody) {
        return Err(NO_KEYS.into());
    }
    Ok(input.outcome(hints::outcome(&report, &source.keys)))
}

/// Explains the token with the verifier of its issuer, or with the first one.
async fn explained(source: &Source, credential: Credential<'_>) -> Option<Explanation<Value>> {
    let mut first = None;
    for verifier in &source.verifiers {
        let report = verifier.explain(credential).await;
        if report.steps().iter().any(|step| step.name() == "iss" && step.outcome() == StepOutcome::Passed) {
            return Some(report);
        }
        first.get_or_insert(report);
    }
    first
}
