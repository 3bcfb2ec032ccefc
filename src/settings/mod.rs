//! Settings from the environment or a file (feature `settings`).
