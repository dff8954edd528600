//! What the system's loader brings in before the program does anything: on a node it is started for
//! each connection.

use crate::binary::{end_of, nsplice};

/// The libraries that the standard library needs, and those that the loader brings by itself.
const NEEDED: [&str; 4] = ["linux-vdso", "libc.so", "libgcc_s.so", "ld-linux"];

#[test]
fn no_library_is_loaded_that_a_start_does_not_need() {
    // ld.so(8): it prints what it would load, and starts nothing.
    let told = end_of(nsplice("--version").env("LD_TRACE_LOADED_OBJECTS", "1"));
    assert_eq!(told.code, 0);
    let is_needed = |line: &&str| NEEDED.iter().any(|library| line.contains(library));
    let others: Vec<_> = told.stdout.lines().filter(|line| !is_needed(line)).collect();
    assert!(others.is_empty(), "loaded at each start: {others:?}");
    assert!(told.stdout.contains("libc.so"), "the loader said nothing of use: {}", told.stdout);
}
