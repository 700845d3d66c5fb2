//! Losses as pure functions of tensors, one per file.
