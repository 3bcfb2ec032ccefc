//! Lookups of credentials elsewhere, with a cache and limits.
