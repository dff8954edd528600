//! Rows 3, 4 and 7: an RST is passed on as an RST, whatever the link was doing.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;

use nsplice_testkit::talk::{
    expect_ramp, half_close, read_exactly, read_to_reset, reset, send_ramp, send_until_stuck,
};
use nsplice_testkit::{ramp, wait_for, Gate};

use crate::journal::End;
use crate::peers::{name_of, ping, read_to_any_end};
use crate::{cases, Difference, Relay, Stage};

cases! {
    from_down_while_idle on setns no_splice external dial;
    from_down_in_mid_upload on setns no_splice external dial;
    from_down_in_mid_download on setns no_splice external dial;
    from_up_while_idle on setns no_splice external dial;
    from_up_in_mid_upload on setns no_splice external dial;
    from_up_in_mid_download on setns no_splice external dial;
    from_down_after_its_fin_while_draining on setns no_splice external dial;
    from_up_after_its_fin_while_draining on setns no_splice dial;
}

const MIB: u64 = 1 << 20;

/// Asserts that the server's side of a link that the client has reset has ended, by RST where that
/// can be passed on, and returns what came before.
#[track_caller]
fn expect_passed_on(stream: &TcpStream, is_lost: bool) -> Vec<u8> {
    if is_lost {
        read_to_any_end(stream).0
    } else {
        read_to_reset(stream)
    }
}

/// Asserts that the link of a client that the server has reset has ended so, and returns its end
/// and the bytes that came before.
#[track_caller]
fn expect_reset_by_server(
    stage: &Stage,
    relay: &Relay<'_>,
    client: &TcpStream,
    outcomes_of_child: &[&str],
) -> (End, Vec<u8>) {
    if !stage.differs(Difference::ResetIsNotTold) {
        let bytes = read_to_reset(client);
        return (relay.expect_end(name_of(client), "reset-by-upstream"), bytes);
    }
    let (bytes, was_reset) = read_to_any_end(client);
    let found = || relay.ends().into_iter().find(|end| end.client == name_of(client));
    let end = wait_for("the link to end", found);
    assert!(outcomes_of_child.contains(&end.outcome.as_str()), "{end:?}");
    assert_eq!(was_reset, end.outcome != "clean");
    (end, bytes)
}

fn from_down_while_idle(stage: &Stage) {
    let is_lost = stage.differs(Difference::ResetMayBecomeFin);
    let server = stage.serve(move |mut stream| {
        stream.write_all(&read_exactly(&stream, 1)).unwrap();
        expect_passed_on(&stream, is_lost)
    });
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect();
    let name = name_of(&client);
    ping(&client);
    reset(client);
    relay.expect_end(name, "reset-by-downstream");
    assert_eq!(server.join(), [b""]);
    relay.finish();
}

fn from_down_in_mid_upload(stage: &Stage) {
    let is_lost = stage.differs(Difference::ResetMayBecomeFin);
    let begun = Arc::new(Gate::new());
    let server = stage.serve({
        let begun = begun.clone();
        move |stream| {
            expect_ramp(&stream, 0, MIB);
            begun.open();
            ramp::verify(MIB, &expect_passed_on(&stream, is_lost)).unwrap();
        }
    });
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect();
    let name = name_of(&client);
    send_ramp(&client, 0, 8 * MIB);
    // A reset takes with it what was sent and has not arrived.
    begun.wait();
    reset(client);
    let end = relay.expect_end(name, "reset-by-downstream");
    assert!((MIB..=8 * MIB).contains(&end.up), "{end:?}");
    server.join();
    relay.finish();
}

fn from_down_in_mid_download(stage: &Stage) {
    let server = stage.serve(|stream| write_until_error(&stream));
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect();
    let name = name_of(&client);
    expect_ramp(&client, 0, MIB);
    reset(client);
    let end = relay.expect_end(name, "reset-by-downstream");
    assert!(end.down >= MIB, "{end:?}");
    let error = server.join()[0];
    let may_be_fin = stage.differs(Difference::ResetMayBecomeFin);
    // Whoever writes after a FIN is told by EPIPE.
    let was_fin = may_be_fin && error == ErrorKind::BrokenPipe;
    assert!(error == ErrorKind::ConnectionReset || was_fin, "{error}");
    relay.finish();
}

/// Writes the ramp for as long as somebody takes it.
fn write_until_error(mut stream: &TcpStream) -> ErrorKind {
    let mut offset = 0;
    let mut block = vec![0; 64 * 1024];
    loop {
        ramp::fill(offset, &mut block);
        match stream.write(&block) {
            Ok(written) => offset += written as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind(),
        }
    }
}

fn from_up_while_idle(stage: &Stage) {
    let server = stage.serve(|mut stream| {
        stream.write_all(&read_exactly(&stream, 1)).unwrap();
        read_exactly(&stream, 1);
        reset(stream);
    });
    let relay = stage.daemon(server.port()).start();
    let mut client = relay.connect();
    ping(&client);
    client.write_all(b"!").unwrap();
    let (end, bytes) = expect_reset_by_server(stage, &relay, &client, &["clean"]);
    assert_eq!((end.up, end.down, bytes.len()), (2, 1, 0));
    server.join();
    relay.finish();
}

fn from_up_in_mid_upload(stage: &Stage) {
    let server = stage.serve(|mut stream| {
        stream.write_all(b"!").unwrap();
        expect_ramp(&stream, 0, MIB);
        reset(stream);
    });
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect();
    read_exactly(&client, 1);
    let error = write_until_error(&client);
    // A client that has read a FIN is told of a reset by EPIPE.
    let is_vague = stage.differs(Difference::ResetIsNotTold) && error == ErrorKind::BrokenPipe;
    assert!(error == ErrorKind::ConnectionReset || is_vague, "{error}");
    let found = || relay.ends().into_iter().find(|end| end.client == name_of(&client));
    let end = wait_for("the link to end", found);
    if stage.differs(Difference::ResetIsNotTold) {
        assert!(["clean", "child-failed-midway"].contains(&end.outcome.as_str()), "{end:?}");
    } else {
        assert_eq!(end.outcome, "reset-by-upstream", "{end:?}");
    }
    assert!(end.up >= MIB, "{end:?}");
    server.join();
    relay.finish();
}

fn from_up_in_mid_download(stage: &Stage) {
    let server = stage.serve(|stream| {
        send_ramp(&stream, 0, 8 * MIB);
        reset(stream);
    });
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect();
    let outcomes = ["clean", "child-failed-midway"];
    let (end, bytes) = expect_reset_by_server(stage, &relay, &client, &outcomes);
    ramp::verify(0, &bytes).unwrap();
    assert!(bytes.len() as u64 <= 8 * MIB);
    assert!(end.down >= bytes.len() as u64, "{end:?}");
    server.join();
    relay.finish();
}

/// The client has sent its FIN, reads nothing, and resets while the server's bytes wait for it.
fn from_down_after_its_fin_while_draining(stage: &Stage) {
    let stuck = Arc::new(Gate::new());
    let server = stage.serve({
        let stuck = stuck.clone();
        move |stream| {
            let sent = send_until_stuck(&stream, 0);
            stuck.open();
            (sent, write_until_error(&stream))
        }
    });
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect_narrow();
    let name = name_of(&client);
    if !stage.differs(Difference::HalfCloseIsCut) {
        half_close(&client);
    }
    stuck.wait();
    reset(client);
    let End { up, down, .. } = relay.expect_end(name, "reset-by-downstream");
    let ends = server.join();
    // In CLOSE_WAIT, after the client's FIN, Linux tells of an RST by EPIPE.
    assert_eq!(ends[0].1, ErrorKind::BrokenPipe);
    assert!(up == 0 && down < ends[0].0, "{down} of {} bytes: some were discarded", ends[0].0);
    relay.finish();
}

/// The server's bytes and its FIN are on their way to a client that does not read; then it resets.
fn from_up_after_its_fin_while_draining(stage: &Stage) {
    let stuck = Arc::new(Gate::new());
    let server = stage.serve({
        let stuck = stuck.clone();
        move |stream| {
            let sent = send_until_stuck(&stream, 0);
            half_close(&stream);
            reset(stream);
            stuck.open();
            sent
        }
    });
    let relay = stage.daemon(server.port()).start();
    let client = relay.connect_narrow();
    stuck.wait();
    let bytes = read_to_reset(&client);
    ramp::verify(0, &bytes).unwrap();
    let end = relay.expect_end(name_of(&client), "reset-by-upstream");
    let sent = server.join()[0];
    assert!(bytes.len() as u64 <= end.down && end.down <= sent, "{end:?}, {sent} sent");
    relay.finish();
}
