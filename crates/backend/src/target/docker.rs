//! Looking up where a Docker container runs: `State.Running` and `State.Pid` of `GET
//! /containers/NAME/json`.
//!
//! The PID that Docker names may belong to another process by the time it is used, so the answer is
//! checked: the PID is turned into a pidfd, Docker is asked once more, and only if it names the
//! same PID was the pidfd opened for the container's process.
//!
//! Only Unix sockets are spoken to. A Docker on another machine would name PIDs of that machine.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use serde::Deserialize;

use nsplice_runtime::http::{get, HttpError, Response};
use nsplice_runtime::wire::WireError;
use nsplice_runtime::{shown, Process};
use nsplice_sys::describe;

use crate::error::BackendError;

/// The way to Docker: its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Docker {
    socket: PathBuf,
    timeout: Duration,
}

impl Docker {
    /// The Docker that `host` names (`unix:///PATH`), else the environment's `DOCKER_HOST`, else the
    /// one every installation has.
    pub(crate) fn of(host: Option<&str>) -> Result<Self, BackendError> {
        let environment = std::env::var_os("DOCKER_HOST").filter(|host| !host.is_empty());
        let socket = match host.map(OsString::from).or(environment) {
            None => PathBuf::from(DEFAULT_SOCKET),
            Some(host) => match host.as_bytes().strip_prefix(b"unix://") {
                Some(path) if path.starts_with(b"/") => PathBuf::from(OsStr::from_bytes(path)),
                _ => {
                    return Err(BackendError::Usage(format!(
                    "cannot reach Docker at `{}`: only unix:///PATH is supported, for a container \
                         of another machine has no namespace here",
                    host.display()
                )))
                }
            },
        };
        Ok(Self { socket, timeout: TIMEOUT })
    }

    /// The first process of the running container `name`.
    pub(crate) fn process(&self, name: &str) -> Result<Process, BackendError> {
        let mut running = self.inspect(name)?;
        for _ in 0..ATTEMPTS {
            let found = Process::find(running.pid);
            let now = self.inspect(name)?;
            match found {
                Ok(process) if now.pid == running.pid => return Ok(process),
                Ok(_) | Err(Errno::ESRCH) => running = now,
                Err(errno) => {
                    return Err(BackendError::Failed(format!(
                        "cannot open a pidfd of the process {} of docker/{name}: {}",
                        running.pid,
                        describe(&errno.into())
                    )))
                }
            }
        }
        Err(BackendError::NoSuchTarget(format!(
            "docker/{name}: Docker reports the process {}, which does not exist here; the container \
             keeps restarting, or runs on another machine",
            running.pid
        )))
    }

    fn inspect(&self, name: &str) -> Result<Running, BackendError> {
        let response = get(&self.socket, &format!("/containers/{name}/json"), self.timeout)
            .map_err(|error| self.unreachable(name, &error))?;
        match response.status {
            200 => running(name, &response),
            404 => {
                Err(BackendError::NoSuchTarget(format!("docker/{name}: no such container: {name}")))
            }
            status => Err(BackendError::Failed(format!(
                "Docker at {} cannot tell where docker/{name} is: status {status}{}",
                self.socket.display(),
                message_of(&response.body)
            ))),
        }
    }

    fn unreachable(&self, name: &str, error: &HttpError) -> BackendError {
        let told =
            format!("cannot ask Docker at {} about docker/{name}: {error}", self.socket.display());
        match error {
            HttpError::Wire(WireError::Connect(reason)) => {
                match reason.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EACCES | Errno::EPERM) => BackendError::Privilege(format!(
                        "{told}; only root and members of the socket's group may"
                    )),
                    _ => BackendError::Failed(format!(
                        "{told}; is dockerd running? DOCKER_HOST=unix:///PATH names another socket"
                    )),
                }
            }
            _ => BackendError::Failed(told),
        }
    }
}

/// A container that is running.
#[derive(Debug)]
struct Running {
    pid: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    state: State,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    pid: u32,
}

/// What Docker says when it cannot.
#[derive(Debug, Deserialize)]
struct Complaint {
    message: String,
}

fn running(name: &str, response: &Response) -> Result<Running, BackendError> {
    let container: Container = serde_json::from_slice(&response.body).map_err(|error| {
        BackendError::Failed(format!(
            "unexpected response from Docker about docker/{name}: {error}"
        ))
    })?;
    // While it restarts a container counts as running, without a process.
    if container.state.running && container.state.pid > 0 {
        Ok(Running { pid: container.state.pid })
    } else {
        Err(BackendError::NoSuchTarget(format!(
            "docker/{name}: container not running ({})",
            shown(&container.id)
        )))
    }
}

fn message_of(body: &[u8]) -> String {
    match serde_json::from_slice::<Complaint>(body) {
        Ok(complaint) => format!(": {}", shown(&complaint.message)),
        Err(_) => String::new(),
    }
}

/// Where dockerd listens unless told otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// A busy dockerd takes a second; one that takes longer is stuck.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A container that has another process each time it is looked at is in a restart loop.
const ATTEMPTS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_runtime::http::MAX_RESPONSE;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// A Docker that gives `answers` in turn, one per connection, and holds each connection open
    /// until the asker has gone.
    fn scripted(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, Docker) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    request.push(byte[0]);
                }
                assert!(request.starts_with(b"GET /containers/web/json HTTP/1.1\r\n"));
                // The asker may hang up in the middle of what is too long for it.
                let _ = stream.write_all(&answer);
                let _ = stream.read(&mut byte);
            }
        });
        (directory, Docker { socket, timeout: Duration::from_millis(300) })
    }

    fn ok(json: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{json}", json.len()).into_bytes()
    }

    fn state(running: bool, pid: u32) -> Vec<u8> {
        ok(&format!(
            r#"{{"Id":"abc123","State":{{"Running":{running},"Pid":{pid}}},"Name":"/web"}}"#
        ))
    }

    fn refusal(answers: Vec<Vec<u8>>) -> BackendError {
        let (_directory, docker) = scripted(answers);
        docker.process("web").unwrap_err()
    }

    #[test]
    fn the_process_is_found_and_asked_for_twice() {
        let ourselves = std::process::id();
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            format!(r#"{{"Id":"x","State":{{"Running":true,"Pid":{ourselves}}}}}"#).len(),
            format_args!(r#"{{"Id":"x","State":{{"Running":true,"Pid":{ourselves}}}}}"#),
        );
        let (_directory, docker) = scripted(vec![state(true, ourselves), chunked.into_bytes()]);
        assert_eq!(docker.process("web").unwrap().pid(), ourselves);
    }

    #[test]
    fn a_process_that_is_another_one_at_the_second_look_is_not_taken() {
        let (ourselves, init) = (std::process::id(), 1);
        let moved = vec![state(true, init), state(true, ourselves), state(true, ourselves)];
        let (_directory, docker) = scripted(moved);
        assert_eq!(docker.process("web").unwrap().pid(), ourselves);
        let stopped = vec![state(true, init), state(false, 0)];
        assert_eq!(
            refusal(stopped),
            BackendError::NoSuchTarget("docker/web: container not running (abc123)".into())
        );
        let nobody = i32::MAX.cast_unsigned();
        let told = refusal(vec![state(true, nobody); 4]).to_string();
        assert!(told.contains("docker/web") && told.contains("does not exist here"), "{told}");
    }

    #[test]
    fn a_container_that_is_not_there_or_not_running_is_no_target() {
        let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}".to_vec();
        let error = refusal(vec![missing]);
        assert_eq!(error, BackendError::NoSuchTarget("docker/web: no such container: web".into()));
        for answer in [state(false, 0), state(true, 0), state(false, 77)] {
            let error = refusal(vec![answer]);
            let words = "docker/web: container not running (abc123)";
            assert_eq!(error, BackendError::NoSuchTarget(words.into()));
        }
    }

    #[test]
    fn a_broken_docker_is_told_as_one_and_in_time() {
        let complaint = br#"HTTP/1.1 500 X
Content-Length: 22

{"message":"on fire"}
"#;
        let complaint = String::from_utf8_lossy(complaint).replace('\n', "\r\n").into_bytes();
        let table: [(Vec<u8>, &str); 7] = [
            (b"SSH-2.0-x\r\n\r\n".to_vec(), "not an HTTP response"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_vec(), "within 300 ms"),
            (Vec::new(), "within 300 ms"),
            (ok("nonsense"), "unexpected response from Docker"),
            (
                ok(r#"{"Id":"x","State":{"Running":true,"Pid":-5}}"#),
                "unexpected response from Docker",
            ),
            (vec![b'x'; MAX_RESPONSE + 1], "not an HTTP response"),
            (complaint, "status 500: on fire"),
        ];
        for (answer, words) in table {
            let error = refusal(vec![answer]);
            assert!(matches!(error, BackendError::Failed(_)), "{error:?}");
            let told = error.to_string();
            assert!(told.contains(words) && told.contains("docker/web"), "{words}: {told}");
        }
        let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let endless = [head, vec![b' '; MAX_RESPONSE + (1 << 20)]].concat();
        assert!(refusal(vec![endless]).to_string().contains("longer than"));
    }

    #[test]
    fn only_unix_sockets_are_hosts() {
        let docker = Docker::of(Some("unix:///run/d.sock")).unwrap();
        assert_eq!(docker.socket, PathBuf::from("/run/d.sock"));
        for host in ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://relative", "/var/run/x", ""] {
            let error = Docker::of(Some(host)).unwrap_err();
            assert!(matches!(error, BackendError::Usage(_)), "{host}: {error:?}");
        }
    }

    #[test]
    fn a_docker_that_is_not_there_says_which_socket() {
        let docker = Docker::of(Some("unix:///nonexistent/docker.sock")).unwrap();
        let told = docker.process("web").unwrap_err().to_string();
        assert!(
            told.contains("/nonexistent/docker.sock") && told.contains("DOCKER_HOST"),
            "{told}"
        );
    }
}
