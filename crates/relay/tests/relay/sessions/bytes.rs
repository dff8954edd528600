//! Bytes whole and in order through streams, however frames and calls are cut.

use std::collections::HashMap;
use std::thread;

use nsplice_relay::{Outcome, SessionLimits};
use nsplice_testkit::mux::{Inbox, MuxClient, FIN, GRANT, OPENED};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{echo, expect_eof, expect_ramp, half_close, send_ramp};
use proptest::test_runner::{Config, TestRunner};

use super::endpoint::{Hub, Setup};
use crate::scene::{at_once, scene};

/// What a client sends in one frame, in bytes.
const FRAME: usize = 32 * 1024;

/// Sends the ramp on each of `streams`, in turns, and the end of each.
fn send_ramps(client: &MuxClient, streams: &[u32], len: u64) {
    let mut block = vec![0; FRAME];
    let mut offset = 0;
    while offset < len {
        let size = FRAME.min(usize::try_from(len - offset).unwrap_or(FRAME));
        ramp::fill(offset, &mut block[..size]);
        streams.iter().for_each(|stream| client.send(*stream, &block[..size]));
        offset += size as u64;
    }
    streams.iter().for_each(|stream| client.finish(*stream));
}

/// Expects the ramp and then the end on each of `streams`, however they are mixed.
fn expect_ramps(inbox: &mut Inbox<'_>, streams: &[u32], len: u64) {
    let mut seen: HashMap<u32, u64> = streams.iter().map(|stream| (*stream, 0)).collect();
    while !seen.is_empty() {
        let frame = inbox.frame().expect("not the end of the connection");
        if frame.flags == OPENED {
            continue;
        }
        let offset = seen.get_mut(&frame.stream).expect("bytes of a stream that has not ended");
        ramp::verify(*offset, &frame.bytes).unwrap_or_else(|error| panic!("{error}"));
        *offset += frame.bytes.len() as u64;
        if frame.flags & FIN != 0 {
            assert_eq!(seen.remove(&frame.stream), Some(len), "stream {}", frame.stream);
        }
    }
}

#[test]
fn ramps_in_both_directions_of_many_streams_at_once_are_exact() {
    const STREAMS: u32 = 8;
    const EACH: u64 = 6 << 20;
    scene(|| {
        // The client does not wait for anybody, so the queues must hold what it sends.
        let session = SessionLimits { stream_queue: 64 << 20, ..SessionLimits::default() };
        let hub = Hub::with(Setup { session, ..Setup::default() });
        let client = hub.client();
        let streams: Vec<u32> = (1..=STREAMS).collect();
        let servers: Vec<_> = streams.iter().map(|id| hub.stream(&client, *id)).collect();
        thread::scope(|scope| {
            for server in &servers {
                scope.spawn(|| {
                    send_ramp(server, 0, EACH);
                    half_close(server);
                });
                scope.spawn(|| {
                    expect_ramp(server, 0, EACH);
                    expect_eof(server);
                });
            }
            scope.spawn(|| send_ramps(&client, &streams, EACH));
            expect_ramps(&mut client.inbox(), &streams, EACH);
        });
        drop(servers);
        for ended in hub.relay.ended(STREAMS as usize) {
            assert_eq!(ended.outcome, Outcome::Clean, "{ended:?}");
            assert_eq!((ended.up.written, ended.down.written), (EACH, EACH));
        }
        drop(client);
        hub.close();
    });
}

#[test]
fn frames_and_calls_may_be_cut_anywhere() {
    scene(|| {
        let case = (
            proptest::collection::vec((1..=3u32, 0..30_000usize), 1..40),
            proptest::collection::vec(1..70_000usize, 1..20),
            1..100_000usize,
            proptest::option::of(1..20_000u32),
        );
        let mut runner =
            TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
        let played = runner.run(&case, |(frames, cuts, outbox, credit)| {
            play_cut(&frames, &cuts, outbox, credit);
            Ok(())
        });
        played.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// Sends `frames` cut at `cuts` to servers that send everything back, through an outbox of this size.
fn play_cut(frames: &[(u32, usize)], cuts: &[usize], outbox: usize, credit: Option<u32>) {
    let session = SessionLimits { stream_queue: 8 << 20, outbox, ..SessionLimits::default() };
    let hub = Hub::with(Setup { session, ..Setup::default() });
    let client = hub.client();
    let mut sent = [0u64; 4];
    let mut wire = Vec::new();
    let mut put = |stream: u32, flags: u8, bytes: &[u8]| {
        let header = nsplice_testkit::mux::Header { len: bytes.len(), stream, flags };
        wire.extend(header.encode());
        wire.extend(bytes);
    };
    for (stream, len) in frames {
        let mut bytes = vec![0; *len];
        ramp::fill(sent[*stream as usize], &mut bytes);
        sent[*stream as usize] += *len as u64;
        put(*stream, 0, &bytes);
        if credit.is_some() {
            // So much more than what was granted to begin with is sent back.
            put(*stream, GRANT, &u32::try_from(*len).expect("a short frame").to_be_bytes());
        }
    }
    (1..=3).for_each(|stream| put(stream, FIN, &[]));
    let servers: Vec<_> = (1..=3u32)
        .map(|stream| {
            match credit {
                Some(credit) => client.open_with_credit(stream, 0, credit),
                None => client.open(stream, 0),
            }
            hub.server()
        })
        .collect();
    thread::scope(|scope| {
        for server in servers {
            scope.spawn(move || echo(server));
        }
        scope.spawn(|| {
            let (mut rest, mut cuts) = (wire.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) =
                    rest.split_at(rest.len().min(*cuts.next().expect("one more cut")));
                std::io::Write::write_all(&mut &client.socket, now).expect("send");
                rest = later;
            }
        });
        let (mut inbox, mut seen, mut open) = (client.inbox(), [0u64; 4], 3);
        while open > 0 {
            let frame = inbox.frame().expect("not the end of the connection");
            let offset = &mut seen[frame.stream as usize];
            ramp::verify(*offset, &frame.bytes).unwrap_or_else(|error| panic!("{error}"));
            *offset += frame.bytes.len() as u64;
            open -= usize::from(frame.flags & FIN != 0);
        }
        assert_eq!(seen, sent);
    });
    drop(client);
    assert_eq!(hub.close().ended_as(Outcome::Clean), 3);
}

#[test]
fn a_conversation_goes_on_while_other_streams_carry_bulk() {
    const BULK: u32 = 4;
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let servers: Vec<_> = (1..=BULK).map(|id| hub.stream(&client, id)).collect();
        let talker = hub.stream(&client, 100);
        thread::scope(|scope| {
            for server in &servers {
                scope.spawn(|| {
                    // For as long as anybody takes it.
                    let block = vec![0; 256 * 1024];
                    while std::io::Write::write_all(&mut &*server, &block).is_ok() {}
                });
            }
            scope.spawn(|| echo(talker));
            let (mut inbox, mut got) = (client.inbox(), HashMap::<u32, u64>::new());
            for round in 0..200u32 {
                client.send(100, &round.to_be_bytes());
                loop {
                    let frame = inbox.frame().expect("not the end of the connection");
                    *got.entry(frame.stream).or_default() += frame.bytes.len() as u64;
                    if frame.stream == 100 && frame.flags == 0 {
                        assert_eq!(frame.bytes, round.to_be_bytes());
                        break;
                    }
                }
            }
            let bulk: Vec<u64> = (1..=BULK).map(|id| got.get(&id).copied().unwrap_or(0)).collect();
            assert!(bulk.iter().all(|bytes| *bytes > 0), "one stream got nothing: {bulk:?}");
            let reset = |id| client.reset(id, "enough");
            (1..=BULK).for_each(reset);
            client.finish(100);
        });
        drop(client);
        hub.relay.ended(BULK as usize + 1);
        assert_eq!(hub.close().ended_total(), u64::from(BULK) + 1);
    });
}

#[test]
fn the_server_may_speak_first() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 5);
        send_ramp(&server, 0, 1000);
        assert_eq!(inbox.expect(5, OPENED), []);
        let mut seen = 0;
        while seen < 1000 {
            let bytes = inbox.expect(5, 0);
            ramp::verify(seen, &bytes).unwrap();
            seen += bytes.len() as u64;
        }
        at_once(|| client.send(5, &ramp::bytes(100)), || expect_ramp(&server, 0, 100));
        client.finish(5);
        expect_eof(&server);
        drop(server);
        inbox.expect(5, FIN);
        assert_eq!(hub.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn what_stands_between_two_streams_rests() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let servers: Vec<_> = (1..=20).map(|id| hub.stream(&client, id)).collect();
        for server in &servers {
            send_ramp(server, 0, 10);
        }
        let mut inbox = client.inbox();
        (0..40).for_each(|_| drop(inbox.frame()));
        hub.relay.assert_at_rest(std::time::Duration::from_millis(500));
        drop(servers);
        (1..=20).for_each(|id| client.finish(id));
        hub.relay.ended(20);
        drop(client);
        assert_eq!(hub.close().ended_as(Outcome::Clean), 20);
    });
}
