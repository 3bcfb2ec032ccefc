//! Descriptions for the metrics (feature `metrics`). The [crate docs](crate#logs-and-measurements) list their names.

pub use crate::observe::describe_metrics;
