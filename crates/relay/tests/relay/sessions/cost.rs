//! What a stream costs beside a link between two sockets that is copied, measured side by side.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nsplice_relay::{SessionLimits, Settings};
use nsplice_testkit::mux::{Decoder, Header, HEADER, OPENED};
use nsplice_testkit::MuxClient;

use super::endpoint::{Hub, Setup};
use crate::bench::Bench;
use crate::running::Running;
use crate::scene::{at_once, scene};

/// Rounds.
const ROUNDS: usize = 31;

/// Messages and answers in a round, of 1 KiB each.
const MESSAGES: u32 = 3000;

const MESSAGE: usize = 1024;

/// Bytes in a round, in each direction.
const BULK: usize = 64 << 20;

/// Bytes of a stream in a frame of bulk.
const FRAME: usize = 32 * 1024;

/// Processor time of a loop, in each of its tasks.
#[derive(Debug, Default)]
struct Costs {
    message: Vec<Duration>,
    up: Vec<Duration>,
    down: Vec<Duration>,
}

/// What all but a tenth of the rounds took at least: others on the machine only add to it.
fn undisturbed(costs: &mut [Duration]) -> Duration {
    costs.sort();
    costs[costs.len() / 10]
}

/// Reads `bytes` bytes and throws them away.
fn swallow(mut stream: &TcpStream, bytes: usize) {
    // A block that is cleared for each message must be small, or it costs more than the message.
    let mut block = vec![0; if bytes > FRAME { 256 * 1024 } else { 2 * MESSAGE }];
    let mut left = bytes;
    while left > 0 {
        let most = left.min(block.len());
        left -= stream.read(&mut block[..most]).expect("bytes");
    }
}

/// Sends `unit` until `bytes` bytes are out.
fn pour(mut stream: &TcpStream, unit: &[u8], bytes: usize) {
    let block = unit.repeat(8);
    let mut left = bytes;
    while left > 0 {
        let most = left.min(block.len());
        stream.write_all(&block[..most]).expect("taken");
        left -= most;
    }
}

fn took(relay: &Running, work: impl FnOnce()) -> Duration {
    let before = relay.cpu_time();
    work();
    relay.cpu_time() - before
}

/// Plays all tasks between a client and a server. What the client sends is in units, what it gets
/// back is read by `hear`, which is told how many bytes of payload there are.
fn play(
    relay: &Running,
    (client, server): (&TcpStream, &TcpStream),
    [message, bulk]: [&[u8]; 2],
    hear: &(dyn Fn(usize) + Sync),
    costs: &mut Costs,
) {
    costs.message.push(took(relay, || {
        let answers = || {
            let answer = [0; MESSAGE];
            for _ in 0..MESSAGES {
                swallow(server, MESSAGE);
                (&*server).write_all(&answer).expect("taken");
            }
        };
        at_once(answers, || {
            for _ in 0..MESSAGES {
                (&*client).write_all(message).expect("taken");
                hear(MESSAGE);
            }
        });
    }));
    costs.up.push(took(relay, || {
        let units = BULK / FRAME;
        at_once(|| pour(client, bulk, units * bulk.len()), || swallow(server, BULK));
    }));
    costs.down.push(took(relay, || {
        at_once(|| pour(server, &[0; FRAME], BULK), || hear(BULK));
    }));
}

fn frame(len: usize) -> Vec<u8> {
    let header = Header { len, stream: 1, flags: 0 }.encode();
    [header.as_slice(), &vec![0; len]].concat()
}

/// Reads frames of stream 1 until so many bytes of it have come.
fn hear_frames(socket: &TcpStream, len: usize) {
    if len == MESSAGE {
        swallow(socket, HEADER + MESSAGE);
        return;
    }
    let (mut decoder, mut block, mut left) = (Decoder::default(), [0; FRAME], len);
    while left > 0 {
        let mut reader = socket;
        let read = reader.read(&mut block).expect("frames");
        let mut bytes = &block[..read];
        while let Some(piece) = decoder.piece(&mut bytes) {
            left -= piece.bytes.len();
        }
    }
}

fn shown(name: &str, stream: &mut [Duration], link: &mut [Duration], units: f64) {
    let [stream, link] =
        [undisturbed(stream), undisturbed(link)].map(|cost| cost.as_secs_f64() / units);
    println!("{name}: stream {stream:.7} s, copied link {link:.7} s, {:.2}", stream / link);
}

#[test]
#[ignore = "measures, and judges nothing: a busy machine would"]
fn the_price_of_a_stream() {
    scene(|| {
        let session = SessionLimits {
            stream_queue: 64 << 20,
            session_queue: 1 << 20,
            ..SessionLimits::default()
        };
        let hub = Hub::with(Setup { session, ..Setup::default() });
        let bench = Bench::new(Settings { splice: false, ..Settings::default() });
        let client = MuxClient::connect(hub.address);
        let server = hub.stream(&client, 1);
        assert_eq!(client.inbox().expect(1, OPENED), []);
        let (plain_client, plain_server) = bench.link();
        for socket in [&server, &plain_client, &plain_server] {
            socket.set_nodelay(true).expect("set TCP_NODELAY");
        }
        let (mut stream, mut link) = (Costs::default(), Costs::default());
        let units = [frame(MESSAGE), frame(FRAME)];
        let plain = [vec![0; MESSAGE], vec![0; FRAME]];
        for _ in 0..ROUNDS {
            let ends = (&client.socket, &server);
            let hear = |len| hear_frames(&client.socket, len);
            play(&hub.relay, ends, [&units[0], &units[1]], &hear, &mut stream);
            let ends = (&plain_client, &plain_server);
            let hear = |len| swallow(&plain_client, len);
            play(&bench.relay, ends, [&plain[0], &plain[1]], &hear, &mut link);
        }
        let gigabytes = BULK as f64 / 1e9;
        shown("message and answer", &mut stream.message, &mut link.message, MESSAGES.into());
        shown("GB up", &mut stream.up, &mut link.up, gigabytes);
        shown("GB down", &mut stream.down, &mut link.down, gigabytes);
        drop((client, server, plain_client, plain_server));
        hub.relay.ended(1);
        hub.close();
        bench.close_after(1);
    });
}
