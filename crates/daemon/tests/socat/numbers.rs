//! The numbers under which a program finds its input and output.

use crate::subject::Subject;

/// Well beyond those that the process itself uses, and the pipe that brings a failed start home.
const NUMBERS: std::ops::Range<i32> = 3..40;

/// Whatever number the pipe gets that brings home why a program could not be started, the program's
/// descriptors do not take its place.
#[test]
fn a_failed_start_is_told_by_any_number() {
    let socat = Subject::called("socat");
    for number in NUMBERS {
        let line = format!("- EXEC:/nosuch/program,fdin={number},fdout={}", number + 1);
        let output = socat.command(&line).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let expected =
            "E execvp(\"/nosuch/program\", \"/nosuch/program\"): No such file or directory";
        assert!(told.trim_end().ends_with(expected), "{line}: {told}");
        assert_eq!(output.status.code(), Some(1), "{line}");
    }
}
