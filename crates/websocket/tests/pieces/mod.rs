//! Bytes that arrive in pieces.

use nsplice_websocket::ConnectionError;

/// Gives `bytes` to `read` in pieces of these lengths, over and over; in one if there are none. It says
/// whether there was an event; when there is none any more, nothing of the piece may be left.
pub(crate) fn read_in_pieces(
    bytes: &[u8],
    pieces: &[usize],
    mut read: impl FnMut(&mut &mut [u8]) -> Result<bool, ConnectionError>,
) -> Option<ConnectionError> {
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    let mut pieces = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let length = pieces.next().map_or(rest.len(), |piece| piece.clamp(1, rest.len()));
        let (mut piece, later) = rest.split_at_mut(length);
        rest = later;
        loop {
            match read(&mut piece) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Some(error),
            }
        }
        assert!(piece.is_empty(), "bytes were left");
    }
    None
}
