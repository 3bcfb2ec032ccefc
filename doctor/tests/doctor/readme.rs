//! The README names only commands and options that exist.

use crate::support::doctor;

const README: &str = include_str!("../../README.md");

#[test]
fn options_in_readme_exist() {
    let mut count = 0;
    for section in README.split("\n## ").skip(1) {
        let Some((_, code)) = section.split_once("jwt-doctor ") else { continue };
        let command = code.split_whitespace().next().unwrap();
        let help = doctor(&[command, "--help"]).stdout;
        let words = section.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
        for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            let mut known = help.clone();
            known.push_str(&doctor(&["explain", "--help"]).stdout);
            assert!(known.contains(option), "{command} {option}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}
