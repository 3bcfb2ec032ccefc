//! Descriptions for the metrics (feature `metrics`), whose names are in [the crate's documentation](crate#logs-and-measurements).

pub use crate::observe::describe_metrics;
