//! The C library's words for errors.

use std::io;

/// The system's words for an error (strerror(3), which people search for), without the number that
/// [`io::Error`] appends.
pub fn describe(error: &io::Error) -> String {
    let words = error.to_string();
    match words.rfind(" (os error ") {
        Some(end) if error.raw_os_error().is_some() => words[..end].to_owned(),
        _ => words,
    }
}
