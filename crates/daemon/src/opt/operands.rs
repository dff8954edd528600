//! Targets and ports, told apart when one stands in the place of the other.

use nsplice_backend::Target;

use crate::ports::{self, PortPair};

/// Reads a target. Ports in its place have probably changed it with the target.
pub(super) fn target(text: &str) -> Result<Target, String> {
    match text.parse::<PortPair>() {
        Ok(_) => Err(format!(
            "`{text}` is a port; the target comes before it, as in `docker/web {text}`"
        )),
        Err(_) => text.parse::<Target>().map_err(|error| error.to_string()),
    }
}

/// Reads a port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    ports::port(text).map_err(|error| misplaced(text, error.to_string()))
}

/// Reads a pair of ports.
pub(super) fn pair(text: &str) -> Result<PortPair, String> {
    text.parse().map_err(|error: ports::PortError| misplaced(text, error.to_string()))
}

/// Returns the message about a `text` that is no port, but for other reasons than `told` if it is a
/// target.
fn misplaced(text: &str, told: String) -> String {
    match text.parse::<Target>() {
        // A bare name may be meant for anything.
        Ok(target) if text.contains('/') => {
            format!("`{text}` is a target; it comes before the port, as in `{target} 8080`")
        }
        _ => told,
    }
}
