//! Every timer of a link: what starts it and what renews it, as DESIGN.md has them in a table.
//!
//! Each row is silent for longer than its timer takes before that timer starts, because a timer that
//! runs from anything older than its own start is over by then. The loop's clock is moved on by the
//! test: up to [`MARGIN`] before the timer is due the link lives, and then it ends. A machine may be
//! that slow in between and no slower.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{scope as threads, sleep, Builder};
use std::time::{Duration, Instant};

use nsplice_relay::{
    Answers, Clock, Endings, Forward, Limit, Limits, LinkPolicy, Opener, Outcome, Settings, Side,
};
use nsplice_testkit::talk::{expect_eof, expect_ramp, half_close, read_to_eof, reset, send_ramp};
use nsplice_testkit::{connect, wait_until};

use crate::bench::{accept, listening, Bench, ANY_PORT};
use crate::openers::{connecting, forward, leashed, Then};
use crate::running::{Ended, Running};
use crate::scene::{in_both_modes, scene};
use crate::shell::script;

/// What the timers take.
const LIMIT: Duration = Duration::from_secs(60);

/// Longer than [`LIMIT`].
const SILENCE: Duration = Duration::from_secs(90);

/// Part of [`LIMIT`], after which a timer is renewed.
const PART: Duration = Duration::from_secs(30);

/// What is left of a timer when the link is looked at for the last time.
const MARGIN: Duration = Duration::from_secs(10);

/// What a row does with a loop.
type Row = (&'static str, fn(Settings));

const ROWS: [Row; 12] = [
    ("connect: from the accept", connect_from_the_accept),
    ("idle: from the upstream's opening", idle_from_the_opening),
    ("idle: renewed by a byte up", |settings| idle_renewed_by_a_byte(settings, Side::Downstream)),
    ("idle: renewed by a byte down", |settings| idle_renewed_by_a_byte(settings, Side::Upstream)),
    ("idle: renewed by an end", idle_renewed_by_an_end),
    ("linger: from the client's end", |settings| linger_from_an_end(settings, Side::Downstream)),
    ("linger: from the server's end", |settings| linger_from_an_end(settings, Side::Upstream)),
    ("linger: renewed by a byte", linger_renewed_by_a_byte),
    ("linger after the answer: from the answering side's end", linger_after_the_answer),
    ("linger after the question: as ever", linger_after_the_question),
    ("idle of a gentle link: renewed by a byte", idle_of_a_gentle_link),
    ("drain: from the command", drain_from_the_command),
];

#[test]
fn each_timer_runs_from_its_start_and_from_what_renews_it() {
    in_both_modes(|settings| {
        threads(|threads| {
            for (name, row) in ROWS {
                // Each moves a clock of its own.
                let settings = Settings { clock: Clock::movable(), ..settings.clone() };
                let thread = Builder::new().name(name.to_owned());
                thread.spawn_scoped(threads, move || row(settings)).expect("a thread");
            }
        });
    });
}

/// Lets the time of a timer pass that has just started, and expects it to end the only link, not
/// earlier.
#[track_caller]
fn assert_ends_in_time(relay: &Running, limit: Limit) -> Ended {
    assert_eq!(relay.links().len(), 1, "the only link has ended already");
    relay.advance(LIMIT - MARGIN);
    assert_eq!(relay.links().len(), 1, "the link has ended early");
    relay.advance(MARGIN);
    let ended = relay.only_end();
    assert_eq!(ended.outcome, Outcome::Expired(limit), "{ended:?}");
    ended
}

fn idle() -> Limits {
    Limits { idle_timeout: Some(LIMIT), ..Limits::default() }
}

fn linger() -> Limits {
    Limits { linger: Some(LIMIT), ..Limits::default() }
}

fn serve(settings: Settings, opener: Box<dyn Opener>, limits: Limits) -> (Running, SocketAddr) {
    let mut address = ANY_PORT;
    let relay = Running::start(settings, |relay| {
        address = listening(relay, Forward { limits, ..forward(opener) });
    });
    (relay, address)
}

fn connect_from_the_accept(settings: Settings) {
    let (opener, _leash) = leashed(Then::Connects(ANY_PORT));
    let limits = Limits { connect_timeout: LIMIT, ..Limits::default() };
    let (relay, address) = serve(settings, opener, limits);
    relay.advance(SILENCE);
    let _client = connect(address);
    wait_until("the link", || relay.accepted() == 1);
    assert_ends_in_time(&relay, Limit::Connect);
    relay.close();
}

fn idle_from_the_opening(settings: Settings) {
    let upstream = nsplice_testkit::listen("127.0.0.1:0");
    upstream.set_nonblocking(true).expect("a listener can be non-blocking");
    let target = upstream.local_addr().expect("an address");
    let (opener, leash) = leashed(Then::Connects(target));
    let limits = Limits { connect_timeout: SILENCE + LIMIT, ..idle() };
    let (relay, address) = serve(settings, opener, limits);
    let _client = connect(address);
    wait_until("the link", || relay.accepted() == 1);
    relay.advance(SILENCE);
    leash.release();
    let _server = accept(&upstream);
    let is_open = || relay.links().iter().all(|link| link.open_time.is_some());
    wait_until("the upstream to be open", is_open);
    assert_ends_in_time(&relay, Limit::Idle);
    relay.close();
}

fn idle_renewed_by_a_byte(settings: Settings, from: Side) {
    let bench = Bench::with_limits(settings, idle());
    let (client, server) = bench.link();
    bench.relay.advance(PART);
    let (from, to) = if from == Side::Downstream { (&client, &server) } else { (&server, &client) };
    send_ramp(from, 0, 1);
    expect_ramp(to, 0, 1);
    assert_ends_in_time(&bench.relay, Limit::Idle);
    bench.close();
}

fn idle_renewed_by_an_end(settings: Settings) {
    let bench = Bench::with_limits(settings, idle());
    let (client, server) = bench.link();
    bench.relay.advance(PART);
    half_close(&client);
    expect_eof(&server);
    assert_ends_in_time(&bench.relay, Limit::Idle);
    bench.close();
}

fn linger_from_an_end(settings: Settings, of: Side) {
    let bench = Bench::with_limits(settings, linger());
    let (client, server) = bench.link();
    bench.relay.advance(SILENCE);
    let (one, other) = if of == Side::Downstream { (&client, &server) } else { (&server, &client) };
    half_close(one);
    expect_eof(other);
    assert_ends_in_time(&bench.relay, Limit::Linger);
    bench.close();
}

fn linger_renewed_by_a_byte(settings: Settings) {
    let bench = Bench::with_limits(settings, linger());
    let (client, server) = bench.link();
    half_close(&client);
    expect_eof(&server);
    bench.relay.advance(PART);
    send_ramp(&server, 0, 1);
    expect_ramp(&client, 0, 1);
    assert_ends_in_time(&bench.relay, Limit::Linger);
    bench.close();
}

/// Links of this policy to a listener of the test.
fn gentle(
    settings: Settings,
    answers: Answers,
    limits: Limits,
) -> (Running, [std::net::TcpStream; 2]) {
    let upstream = nsplice_testkit::listen("127.0.0.1:0");
    upstream.set_nonblocking(true).expect("a listener can be non-blocking");
    let opener = connecting(upstream.local_addr().expect("an address"));
    let policy =
        Arc::new(LinkPolicy { endings: Endings::Gentle(answers), ..LinkPolicy::default() });
    let mut address = ANY_PORT;
    let relay = Running::start(settings, |relay| {
        address = listening(relay, Forward { limits, policy, ..forward(opener) });
    });
    let client = connect(address);
    let server = accept(&upstream);
    (relay, [client, server])
}

/// Which without it would live for ever.
fn linger_after_the_answer(settings: Settings) {
    let answers = Answers::From { side: Side::Upstream, afterwards: LIMIT };
    let (relay, [client, server]) = gentle(settings, answers, Limits::default());
    relay.advance(SILENCE);
    half_close(&server);
    expect_eof(&client);
    assert_ends_in_time(&relay, Limit::Linger);
    relay.close();
}

/// The time after the answer is shorter, and does not begin.
fn linger_after_the_question(settings: Settings) {
    let answers = Answers::From { side: Side::Upstream, afterwards: PART };
    let (relay, [client, server]) = gentle(settings, answers, linger());
    relay.advance(SILENCE);
    half_close(&client);
    expect_eof(&server);
    assert_ends_in_time(&relay, Limit::Linger);
    relay.close();
}

fn idle_of_a_gentle_link(settings: Settings) {
    let (relay, [client, server]) = gentle(settings, Answers::Both, idle());
    relay.advance(PART);
    send_ramp(&client, 0, 1);
    expect_ramp(&server, 0, 1);
    assert_ends_in_time(&relay, Limit::Idle);
    relay.close();
}

fn drain_from_the_command(settings: Settings) {
    let bench = Bench::new(settings);
    let _link = bench.link();
    bench.relay.advance(SILENCE);
    bench.relay.handle.drain(Some(LIMIT)).expect("tell the loop to drain");
    assert_ends_in_time(&bench.relay, Limit::Drain);
    bench.close();
}

#[test]
fn the_grace_of_a_child_runs_from_the_end_of_its_output() {
    /// What a child has between the end of its output and its own.
    const GRACE: Duration = Duration::from_secs(1);
    in_both_modes(|settings| {
        let (opener, _) = script("read line; exec >&-; sleep 1000");
        let (relay, address) = serve(settings, opener, Limits::default());
        let mut client = connect(address);
        sleep(GRACE + GRACE / 2);
        let ending = Instant::now();
        client.write_all(b"end\n").expect("speak");
        expect_eof(&client);
        assert!(ending.elapsed() >= GRACE, "{:?}", ending.elapsed());
        reset(client);
        relay.only_end();
        relay.close();
    });
}

/// What a client gets that asks, is silent for a long time, and is answered after its end.
#[test]
fn an_answer_after_a_long_silence_and_a_half_close_arrives() {
    scene(|| {
        let bench = Bench::with_limits(
            Settings { clock: Clock::movable(), ..Settings::default() },
            linger(),
        );
        let (mut client, mut server) = bench.link();
        client.write_all(b"question").expect("ask");
        bench.relay.advance(SILENCE);
        half_close(&client);
        assert_eq!(read_to_eof(&server), b"question");
        server.write_all(b"answer").expect("answer");
        drop(server);
        assert_eq!(read_to_eof(&client), b"answer");
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

/// Nobody is left to be answered, so nothing is waited for; what was said before is delivered.
#[test]
fn a_reset_of_who_asks_ends_a_gentle_link_at_once() {
    in_both_modes(|settings| {
        let to_upstream = |afterwards| Answers::From { side: Side::Upstream, afterwards };
        for answers in [Answers::Both, to_upstream(LIMIT)] {
            for ended_before in [false, true] {
                let (relay, [mut client, server]) =
                    gentle(settings.clone(), answers, Limits::default());
                client.write_all(b"question").expect("ask");
                if ended_before {
                    half_close(&client);
                    assert_eq!(read_to_eof(&server), b"question");
                    reset(client);
                } else {
                    // What nobody has read yet goes with the reset.
                    wait_until("the question has been read", || {
                        relay.links().iter().any(|link| link.up.written == 8)
                    });
                    reset(client);
                    assert_eq!(read_to_eof(&server), b"question");
                }
                assert_eq!(relay.only_end().outcome, Outcome::Clean);
                relay.close();
            }
        }
    });
}
