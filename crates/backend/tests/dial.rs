//! The backend `dial`, and names.

mod common;

use common::{counted, expect_echo, failure, open, opener, stream, to};
use nsplice_backend::Choice;
use nsplice_relay::{OpenClass, Progress, Upstream, Wake};
use nsplice_testkit::{listen, Server};

#[test]
fn addresses_and_localhost_are_dialled_directly() {
    counted(|| {
        for (bound, host) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("127.0.0.1:0", "localhost"),
            ("[::1]:0", "localhost"),
            ("[::1]:0", "[::1]"),
            ("127.0.0.1:0", "::ffff:127.0.0.1"),
        ] {
            let server = Server::start(listen(bound), common::echo);
            let mut opener = opener(&to(format!("tcp/{host}"), server.port()), Choice::Auto);
            assert_eq!(opener.backend(), "dial");
            expect_echo(&stream(opener.as_mut()));
        }
    });
}

#[test]
fn an_answer_on_the_loopback_is_there_without_waiting() {
    counted(|| {
        let server = Server::start(listen("127.0.0.1:0"), common::echo);
        let mut opener = opener(&to("tcp/127.0.0.1", server.port()), Choice::Dial);
        let progress = opener.open(None).advance(Wake::START);
        assert!(matches!(progress, Progress::Open(Upstream::Stream(_))), "{progress:?}");
    });
}

#[test]
fn all_addresses_are_told_when_none_answers() {
    counted(|| {
        let error = failure(opener(&to("tcp/localhost", 9), Choice::Dial).as_mut());
        assert_eq!(error.class, OpenClass::Refused);
        assert_eq!(
            error.detail,
            "cannot connect to 127.0.0.1:9 for tcp/localhost: Connection refused; \
             [::1]:9: Connection refused"
        );
    });
}

/// `127.1` is no address to us, but the resolver knows it; so no entry of a hosts file is needed.
#[test]
fn a_name_is_looked_up_off_the_loop() {
    counted(|| {
        let server = Server::start(listen("127.0.0.1:0"), common::echo);
        let mut opener = opener(&to("tcp/127.1", server.port()), Choice::Auto);
        let mut attempt = opener.open(None);
        assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
        assert!(common::kind(attempt.source().unwrap()).starts_with("pipe:"));
        drop(attempt);
        for _ in 0..3 {
            expect_echo(&stream(opener.as_mut()));
        }
    });
}

#[test]
fn many_look_ups_of_a_name_take_one_thread() {
    counted(|| {
        let server = Server::start(listen("127.0.0.1:0"), common::echo);
        let mut opener = opener(&to("tcp/127.1", server.port()), Choice::Auto);
        let mut attempts: Vec<_> = (0..100).map(|_| opener.open(None)).collect();
        for attempt in &mut attempts {
            assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
        }
        let workers = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.starts_with("nsplice-offload"))
            .count();
        // Another test may have left one, for a moment.
        assert!((1..=2).contains(&workers), "{workers} threads");
        for attempt in &mut attempts {
            assert!(common::finish(attempt.as_mut()).is_ok());
        }
    });
}

#[test]
fn an_unknown_name_has_a_class_of_its_own() {
    counted(|| {
        let error = open(opener(&to("tcp/no-such-host.invalid", 80), Choice::Dial).as_mut());
        let error = error.map(|_| ()).unwrap_err();
        assert_eq!(error.class, OpenClass::NameUnknown);
        assert!(error.detail.contains("tcp/no-such-host.invalid"), "{error}");
    });
}
