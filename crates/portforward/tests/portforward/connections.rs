//! Connections: their bytes, their ends, and that one's failure is nobody else's.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;

use nsplice_relay::{Clock, OpenClass, Outcome, SessionLimits, Side};
use nsplice_spdy::ResetStatus;
use nsplice_testkit::peer::{listen_with_receive_buffer, patient};
use nsplice_testkit::{listen, ramp, wait_until, Server};
use socket2::SockRef;

use crate::client::Client;
use crate::stage::Stage;

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

#[test]
fn bytes_come_whole_and_in_order_both_ways() {
    const LENGTH: usize = 3 << 20;
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), echo));
    let mut client = Client::upgraded(stage.address);
    let (data, error) = client.forward(server.port());
    let sent = ramp::bytes(LENGTH);
    for (number, piece) in sent.chunks(100_000).enumerate() {
        client.send(data, piece);
        // Not more than a server may hold back.
        client.wait(data, "to echo", |came| came.bytes.len() + (1 << 19) > number * 100_000);
    }
    client.finish(data);
    let (bytes, text) = client.wait_ended((data, error));
    assert!(bytes == sent, "{} bytes came back", bytes.len());
    assert_eq!(text, b"");
    assert_eq!(stage.links_ended(1), [Outcome::Clean]);
    stage.close();
}

/// A client has work with each frame, so what waits for it goes into few. Two connections take turns.
#[test]
fn what_waits_is_sent_in_long_frames() {
    const LENGTH: usize = 8 << 20;
    let stage = Stage::new();
    let server = Server::start(listen("127.0.0.1:0"), |mut stream: TcpStream| {
        stream.write_all(&ramp::bytes(LENGTH)).unwrap();
    });
    let mut client = Client::upgraded(stage.address);
    let connections = [client.forward(server.port()), client.forward(server.port())];
    let mut longest = 0;
    for connection in connections {
        let (bytes, _) = client.wait_ended(connection);
        assert!(bytes == ramp::bytes(LENGTH), "{} bytes", bytes.len());
        longest = longest.max(client.longest);
    }
    assert!(longest > 128 << 10, "no frame has more than {longest} bytes");
    connections.iter().for_each(|(data, _)| client.finish(*data));
    assert_eq!(stage.links_ended(2), [Outcome::Clean; 2]);
    stage.close();
}

#[test]
fn twenty_connections_at_once() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), echo));
    let mut client = Client::upgraded(stage.address);
    let connections: Vec<_> = (0..20).map(|_| client.forward(server.port())).collect();
    for (data, _) in &connections {
        client.send(*data, format!("{data}").as_bytes());
    }
    for (data, error) in connections {
        client.wait(data, "to echo", |came| came.bytes == data.to_string().as_bytes());
        client.finish(data);
        assert_eq!(client.wait_ended((data, error)).1, b"");
    }
    assert_eq!(stage.links_ended(20), [Outcome::Clean; 20]);
    stage.close();
}

/// The client's end reaches the pod, and what the pod answers then reaches the client, however late.
#[test]
fn an_answer_after_the_clients_end_arrives() {
    let stage = Stage::new();
    let listener = listen("127.0.0.1:0");
    let mut client = Client::upgraded(stage.address);
    let connection = client.forward(listener.local_addr().unwrap().port());
    let mut pod = patient(listener.accept().unwrap().0);
    client.send(connection.0, b"question");
    client.finish(connection.0);
    let mut question = String::new();
    pod.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    pod.write_all(b"answer").unwrap();
    drop(pod);
    assert_eq!(client.wait_ended(connection), (b"answer".to_vec(), b"".to_vec()));
    assert_eq!(stage.links_ended(1), [Outcome::Clean]);
    stage.close();
}

/// The pod's end ends both streams, while the client's bytes still reach the pod.
#[test]
fn the_pods_end_ends_both_streams_at_once() {
    let stage = Stage::new();
    let listener = listen("127.0.0.1:0");
    let mut client = Client::upgraded(stage.address);
    let connection = client.forward(listener.local_addr().unwrap().port());
    let mut pod = patient(listener.accept().unwrap().0);
    pod.shutdown(Shutdown::Write).unwrap();
    client.wait_ended(connection);
    client.send(connection.0, b"late");
    client.finish(connection.0);
    let mut late = String::new();
    pod.read_to_string(&mut late).unwrap();
    assert_eq!(late, "late");
    drop(pod);
    assert_eq!(stage.links_ended(1), [Outcome::Clean]);
    stage.close();
}

/// Refused, reset, or reset by the client: both streams end without a word, and the session goes on.
#[test]
fn a_connection_that_fails_ends_alone() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), echo));
    let mut client = Client::upgraded(stage.address);
    let (live, live_error) = client.forward(server.port());

    let nobody = listen("127.0.0.1:0").local_addr().unwrap().port();
    let refused = client.forward(nobody);
    assert_eq!(client.wait_ended(refused), (Vec::new(), Vec::new()));
    assert_eq!(stage.links_ended(1), [Outcome::OpenFailed(OpenClass::Refused)]);

    let listener = listen("127.0.0.1:0");
    let broken = client.forward(listener.local_addr().unwrap().port());
    let pod = listener.accept().unwrap().0;
    SockRef::from(&pod).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(pod);
    assert_eq!(client.wait_ended(broken), (Vec::new(), Vec::new()));
    assert_eq!(stage.links_ended(2)[1], Outcome::Reset(Side::Upstream));
    // What still comes for it is nobody's.
    client.send(broken.0, b"late");
    client.finish(broken.0);

    let (data, error) = client.forward(listener.local_addr().unwrap().port());
    let mut pod = patient(listener.accept().unwrap().0);
    client.reset(data);
    client.wait(error, "to end", |came| came.has_ended && came.bytes.is_empty());
    assert!(pod.read(&mut [0]).is_err(), "the pod is told by a reset");
    assert_eq!(stage.links_ended(3)[2], Outcome::Reset(Side::Downstream));

    client.send(live, b"still here");
    client.wait(live, "to echo", |came| came.bytes == b"still here");
    client.finish(live);
    client.wait_ended((live, live_error));
    assert_eq!(stage.links_ended(4)[3], Outcome::Clean);
    assert_eq!(stage.sessions(), 1);
    stage.close();
}

/// The one thing that is written to an error stream.
#[test]
fn a_pod_that_is_gone_is_told() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), echo));
    let mut client = Client::upgraded(stage.address);
    stage.node.is_gone.store(true, Ordering::SeqCst);
    let gone = client.forward(server.port());
    let (bytes, text) = client.wait_ended(gone);
    let told = format!(
        "error forwarding port {} to pod web, uid 0f-1: pod/default/web is not running",
        server.port()
    );
    assert_eq!((bytes, String::from_utf8(text).unwrap()), (Vec::new(), told));
    stage.close();
}

/// What a pod does not read fills the queue of its stream, and that stream is reset.
#[test]
fn a_pod_that_does_not_read_stops_nobody_else() {
    let limits = SessionLimits { stream_queue: 256 << 10, ..SessionLimits::default() };
    let stage = Stage::with(limits, Clock::default());
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let stuck = listen_with_receive_buffer("127.0.0.1:0", Some(4096));
    let mut client = Client::upgraded(stage.address);
    let (live, _) = client.forward(server.port());
    let (data, error) = client.forward(stuck.local_addr().unwrap().port());
    let pod = stuck.accept().unwrap().0;
    let block = vec![7; 256 << 10];
    // More than all queues between the two hold.
    for _ in 0..64 {
        client.send(data, &block);
    }
    let came = client.wait(data, "to be reset", |came| came.reset.is_some());
    assert_eq!(came.reset, Some(ResetStatus::FLOW_CONTROL_ERROR));
    let error = client.wait(error, "to end", |came| came.has_ended);
    assert_eq!((error.bytes.as_slice(), error.reset), (&[][..], None));
    client.send(live, b"still here");
    client.wait(live, "to echo", |came| came.bytes == b"still here");
    drop(pod);
    stage.links_ended(1);
    stage.close();
}

/// A client that leaves takes its connections with it.
#[test]
fn a_client_that_leaves_resets_its_connections() {
    let stage = Stage::new();
    let listener = listen("127.0.0.1:0");
    let mut client = Client::upgraded(stage.address);
    client.forward(listener.local_addr().unwrap().port());
    let mut pod = patient(listener.accept().unwrap().0);
    drop(client);
    assert!(pod.read(&mut [0]).is_err(), "the pod is told by a reset");
    assert_eq!(stage.links_ended(1).len(), 1);
    wait_until("the end of the session", || stage.sessions() == 0);
    stage.close();
}
