//! What requests and tasks share, where the order matters in which they come to it. It is `std`'s; the check of that order
//! (`tests/model`) has its own in this place.

pub(crate) use std::sync::*;
