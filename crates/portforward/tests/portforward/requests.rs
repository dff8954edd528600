//! Requests: what is answered, and with which words.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use nsplice_relay::{Clock, SessionLimits};
use nsplice_testkit::connect;

use crate::client::{answer, ask, Client, UPGRADE};
use crate::stage::Stage;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

#[test]
fn one_connection_answers_what_kubectl_asks_and_forwards_then() {
    let stage = Stage::new();
    let socket = connect(stage.address);
    for (path, words) in [
        ("/api", "\"versions\":[\"v1\"]"),
        ("/apis", "\"APIGroupList\""),
        ("/api/v1", "\"portforward\""),
        ("/api/v1/namespaces/default/pods/web", "\"phase\":\"Running\""),
        ("/api/v1/namespaces/default/pods", "\"PodList\""),
        ("/api/v1/pods?limit=500", "\"name\":\"done\""),
        ("/version", "\"major\":\"1\""),
    ] {
        let words = words.replace("\"portforward\"", "pods/portforward");
        let (first, rest) = ask(&socket, &get(path));
        assert_eq!(first, "HTTP/1.1 200 OK", "{path}");
        assert!(rest.contains(&words), "{path}: {rest}");
    }
    let (first, rest) = ask(&socket, UPGRADE);
    assert_eq!(first, "HTTP/1.1 101 Switching Protocols", "{rest}");
    stage.close();
}

#[test]
fn the_kubelets_path_is_upgraded_as_well() {
    let stage = Stage::new();
    let kubelets = UPGRADE.replace(
        "/api/v1/namespaces/default/pods/web/portforward",
        "/portForward/default/web/0f-1",
    );
    for request in [kubelets.replace("POST", "GET"), kubelets] {
        let (first, rest) = ask(&connect(stage.address), &request);
        assert_eq!(first, "HTTP/1.1 101 Switching Protocols", "{rest}");
    }
    stage.close();
}

#[test]
fn what_is_wrong_is_told_in_a_status() {
    let stage = Stage::new();
    for (request, first, words) in [
        (UPGRADE.replace("pods/web/", "pods/wbe/"), "404 Not Found", "pods \\\"wbe\\\" not found"),
        (UPGRADE.replace("pods/web/", "pods/done/"), "409 Conflict", "default/done is not running"),
        (UPGRADE.replace("/portforward", "/exec"), "404 Not Found", "could not find"),
        (UPGRADE.replace("POST", "PUT"), "405 Method Not Allowed", "GET, POST"),
        (UPGRADE.replace("Host: test", "Origin: http://evil"), "403 Forbidden", "web pages"),
        (UPGRADE.replace("SPDY/3.1", "websocket"), "400 Bad Request", "missing upgrade headers"),
        (UPGRADE.replace("portforward.k8s.io", "v9"), "403 Forbidden", "portforward.k8s.io"),
        (UPGRADE.replace("Length: 0", "Length: 5"), "400 Bad Request", "with a body"),
        (get("/api/v1/namespaces/%2e%2e/pods"), "400 Bad Request", "not the name"),
        ("nonsense\r\n\r\n".to_owned(), "400 Bad Request", "not a request"),
    ] {
        let (line, rest) = ask(&connect(stage.address), &request);
        assert_eq!(line, format!("HTTP/1.1 {first}"), "{request}: {rest}");
        assert!(rest.contains(words) && rest.contains("\"kind\":\"Status\""), "{request}: {rest}");
    }
    stage.close();
}

#[test]
fn a_head_may_come_byte_by_byte_and_what_follows_it_is_not_lost() {
    let stage = Stage::new();
    let mut socket = connect(stage.address);
    for byte in UPGRADE.as_bytes() {
        socket.write_all(&[*byte]).unwrap();
    }
    let (first, _) = answer(&socket);
    assert_eq!(first, "HTTP/1.1 101 Switching Protocols");
    // A ping in the same piece as the head.
    let mut spdy = nsplice_spdy::Connection::client(nsplice_spdy::Limits::default());
    spdy.ping();
    let together = [UPGRADE.as_bytes(), spdy.output()].concat();
    let mut socket = connect(stage.address);
    socket.write_all(&together).unwrap();
    answer(&socket);
    let mut pong = [0; 12];
    socket.read_exact(&mut pong).unwrap();
    assert_eq!(pong, spdy.output().as_slice());
    stage.close();
}

#[test]
fn a_slow_head_is_given_up_and_so_is_a_client_that_asks_nothing() {
    let stage = Stage::with(SessionLimits::default(), Clock::movable());
    let (slow, silent) = (connect(stage.address), connect(stage.address));
    (&slow).write_all(b"GET /api HTTP/1.1\r\n").unwrap();
    nsplice_testkit::wait_until("both sessions", || stage.sessions() == 2);
    stage.advance(Duration::from_secs(11));
    assert_eq!(answer(&slow).0, "HTTP/1.1 408 Request Timeout");
    assert_eq!((&silent).read(&mut [0]).unwrap(), 0);
    assert_eq!(stage.sessions_ended(2).len(), 2);
    stage.close();
}

#[test]
fn an_answer_that_does_not_come_is_given_up() {
    let stage = Stage::with(SessionLimits::default(), Clock::movable());
    stage.node.is_silent.store(true, Ordering::SeqCst);
    let mut socket = connect(stage.address);
    socket.write_all(UPGRADE.as_bytes()).unwrap();
    nsplice_testkit::wait_until("the session", || stage.sessions() == 1);
    // The question is asked by then, or asked after it and given up later.
    for _ in 0..4 {
        stage.advance(Duration::from_secs(31));
    }
    assert_eq!(answer(&socket).0, "HTTP/1.1 504 Gateway Timeout");
    stage.close();
}

#[test]
fn a_client_that_forwards_nothing_is_told_to_go_after_four_hours() {
    let stage = Stage::with(SessionLimits::default(), Clock::movable());
    let mut client = Client::upgraded(stage.address);
    stage.advance(Duration::from_secs(4 * 60 * 60 + 1));
    client.wait_over();
    assert_eq!(client.went_away, Some(nsplice_spdy::GoAwayStatus::OK));
    stage.close();
}
