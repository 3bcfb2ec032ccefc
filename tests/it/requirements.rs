//! The table of requirements in `requirements.md`, which must name existing tests.

use crate::threats::test_exists;

const PAGE: &str = include_str!("requirements.md");

#[test]
fn requirements_name_existing_tests() {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let rows: Vec<_> = rows.filter(|row| !row.starts_with("Requirement ")).collect();
    assert!(rows.len() > 50, "only {} rows", rows.len());
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [requirement, who, test] = cells[..] else { panic!("three cells: {row}") };
        assert_eq!(requirement.is_empty(), who.is_empty(), "{row}");
        assert!(matches!(who, "RS" | "C" | "AS" | ""), "{row}");
        match test.strip_prefix('`').and_then(|test| test.strip_suffix('`')) {
            Some(test) => assert!(test_exists(test), "{test} is not there"),
            None => assert!(test.is_empty() && who == "C", "no test: {row}"),
        }
    }
}
