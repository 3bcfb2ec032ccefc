//! Pages of the guide that must follow the code.

const FAQ: &str = include_str!("../../src/guide/faq.md");
const KINDS: &str = include_str!("../../src/kind.rs");

/// The names in `AuthErrorKind::name`, in its order. Outside the crate the enum is non-exhaustive, so the source is
/// the only complete list.
fn kinds() -> Vec<&'static str> {
    let (_, name) = KINDS.split_once("fn name(").unwrap();
    let (name, _) = name.split_once("fn description(").unwrap();
    name.lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .filter_map(|(_, name)| name.strip_suffix("\","))
        .collect()
}

#[test]
fn faq_explains_every_error_kind() {
    let heading = |line: &'static str| line.strip_prefix("## `")?.strip_suffix('`');
    let headings: Vec<_> = FAQ.lines().filter_map(heading).collect();
    assert!(!headings.is_empty());
    assert_eq!(headings, kinds());
}

#[test]
fn faq_quotes_the_text_for_clients() {
    let (_, descriptions) = KINDS.split_once("fn description(").unwrap();
    let (descriptions, _) = descriptions.split_once("impl Display").unwrap();
    let quoted: Vec<_> = FAQ.lines().filter_map(|line| line.strip_prefix("The text for clients: ")).collect();
    let texts: Vec<_> =
        descriptions.split('"').skip(1).step_by(2).map(|text| format!("\"{text}\".")).collect();
    assert_eq!(quoted, texts);
}
