//! Opaque tokens, checked by their provider (feature `introspection`).
