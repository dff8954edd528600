//! A request: what it asks for, and whether it is one that is answered at all.

use crate::answer::Refusal;
use crate::api::{Api, Form};
use crate::head::Head;
use crate::path::Path;
use crate::pods::PodName;

/// The subprotocol that connections are forwarded by.
pub(crate) const PROTOCOL: &str = "portforward.k8s.io";

/// What carries it.
pub(crate) const SPDY: &str = "SPDY/3.1";

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// To forward ports of a pod, over SPDY.
    Forward(PodName),
    /// A pod.
    Pod(PodName, Form),
    /// The pods of a namespace, or of all.
    Pods(Option<String>, Form),
    /// A document that is always the same.
    Document(Path),
}

impl Request {
    /// Reads a head.
    pub(crate) fn read(head: &Head, api: Api) -> Result<Self, Refusal> {
        // Browsers send it with whatever a page may do to another site that changes something there,
        // and with each WebSocket; programs do not.
        if head.values("origin").next().is_some() {
            return Err(Refusal::forbidden(
                "requests of web pages (with an Origin) are not answered",
            ));
        }
        if head.has_body() {
            return Err(Refusal::bad_request("a request with a body is not answered"));
        }
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let path = Path::read(path).map_err(|error| Refusal::bad_request(error.to_string()))?;
        if let Path::Ports(name) = path {
            return forward(head).map(|()| Self::Forward(name));
        }
        if api == Api::Off || path == Path::Other {
            return Err(Refusal::no_path());
        }
        if head.method != "GET" {
            return Err(Refusal::method(&head.method, "GET"));
        }
        if query.split('&').any(|one| matches!(one, "watch=1" | "watch=true")) {
            return Err(Refusal::watch());
        }
        let wants_table =
            head.words("accept").any(|one| one.split(';').any(|it| it.trim() == "as=Table"));
        let form = if wants_table { Form::Table } else { Form::Objects };
        Ok(match path {
            Path::Pod(name) => Self::Pod(name, form),
            Path::Pods(namespace) => Self::Pods(namespace, form),
            other => Self::Document(other),
        })
    }
}

/// Checks that a request asks for an upgrade that is done.
fn forward(head: &Head) -> Result<(), Refusal> {
    if !matches!(head.method.as_str(), "GET" | "POST") {
        return Err(Refusal::method(&head.method, "GET, POST"));
    }
    if !head.has("connection", "upgrade") || !head.has("upgrade", SPDY) {
        let message =
            format!("ports are forwarded over {SPDY}: unable to upgrade: missing upgrade headers");
        return Err(Refusal::bad_request(message));
    }
    let mut spoken = head.words("x-stream-protocol-version").peekable();
    if spoken.peek().is_none() {
        let message = "unable to upgrade: X-Stream-Protocol-Version is missing";
        return Err(Refusal::bad_request(message));
    }
    if !spoken.any(|word| word == PROTOCOL) {
        let message = format!("unable to upgrade: the client does not speak {PROTOCOL}");
        return Err(Refusal::no_protocol(PROTOCOL, message));
    }
    Ok(())
}

/// The answer that upgrades a connection.
pub(crate) fn switching() -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {SPDY}\r\n\
         X-Stream-Protocol-Version: {PROTOCOL}\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Received;

    fn read(lines: &str, api: Api) -> Result<Request, u16> {
        let mut received = Received::default();
        received.push(format!("{}\r\n\r\n", lines.replace('\n', "\r\n")).as_bytes());
        Request::read(&received.head().unwrap().unwrap(), api).map_err(|refusal| refusal.code)
    }

    fn web() -> PodName {
        PodName { namespace: "a".into(), name: "web".into(), uid: None }
    }

    #[test]
    fn an_upgrade_is_asked_for_by_either_method_however_it_is_written() {
        for lines in [
            "POST /portForward/a/web HTTP/1.1\nConnection: Upgrade\nUpgrade: SPDY/3.1\nContent-Length: 0\n\
             X-Stream-Protocol-Version: portforward.k8s.io",
            "GET /api/v1/namespaces/a/pods/web/portforward?x=y HTTP/1.1\nconnection: keep-alive, upgrade\n\
             upgrade: spdy/3.1\nx-stream-protocol-version: v9\nX-STREAM-PROTOCOL-VERSION: v8, portforward.k8s.io",
        ] {
            assert_eq!(read(lines, Api::Off), Ok(Request::Forward(web())), "{lines}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_upgrade_is_told() {
        let upgrade =
            "Connection: Upgrade\nUpgrade: SPDY/3.1\nX-Stream-Protocol-Version: portforward.k8s.io";
        for (lines, code) in [
            ("GET /portForward/a/web HTTP/1.1\nHost: a".to_owned(), 400),
            (format!("PUT /portForward/a/web HTTP/1.1\n{upgrade}"), 405),
            (format!("POST /portForward/a/web HTTP/1.1\n{upgrade}\nOrigin: http://a"), 403),
            (format!("POST /portForward/a/web HTTP/1.1\n{upgrade}\nContent-Length: 3"), 400),
            (format!("POST /portForward/a/%2e%2e HTTP/1.1\n{upgrade}"), 400),
            (format!("POST /exec/a/web HTTP/1.1\n{upgrade}"), 404),
            (
                "POST /portForward/a/web HTTP/1.1\nConnection: Upgrade\nUpgrade: SPDY/3.1"
                    .to_owned(),
                400,
            ),
            (
                "POST /portForward/a/web HTTP/1.1\nConnection: Upgrade\nUpgrade: SPDY/3.1\n\
                 X-Stream-Protocol-Version: v9"
                    .to_owned(),
                403,
            ),
        ] {
            assert_eq!(read(&lines, Api::Off), Err(code), "{lines}");
        }
    }

    #[test]
    fn the_api_is_there_if_it_is_on_and_read_only() {
        let table = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let list = format!("GET /api/v1/namespaces/a/pods?limit=500 HTTP/1.1\n{table}");
        assert_eq!(read(&list, Api::On), Ok(Request::Pods(Some("a".into()), Form::Table)));
        assert_eq!(read(&list, Api::Off), Err(404));
        let pod = "GET /api/v1/namespaces/a/pods/web HTTP/1.1\nAccept: application/json";
        assert_eq!(read(pod, Api::On), Ok(Request::Pod(web(), Form::Objects)));
        for (lines, code) in [
            ("DELETE /api/v1/namespaces/a/pods/web HTTP/1.1\nHost: a", 405),
            ("GET /api/v1/pods?watch=true HTTP/1.1\nHost: a", 405),
            ("GET /api/v1/services HTTP/1.1\nHost: a", 404),
        ] {
            assert_eq!(read(lines, Api::On), Err(code), "{lines}");
        }
    }
}
