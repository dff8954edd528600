//! Answers of HTTP, and refusals in the form that clients of Kubernetes print: a `Status`.

use std::fmt::Write;

use serde_json::{json, Value};

use crate::pods::{NoPod, PodName};

/// A refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    /// The word that programs know it by (Kubernetes' `metav1.StatusReason`).
    reason: &'static str,
    pub(crate) message: String,
    /// The name of the pod that it is about.
    pod: Option<String>,
    /// A header that it has besides the usual ones.
    header: Option<(&'static str, &'static str)>,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), pod: None, header: None }
    }

    /// 400: the request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 403: the request makes sense, and is not done.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 403: none of the protocols that the client speaks is spoken here, but this one.
    pub(crate) fn no_protocol(spoken: &'static str, message: impl Into<String>) -> Self {
        let header = Some(("X-Accepted-Stream-Protocol-Versions", spoken));
        Self { header, ..Self::forbidden(message) }
    }

    /// 404: there is nothing under this path.
    pub(crate) fn no_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 405: this is not done to what the path names.
    pub(crate) fn method(method: &str, allowed: &'static str) -> Self {
        let message = format!("{method} is not allowed here; {allowed} is");
        let header = Some(("Allow", allowed));
        Self { header, ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// 405: what a path names cannot be watched.
    pub(crate) fn watch() -> Self {
        let message = "this server does not watch pods; ask again without --watch";
        Self::new(405, "MethodNotAllowed", message)
    }

    /// 408: the request was not whole in time.
    pub(crate) fn slow() -> Self {
        Self::new(408, "Timeout", "the head of the request did not come in time")
    }

    /// 409: the pod does not run.
    pub(crate) fn not_running(name: &PodName) -> Self {
        let message = format!("pod {name} is not running");
        Self { pod: Some(name.name.clone()), ..Self::new(409, "Conflict", message) }
    }

    /// 431: the head is too long.
    pub(crate) fn too_long(message: impl Into<String>) -> Self {
        Self::new(431, "BadRequest", message)
    }

    /// 504: nobody says where the pod is.
    pub(crate) fn no_answer() -> Self {
        Self::new(504, "Timeout", "the container runtimes did not answer in time")
    }

    /// 404 or 500: there is no such pod, or nobody can tell.
    pub(crate) fn of(name: Option<&PodName>, why: &NoPod) -> Self {
        let pod = name.map(|name| name.name.clone());
        match why {
            NoPod::Unknown(told) => {
                let found = pod.as_ref().map_or_else(
                    || "not found".to_owned(),
                    |name| format!("pods \"{name}\" not found"),
                );
                let message = if told.is_empty() { found } else { format!("{found}: {told}") };
                Self { pod, ..Self::new(404, "NotFound", message) }
            }
            NoPod::Failed(told) => Self { pod, ..Self::new(500, "InternalError", told.as_str()) },
        }
    }

    /// The answer.
    pub(crate) fn answer(&self, connection: Connection) -> Vec<u8> {
        let details = self
            .pod
            .as_ref()
            .map_or_else(|| json!({}), |name| json!({"name": name, "kind": "pods"}));
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": details, "code": self.code,
        });
        whole(self.code, self.header, &status, connection)
    }
}

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Another request may come.
    Kept,
    /// It is closed.
    Closed,
}

/// The answer 200 with a document.
pub(crate) fn document(document: &Value, connection: Connection) -> Vec<u8> {
    whole(200, None, document, connection)
}

fn whole(
    code: u16,
    header: Option<(&str, &str)>,
    document: &Value,
    connection: Connection,
) -> Vec<u8> {
    let body = document.to_string();
    let mut head = format!(
        "HTTP/1.1 {code} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
        phrase(code),
        body.len()
    );
    // Writing to a String cannot fail.
    if let Some((name, value)) = header {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if connection == Connection::Closed {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head.push_str(&body);
    head.into_bytes()
}

fn phrase(code: u16) -> &'static str {
    match code {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        431 => "Request Header Fields Too Large",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}
