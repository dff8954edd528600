//! The JSON lines of `nsplice-load`, as a comparison: what it needs to be laid out like any other.
//!
//! Lines name subjects and say no more of them, so kinds follow from names: `direct` and `floor`
//! are the yardsticks, what begins with `nsplice` is ours, all else is a peer.

use std::fs;
use std::path::Path;

use super::digest::in_order;
use crate::load::failure::Failure;
use crate::load::report::Measurement;
use crate::model::{Comparison, Machine, StageFacts, SubjectFacts, SubjectKind, SCHEMA};

/// Reads measurements from `path`, a line of JSON each.
///
/// # Errors
/// When the file cannot be read, or a line in it is not a measurement.
pub fn read(path: &Path) -> Result<Comparison, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::system(format!("read {}", path.display()), error))?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        all.push(serde_json::from_str(line).map_err(|error| {
            Failure::Usage(format!(
                "{} line {} is not a measurement: {error}",
                path.display(),
                number + 1
            ))
        })?);
    }
    Ok(comparison(all))
}

/// A comparison that knows nothing but its measurements.
pub fn comparison(measurements: Vec<Measurement>) -> Comparison {
    let subjects = in_order(measurements.iter().map(|m| m.subject.as_str()))
        .into_iter()
        .map(|name| SubjectFacts {
            name: name.to_owned(),
            kind: match name {
                "direct" => SubjectKind::Direct,
                "floor" => SubjectKind::Floor,
                ours if ours.starts_with("nsplice") => SubjectKind::Backend,
                _ => SubjectKind::Peer,
            },
            command: String::new(),
            missing: None,
        })
        .collect();
    Comparison {
        schema: SCHEMA.to_owned(),
        version: String::new(),
        started: String::new(),
        seconds: 0.0,
        machine: Machine::default(),
        stage: StageFacts::default(),
        subjects,
        behaviours: Vec::new(),
        measurements,
        warnings: Vec::new(),
        change: None,
    }
}
