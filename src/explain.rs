//! Explanations of why a token is accepted or rejected (feature `explain`).
