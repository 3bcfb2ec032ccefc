//! Descriptions for the metrics (feature `metrics`), which the guide lists under observability.

pub use crate::observe::describe_metrics;
