//! Holds the dependencies of the cases.
