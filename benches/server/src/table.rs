//! Tables in Markdown.

use crate::app::Route;
use crate::measure::{Column, Cost};

pub(crate) fn results(columns: &[Column]) -> String {
    let throughput = |cost: &Cost| format!("{} ({:.2})", thousands(cost.throughput), cost.ratio);
    let cpu_time = |cost: &Cost| cost.cpu_time.map_or("-".to_owned(), |time| format!("{time:.1}"));
    let throughput = table("requests a second", columns, throughput);
    format!("{throughput}\n{}", table("CPU time of the server, µs a request", columns, cpu_time))
}

/// Returns a table with a column for each algorithm.
fn table(head: &str, columns: &[Column], cell: impl Fn(&Cost) -> String) -> String {
    let algorithms = columns.iter().map(|column| column.algorithm.to_string());
    let rule = "---|".repeat(columns.len() + 1);
    let rows = Route::ALL
        .iter()
        .enumerate()
        .map(|(n, route)| line(&name(*route), columns.iter().map(|column| cell(&column.costs[n]))));
    format!("{}|{rule}\n{}", line(head, algorithms), rows.collect::<String>())
}

fn line(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

fn name(route: Route) -> String {
    match route {
        Route::Open => "no authentication".to_owned(),
        Route::EmptyLayer => "an empty layer".to_owned(),
        Route::Cached => "`JwtAuthLayer`".to_owned(),
        Route::Uncached => "`JwtAuthLayer`, without its cache".to_owned(),
        Route::FromFn => format!("`from_fn` and jsonwebtoken {}", version("jsonwebtoken")),
    }
}

/// Rounds to hundreds: the rest is noise.
fn thousands(requests: f64) -> String {
    let hundreds = (requests / 100.0).round() as u64;
    format!("{},{}00", hundreds / 10, hundreds % 10)
}

/// Returns the version in `Cargo.lock`.
fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&name).expect("Cargo.lock has all dependencies");
    rest.split('"').next().expect("the version ends with a quote")
}
