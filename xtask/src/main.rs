//! `cargo xtask`: sets the machine up, then runs panal, its tests and its benches.
fn main() {}
