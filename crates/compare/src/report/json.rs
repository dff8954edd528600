//! A comparison as a file, and back.
//!
//! The name of the schema is looked at before anything else. A file of a later schema is refused by
//! that name, instead of by whatever field happens to be missing; a file of this schema with fields
//! that were added later is read, and those fields are passed over.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use crate::model::{Comparison, SCHEMA};

/// An error that keeps a comparison from being written or read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The file cannot be read at all.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is JSON or something else in it, but no comparison.
    #[error(
        "{} is not a comparison: {source}. A comparison is what `nsplice compare --output json` prints", path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The place at which it is not one.
        source: serde_json::Error,
    },
    /// It is a comparison of another shape.
    #[error(
        "{} has the schema {found:?}, and this version of nsplice knows only {SCHEMA:?}. Measure again with this \
         version, or read it with the nsplice that wrote it", path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The name of its schema.
        found: String,
    },
    /// A number in it has no JSON.
    #[error("cannot write the comparison as JSON: {0}")]
    Write(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Named {
    schema: String,
}

/// Reads the comparison in `path`.
///
/// # Errors
/// When there is no such file, no comparison in it, or one of another schema.
pub fn read(path: &Path) -> Result<Comparison, JsonError> {
    let text = fs::read_to_string(path)
        .map_err(|source| JsonError::Read { path: path.to_owned(), source })?;
    let shape = |source| JsonError::Shape { path: path.to_owned(), source };
    let Named { schema: found } = serde_json::from_str(&text).map_err(shape)?;
    if found != SCHEMA {
        return Err(JsonError::Schema { path: path.to_owned(), found });
    }
    serde_json::from_str(&text).map_err(shape)
}

/// The text of `comparison`, indented, with a line end.
///
/// # Errors
/// When the comparison cannot be JSON, which no measured one is known to do.
pub fn text(comparison: &Comparison) -> Result<String, JsonError> {
    Ok(serde_json::to_string_pretty(comparison)? + "\n")
}
