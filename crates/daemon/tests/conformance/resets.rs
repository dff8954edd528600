//! Rows 3, 4 and 7: an RST is passed on as an RST, whatever the link was doing.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;

use nsplice_testkit::talk::{half_close, read_to_reset, reset, send_until_stuck};
use nsplice_testkit::{ramp, Gate};

use crate::journal::End;
use crate::peers::name_of;
use crate::{cases, Difference, Testbed};

cases! {
    from_down_after_its_fin_while_draining on setns no_splice external dial;
    from_up_after_its_fin_while_draining on setns no_splice dial;
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

/// The client has sent its FIN, reads nothing, and resets while the server's bytes wait for it.
fn from_down_after_its_fin_while_draining(testbed: &Testbed) {
    let stuck = Arc::new(Gate::new());
    let server = testbed.serve({
        let stuck = stuck.clone();
        move |stream| {
            let sent = send_until_stuck(&stream, 0);
            stuck.open();
            (sent, write_until_error(&stream))
        }
    });
    let relay = testbed.daemon(server.port()).start();
    let client = relay.connect_narrow();
    let name = name_of(&client);
    if !testbed.differs(Difference::HalfCloseIsCut) {
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
fn from_up_after_its_fin_while_draining(testbed: &Testbed) {
    let stuck = Arc::new(Gate::new());
    let server = testbed.serve({
        let stuck = stuck.clone();
        move |stream| {
            let sent = send_until_stuck(&stream, 0);
            half_close(&stream);
            reset(stream);
            stuck.open();
            sent
        }
    });
    let relay = testbed.daemon(server.port()).start();
    let client = relay.connect_narrow();
    stuck.wait();
    let bytes = read_to_reset(&client);
    ramp::verify(0, &bytes).unwrap();
    let end = relay.expect_end(name_of(&client), "reset-by-upstream");
    let sent = server.join()[0];
    assert!(bytes.len() as u64 <= end.down && end.down <= sent, "{end:?}, {sent} sent");
    relay.finish();
}
