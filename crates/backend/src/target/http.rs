//! One HTTP GET over a Unix socket: as much HTTP as it takes to ask Docker one question.
//!
//! A connection per question, bounded in time as a whole and in size. [`parse`] looks at the bytes
//! received so far and is pure; the rest is one loop around it.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

/// An inspected container is some tens of kilobytes.
pub(crate) const MAX_RESPONSE: usize = 4 << 20;

/// The headers of an answer from Docker are a few hundred bytes.
const MAX_HEAD: usize = 16 << 10;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nobody listens there, or we may not connect.
    #[error("{}", nsplice_sys::describe(.0))]
    Connect(io::Error),
    /// The connection failed later.
    #[error("the connection failed: {}", nsplice_sys::describe(.0))]
    Io(io::Error),
    /// The time was over first.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The answer is longer than an answer can be.
    #[error("the answer is longer than {} bytes", MAX_RESPONSE)]
    TooLong,
    /// The connection ended in the middle of the answer.
    #[error("the answer broke off")]
    Cut,
    /// This is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Malformed(&'static str),
}

/// Asks for `path` (of plain characters) at the Unix socket `socket`.
pub(crate) fn get(socket: &Path, path: &str, within: Duration) -> Result<Response, HttpError> {
    let deadline = Instant::now() + within;
    let mut stream = connect(socket, within)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: docker\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|error| timed(error, within))?;
    let mut received = Vec::new();
    let mut block = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::TimedOut(within));
        }
        stream.set_read_timeout(Some(left)).map_err(HttpError::Io)?;
        let count = match stream.read(&mut block) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(timed(error, within)),
        };
        received.extend_from_slice(block.get(..count).unwrap_or_default());
        if let Some(response) = parse(&received, count == 0)? {
            return Ok(response);
        }
        if received.len() > MAX_RESPONSE {
            return Err(HttpError::TooLong);
        }
    }
}

/// Connects, but does not wait for ever for a place in the backlog: on a Unix socket connect(2)
/// honours the send timeout.
fn connect(socket: &Path, within: Duration) -> Result<Socket, HttpError> {
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(HttpError::Connect)?;
    stream.set_write_timeout(Some(within)).map_err(HttpError::Connect)?;
    let address = SockAddr::unix(socket).map_err(HttpError::Connect)?;
    stream.connect(&address).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => HttpError::TimedOut(within),
        _ => HttpError::Connect(error),
    })?;
    Ok(stream)
}

fn timed(error: io::Error, within: Duration) -> HttpError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => HttpError::TimedOut(within),
        _ => HttpError::Io(error),
    }
}

/// Reads the answer out of what was received; `None` if there must be more. `ended` says that no
/// more will come.
fn parse(received: &[u8], ended: bool) -> Result<Option<Response>, HttpError> {
    let Some(length) = find(received, b"\r\n\r\n") else {
        return match (ended, received.len() > MAX_HEAD) {
            (_, true) => Err(HttpError::Malformed("its headers do not end")),
            (true, _) => Err(HttpError::Cut),
            (false, false) => Ok(None),
        };
    };
    let (head, rest) = received.split_at(length);
    let body = rest.get(4..).unwrap_or_default();
    let head =
        std::str::from_utf8(head).map_err(|_| HttpError::Malformed("its headers are not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(status_of);
    let status = status.ok_or(HttpError::Malformed("it does not begin with a status"))?;
    let (chunked, length) = framing(lines)?;
    let body = match (chunked, length) {
        (true, _) => dechunk(body)?,
        (false, Some(length)) => body.get(..length).map(<[u8]>::to_vec),
        (false, None) => ended.then(|| body.to_vec()),
    };
    match body {
        Some(body) => Ok(Some(Response { status, body })),
        None if ended => Err(HttpError::Cut),
        None => Ok(None),
    }
}

/// `HTTP/1.1 200 OK`.
fn status_of(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

/// How the end of the body is found: whether it is chunked, and its length if that is told.
fn framing<'a>(headers: impl Iterator<Item = &'a str>) -> Result<(bool, Option<usize>), HttpError> {
    let (mut chunked, mut length) = (false, None);
    for header in headers {
        let (name, value) = header
            .split_once(':')
            .ok_or(HttpError::Malformed("it has a header without a colon"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("content-length") {
            let told =
                value.parse().map_err(|_| HttpError::Malformed("its length is no number"))?;
            if told > MAX_RESPONSE {
                return Err(HttpError::TooLong);
            }
            length = Some(told);
        }
    }
    Ok((chunked, length))
}

/// Joins the chunks; `None` if the last one is not there yet.
fn dechunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            return match rest.len() > LONGEST_CHUNK_LINE {
                true => Err(HttpError::Malformed("it has a chunk without a size")),
                false => Ok(None),
            };
        };
        let (line, after) = rest.split_at(end);
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size)
            .ok()
            .filter(|digits| digits.trim().bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok())
            .ok_or(HttpError::Malformed("it has a chunk without a size"))?;
        if size == 0 {
            return Ok(Some(body));
        }
        if size > MAX_RESPONSE {
            return Err(HttpError::TooLong);
        }
        let after = after.get(2..).unwrap_or_default();
        let (Some(chunk), Some(closing)) = (after.get(..size), after.get(size..size + 2)) else {
            return Ok(None);
        };
        if closing != b"\r\n" {
            return Err(HttpError::Malformed("it has a chunk that does not end where it says"));
        }
        body.extend_from_slice(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A size in hexadecimal and perhaps an extension.
const LONGEST_CHUNK_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(received: &str, ended: bool) -> Option<String> {
        let response = parse(received.as_bytes(), ended).unwrap()?;
        Some(String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn every_framing_gives_the_body_and_only_when_it_is_whole() {
        let table = [
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
            "HTTP/1.1 200 OK\r\ncontent-length:11\r\nX: y:z\r\n\r\nhello world",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n",
        ];
        for whole in table {
            assert_eq!(body(whole, false).as_deref(), Some("hello world"), "{whole}");
            let last_needed = whole.rfind("\r\n\r\n").filter(|at| *at > 100).unwrap_or(whole.len());
            for cut in 0..last_needed - 3 {
                assert_eq!(body(&whole[..cut], false), None, "{}", &whole[..cut]);
                let ended = parse(&whole.as_bytes()[..cut], true);
                assert!(matches!(ended, Err(HttpError::Cut)), "{}: {ended:?}", &whole[..cut]);
            }
        }
        let until_end = "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno";
        assert_eq!(body(until_end, false), None);
        let response = parse(until_end.as_bytes(), true).unwrap().unwrap();
        assert_eq!(response, Response { status: 404, body: b"no".to_vec() });
    }

    #[test]
    fn what_is_not_http_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        let table = [
            "220 ftp ready\r\n\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            &long,
        ];
        for received in table {
            let refused = parse(received.as_bytes(), false);
            assert!(matches!(refused, Err(HttpError::Malformed(_))), "{received}: {refused:?}");
        }
        let huge = ["Content-Length: 99999999", "Transfer-Encoding: chunked\r\n\r\nfffffff"];
        for framing in huge {
            let received = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let refused = parse(received.as_bytes(), false);
            assert!(matches!(refused, Err(HttpError::TooLong)), "{refused:?}");
        }
    }
}
