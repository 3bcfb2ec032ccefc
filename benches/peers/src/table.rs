//! Tables in Markdown.

use crate::measure::Cost;
use crate::peers::{ROWS, Row};
use crate::tokens::Issuer;

/// Returns costs in nanoseconds, with the ratio to the first row, and allocations. `costs` has a column for
/// each issuer.
pub(crate) fn costs(issuers: &[Issuer], costs: &[Vec<Option<Cost>>]) -> String {
    let mut head = vec!["nanoseconds a request".to_owned()];
    head.extend(issuers.iter().map(|issuer| issuer.alg().to_owned()));
    head.push("allocations".to_owned());

    let mut notes = Vec::new();
    let rows = ROWS.iter().enumerate().map(|(n, row)| {
        let mut cells = vec![name(row)];
        if !row.note.is_empty() {
            notes.push(row.note);
            cells[0] += &format!(" [{}]", notes.len());
        }
        cells.extend(costs.iter().map(|column| cost(column[n].as_ref(), column[0].as_ref())));
        cells.push(range(costs.iter().filter_map(|column| Some(column[n].as_ref()?.allocations))));
        cells
    });
    let table = markdown(&head, &rows.collect::<Vec<_>>());
    let notes = notes.iter().enumerate().map(|(n, note)| format!("{}. {note}\n", n + 1));
    format!("{table}\n{}", notes.collect::<String>())
}

/// Returns the name and version of a peer.
pub(crate) fn name(row: &Row) -> String {
    let name = format!("{} {}", row.package, version(row.package));
    match row.beside {
        "" => name,
        beside => format!("{name}, {beside}"),
    }
}

pub(crate) fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows = rows.iter().map(|cells| line(cells));
    [line(head), rule].into_iter().chain(rows).collect()
}

fn cost(cost: Option<&Cost>, first: Option<&Cost>) -> String {
    match (cost, first) {
        (Some(cost), Some(first)) => {
            let ratio = cost.nanoseconds / first.nanoseconds;
            format!("{} ({ratio:.2})", thousands(cost.nanoseconds.round() as u64))
        }
        _ => "-".to_owned(),
    }
}

fn thousands(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        _ => format!("{},{:03}", thousands(n / 1000), n % 1000),
    }
}

fn range(counts: impl Iterator<Item = u64> + Clone) -> String {
    match (counts.clone().min(), counts.max()) {
        (Some(min), Some(max)) if min < max => format!("{min}-{max}"),
        (Some(min), _) => min.to_string(),
        (None, _) => "-".to_owned(),
    }
}

/// Returns the version in `Cargo.lock`, or the newest if there are several.
fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.rsplit_once(&name).expect("Cargo.lock has all dependencies");
    rest.split('"').next().expect("the version ends with a quote")
}
