//! The nsplice binary.
fn main() {}
