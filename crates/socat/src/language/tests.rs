//! Tests of the whole language. What is expected here is what socat 1.7.4.4 was seen to answer.

mod address;
mod flags;
mod property;
mod real;
mod value;

use std::ffi::OsString;

use super::{read, Address, CommandLine, Errand, Spec};
use crate::fault::Fault;

/// Reads a command line that is to be refused or run.
fn command_line(words: &[&str]) -> Result<CommandLine, Fault> {
    let words: Vec<_> = words.iter().map(OsString::from).collect();
    match read(&words)? {
        Errand::Carry(line) => Ok(*line),
        other => panic!("{other:?}"),
    }
}

/// Reads an address.
fn spec(text: &str) -> Result<Spec, Fault> {
    Spec::read(text.as_bytes(), false)
}

/// Reads an address that is right and not split.
fn one(text: &str) -> Address {
    match spec(text) {
        Ok(Spec::One(address)) => address,
        other => panic!("{text}: {other:?}"),
    }
}

/// Reads an address that is wrong.
fn refusal(text: &str) -> String {
    match spec(text) {
        Ok(spec) => panic!("{text}: {spec:?}"),
        Err(fault) => {
            assert_eq!(fault.status, 1, "{text}");
            fault.message
        }
    }
}
