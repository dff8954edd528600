//! A descriptor that all links of a forward share.

use std::io::{pipe, PipeReader, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nsplice_relay::{
    Answers, Attempt, Endings, Finish, Forward, Lanes, LinkPolicy, Outcome, Owner, Progress,
    Settings, Side, Upstream, Wake,
};

use crate::openers::{by, forward};
use crate::running::Running;
use crate::scene::in_both_modes;

/// What one client sends: more than the shared pipe takes at once, less than a link reads at once.
const MESSAGE: usize = 20 * 1024;

/// The capacity of the shared pipe: the least there is.
const NARROW: i32 = 4096;

/// Gives a duplicate of what is shared.
#[derive(Debug)]
struct Handing(OwnedFd);

impl Attempt for Handing {
    fn advance(&mut self, _: Wake) -> Progress {
        let copy = || self.0.try_clone().expect("a descriptor");
        Progress::Open(Upstream::Pair { source: copy(), sink: copy() })
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// The policy of links whose upstream is shared.
fn policy() -> LinkPolicy {
    LinkPolicy {
        endings: Endings::Gentle(Answers::Both),
        finishes: [Finish::Shut, Finish::Nothing],
        owners: [Owner::Link, Owner::Forward],
        ..LinkPolicy::default()
    }
}

/// A pipe that takes little.
fn narrow_pipe() -> (PipeReader, OwnedFd) {
    let (reader, sink) = pipe().expect("a pipe");
    fcntl(&sink, FcntlArg::F_SETPIPE_SZ(NARROW)).expect("a pipe can be narrow");
    fcntl(&sink, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe can be non-blocking");
    (reader, sink.into())
}

/// A loop with clients that have sent a message each before it runs, so that it reads each message
/// at once, and writes it to what all of them share.
fn loop_of(
    settings: Settings,
    policy: LinkPolicy,
    sink: OwnedFd,
    letters: &[u8],
) -> (Running, Vec<UnixStream>) {
    let mut clients = Vec::new();
    let relay = Running::start(settings, |relay| {
        let opener = by(move || Handing(sink.try_clone().expect("a descriptor")));
        let forward = Forward { policy: Arc::new(policy), ..forward(opener) };
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path).expect("bind");
        listener.set_nonblocking(true).expect("non-blocking");
        relay.add_service(forward, [OwnedFd::from(listener)]).expect("add the forward");
        for letter in letters {
            let mut client = UnixStream::connect(&path).expect("connect");
            client.write_all(&[*letter; MESSAGE]).expect("send");
            clients.push(client);
        }
    });
    (relay, clients)
}

#[test]
fn blocks_of_several_links_are_not_mixed() {
    in_both_modes(|settings| {
        let (mut reader, sink) = narrow_pipe();
        let (relay, clients) = loop_of(settings, policy(), sink, b"abc");
        let mut came = vec![0; 3 * MESSAGE];
        reader.read_exact(&mut came).expect("the messages");
        let mut firsts = Vec::new();
        for message in came.chunks(MESSAGE) {
            assert!(message.iter().all(|byte| *byte == message[0]), "blocks are mixed");
            firsts.push(message[0]);
        }
        firsts.sort_unstable();
        assert_eq!(firsts, b"abc");
        drop(clients);
        assert!(relay.ended(3).iter().all(|ended| ended.outcome == Outcome::Clean));
        relay.close();
        // Its end comes with the last duplicate, and not with the first link that ended.
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
    });
}

/// Closing a duplicate takes nothing away from the peer, so nothing has to be acknowledged first.
#[test]
fn a_one_way_link_does_not_wait_for_what_others_have_sent() {
    in_both_modes(|settings| {
        let (mut server, sink) = UnixStream::pair().expect("a pair");
        sink.set_nonblocking(true).expect("non-blocking");
        let lanes = Lanes::From { side: Side::Downstream, unacknowledged: |_| 1 };
        let policy = LinkPolicy { lanes, ..policy() };
        let (relay, clients) = loop_of(settings, policy, sink.into(), b"a");
        server.read_exact(&mut [0; MESSAGE]).expect("the message");
        drop(clients);
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        relay.close();
    });
}
