//! Descriptions for the metrics (feature `metrics`). The guide lists them under observability.

pub use crate::observe::describe_metrics;
