//! Each example in this package has one mistake. Its `.stderr` holds the first lines of the compiler's
//! errors, which must tell the user what to write instead. `RENEW=1` rewrites these files; review the diff.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

#[test]
fn mistakes_are_explained() {
    let errors = errors_by_example();
    let renew = env::var_os("RENEW").is_some();
    let mut differences = Vec::new();
    for entry in fs::read_dir("examples").unwrap() {
        let case = entry.unwrap().path();
        if case.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let stderr = case.with_extension("stderr");
        let expected = fs::read_to_string(&stderr).unwrap_or_default();
        match errors.get(case.file_stem().unwrap().to_str().unwrap()) {
            None => differences.push(format!("{}: compiles", case.display())),
            Some(actual) if renew => fs::write(&stderr, actual).unwrap(),
            Some(actual) if *actual == expected => {}
            Some(actual) => {
                differences.push(format!("{}:\n{expected}\n-- is now:\n{actual}", stderr.display()))
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

fn errors_by_example() -> BTreeMap<String, String> {
    let output = Command::new(env::var_os("CARGO").unwrap())
        .args(["build", "--examples", "--keep-going", "--message-format=json", "--offline", "--locked"])
        // This test's own target directory, so that the dependencies are built once.
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap())
        .output()
        .unwrap();
    let mut errors = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (target, message) = (&line["target"], &line["message"]);
        // The last error of a target has no location: it only counts the others.
        let has_place = message["spans"].as_array().is_some_and(|spans| !spans.is_empty());
        if target["kind"][0] == "example" && message["level"] == "error" && has_place {
            let errors = errors.entry(target["name"].as_str().unwrap().to_owned()).or_default();
            errors.push(first_lines(message["rendered"].as_str().unwrap()));
        }
    }
    assert!(!errors.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    errors.into_iter().map(|(example, errors)| (example, errors.join("\n"))).collect()
}

/// Returns the error itself, the notes without a location, and the library's comments on its bounds. The
/// rest shows locations in the library and lists of other types, and changes with them.
fn first_lines(rendered: &str) -> String {
    let (mut error, mut comments) = (Vec::new(), Vec::new());
    let mut in_error = true;
    for line in rendered.lines() {
        let text = line.trim_start();
        in_error &= !["note:", "help:"].iter().any(|part| line.starts_with(part));
        in_error &= !text.starts_with("= help: the following other types");
        if let Some(note) = text.strip_prefix("= note: ") {
            let is_about_printing = ["the full name for the type", "consider using `--verbose`"]
                .iter()
                .any(|part| note.starts_with(part));
            error.extend((!is_about_printing).then_some(line));
        } else if in_error && !text.is_empty() {
            error.push(line);
        } else if let Some((_, comment)) = line.split_once(", // ") {
            comments.push(format!("// {comment}\n"));
        }
    }
    error.pop_if(|line| line.trim() == "|");
    // The margin depends on line numbers in the library.
    let margin = |line: &str| line.len() - line.trim_start().len();
    let wider = error[1..].iter().map(|line| margin(line)).min().unwrap_or(0);
    error.iter().map(|line| format!("{}\n", &line[wider.min(margin(line))..])).chain(comments).collect()
}
