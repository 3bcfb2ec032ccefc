//! Prints the report of the library, and the hints.

use std::io;

use serde_json::{Value, json};
use tower_jwt_auth::explain::{Explanation, Outcome as StepOutcome, Step};

use super::hints;
use super::input::Input;
use super::source::KeysOf;
use crate::escape::shortened;
use crate::outcome::Failure;
use crate::screen::{Mark, Screen};

/// Prints the report for people.
pub(crate) fn print(
    report: &Explanation<Value>,
    keys: &KeysOf,
    input: &Input,
    out: &mut Screen,
) -> io::Result<()> {
    for note in &input.notes {
        out.note(Mark::Warn, note)?;
    }
    let decisive = report.failed_step();
    for step in report.steps().iter().filter(|step| is_of_interest(step)) {
        let is_decisive = decisive.is_some_and(|decisive| std::ptr::eq(decisive, step));
        out.row(mark(step), &label(step), &lines(step, is_decisive))?;
    }
    let error = report.error();
    match error {
        Some(_) => out.verdict(Mark::Fail, &report.verdict())?,
        None => {
            let (mark, text) = input.accepted();
            out.verdict(mark, text)?;
        }
    }
    let advice = [("cause", report.cause()), ("cure", report.cure())];
    for (label, text) in advice.into_iter().filter_map(|(label, text)| Some((label, text?))) {
        out.row(Mark::Info, label, text)?;
    }
    let settings = error.map_or(&[][..], |error| hints::settings(error.kind(), keys));
    if !settings.is_empty() {
        out.row(Mark::Info, "settings", &settings.join(", "))?;
    }
    for hint in hints::hints(report, keys, &input.token) {
        out.note(Mark::Warn, &hint)?;
    }
    Ok(())
}

/// Prints the report for programs: the one of the library, with `notes`, `cleaned_up`, `hints` and `settings`.
pub(crate) fn print_json(
    report: &Explanation<Value>,
    keys: &KeysOf,
    input: &Input,
    out: &mut Screen,
) -> Result<(), Failure> {
    let mut json = serde_json::to_value(report)?;
    json["notes"] = json!(input.notes);
    json["cleaned_up"] = json!(input.is_cleaned);
    json["hints"] = json!(hints::hints(report, keys, &input.token));
    json["settings"] = json!(report.error().map_or(&[][..], |error| hints::settings(error.kind(), keys)));
    out.json(&json)?;
    Ok(())
}

fn mark(step: &Step) -> Mark {
    match step.outcome() {
        StepOutcome::Passed if step.is_proven() => Mark::Pass,
        StepOutcome::Passed => Mark::Doubt,
        StepOutcome::Failed => Mark::Fail,
        _ => Mark::Info,
    }
}

fn label(step: &Step) -> String {
    match step.subject() {
        Some(subject) => format!("{} {}", step.name(), shortened(subject)),
        None => step.name().to_owned(),
    }
}

/// The doctor has no claims type, so that every JSON object fits.
fn is_of_interest(step: &Step) -> bool {
    step.name() != "claims_type" || step.outcome() == StepOutcome::Failed
}

/// Returns the details of a step. The cause and the cure of the decisive one come at the end of the report.
fn lines(step: &Step, is_decisive: bool) -> String {
    if step.outcome() == StepOutcome::Passed {
        let text = step.received().or(step.detail()).unwrap_or("as expected");
        let doubt = if step.is_proven() { "" } else { " (not proven)" };
        return format!("{text}{doubt}");
    }
    let advice = [("cause", step.cause()), ("cure", step.cure())].into_iter().filter(|_| !is_decisive);
    let facts = [("received", step.received()), ("expected", step.expected())];
    let labelled = facts.into_iter().chain(advice).filter_map(|(label, text)| Some((label, text?)));
    let lines = labelled.map(|(label, text)| format!("{label:9}{text}"));
    lines.chain(step.detail().map(str::to_owned)).collect::<Vec<_>>().join("\n")
}
