//! Containers of Docker, told by a Unix socket that answers as dockerd does.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Instant;

use common::{counted, expect_echo, failure, open, pool, stream, to, Piped};
use nsplice_backend::{BackendError, Choice, Destination, ErrorKind, Expected, Options, Plan};
use nsplice_relay::{OpenClass, Opener, Progress, Upstream, Wake};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{listen, wait_until, Dockerd, Namespace, Server};

const ID: &str = "c0ffee";

/// A Docker with one container, `web`.
fn docker(pid: u32) -> Dockerd {
    let dockerd = Dockerd::start();
    dockerd.runs("web", ID, pid);
    dockerd
}

/// A node of which `dockerd` is all there is.
fn options(dockerd: &Dockerd) -> Options {
    let root = dockerd.directory();
    let _ = symlink("/proc", root.join("proc"));
    Options { docker_host: Some(dockerd.host()), root: Some(root.to_owned()), ..Options::default() }
}

fn plan(
    dockerd: &Dockerd,
    destination: &Destination,
    choice: Choice,
) -> Result<Plan, BackendError> {
    Plan::prepare(destination, choice, &options(dockerd), pool())
}

/// An opener for `docker/web`, expected to be wanted for long.
fn opener(dockerd: &Dockerd, port: u16) -> Box<dyn Opener> {
    let destination = to("docker/web", port);
    let expected = Expected::new(&destination, Choice::Auto, &options(dockerd), pool());
    Plan::from(expected.look().expect("a plan")).opener().expect("an opener")
}

/// Waits until what is opened is there.
fn expect_to_come(opener: &mut dyn Opener) {
    wait_until("it to be found", || open(opener).is_ok());
}

#[test]
fn a_container_is_followed_through_a_restart() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_container_is_followed") else { return };
        if require_tool("a_container_is_followed", "socat").is_none() {
            return;
        }
        let dockerd = docker(namespace.pid());
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let port = server.port();
        let plans = [Choice::Auto, Choice::External]
            .map(|choice| plan(&dockerd, &to("docker/web", port), choice).unwrap());
        assert_eq!(plans[0].backend(), "setns");
        let identity = plans[0].identity().unwrap();
        assert_eq!((identity.device, identity.inode), namespace.identity());
        let [mut setns, mut external] = plans.each_ref().map(|plan| plan.opener().unwrap());
        let both_work = |setns: &mut dyn Opener, external: &mut dyn Opener| {
            expect_echo(&stream(setns));
            let piped = Piped::open(external);
            piped.say("hello\n");
            assert_eq!(piped.line(), "hello");
        };
        both_work(setns.as_mut(), external.as_mut());
        drop(server);

        // Stopped: whoever asks is told so, and the loop does not wait for the answer.
        dockerd.runs("web", ID, 0);
        namespace.remove();
        for opener in [&mut setns, &mut external] {
            assert!(matches!(opener.open(None).advance(Wake::START), Progress::Waiting));
            let error = failure(opener.as_mut());
            assert_eq!(error.class, OpenClass::TargetGone);
            assert_eq!(error.detail, "docker/web: container not running (c0ffee)");
        }

        // Started again: another process, another namespace, the same openers.
        namespace.restart().unwrap();
        dockerd.runs("web", ID, namespace.pid());
        let address = format!("127.0.0.1:{port}");
        let _server = Server::in_namespace(&namespace, &address, common::echo);
        expect_to_come(setns.as_mut());
        both_work(setns.as_mut(), external.as_mut());
        let known = setns.open(None).advance(Wake::START);
        assert!(matches!(known, Progress::Open(_)), "nobody is asked any more: {known:?}");
    });
}

/// All plans for one container, on as many threads, are one question.
#[test]
fn plans_made_side_by_side_ask_once() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("plans_made_side_by_side_ask_once") else {
            return;
        };
        let dockerd = docker(namespace.pid());
        let silence = dockerd.silence();
        thread::scope(|scope| {
            let plans: Vec<_> = (1..=20)
                .map(|port| {
                    let expected = Expected::new(
                        &to("docker/web", port),
                        Choice::Auto,
                        &options(&dockerd),
                        pool(),
                    );
                    scope.spawn(move || expected.look().map(|settled| settled.backend()))
                })
                .collect();
            wait_until("the question", || dockerd.asked() == 1);
            drop(silence);
            assert!(plans.into_iter().all(|plan| plan.join().unwrap() == Ok("setns")));
        });
        // Where it runs, and whether it still does; once more if its events are listened to by now.
        assert!(dockerd.asked() <= 4, "{} questions", dockerd.asked());
    });
}

/// A Docker that says nothing is asked once, for all links of all forwards, and nobody else waits.
#[test]
fn a_stuck_docker_holds_up_nobody_who_does_not_ask_it() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_stuck_docker_holds_up") else { return };
        let dockerd = docker(namespace.pid());
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let port = server.port();
        let mut openers = [(); 2].map(|()| {
            plan(&dockerd, &to("docker/web", port), Choice::Auto).unwrap().opener().unwrap()
        });
        drop(server);
        namespace.restart().unwrap();
        let _server = Server::in_namespace(&namespace, &format!("127.0.0.1:{port}"), common::echo);
        let silence = dockerd.silence();
        let before = dockerd.asked();
        let asked = || dockerd.asked() - before;
        let mut waiting: Vec<_> = (0..20).map(|index| openers[index % 2].open(None)).collect();
        for attempt in &mut waiting {
            assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
        }
        wait_until("the question", || asked() == 1);
        let other = Server::start(listen("127.0.0.1:0"), common::echo);
        let mut named = common::opener(&to("tcp/127.1", other.port()), Choice::Dial);
        expect_echo(&stream(named.as_mut()));
        let wake = Wake { readable: true, ..Wake::START };
        assert!(waiting.iter_mut().all(|each| matches!(each.advance(wake), Progress::Pending)));
        dockerd.runs("web", ID, namespace.pid());
        drop(silence);
        for attempt in &mut waiting {
            let opened = common::finish(attempt.as_mut());
            assert!(matches!(opened, Ok(Upstream::Stream(_))), "{opened:?}");
        }
        // Where it runs, and whether it still does.
        assert_eq!(asked(), 2);
    });
}

/// Looks that find nothing double their distance, so in all the time that clients come there are few; and
/// as soon as a container is started on the node, the first who comes finds it.
#[test]
fn a_gone_target_is_asked_for_seldom_and_found_at_once() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_gone_target_is_asked_for_seldom") else {
            return;
        };
        let dockerd = docker(namespace.pid());
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let port = server.port();
        let mut opener =
            plan(&dockerd, &to("docker/web", port), Choice::Auto).unwrap().opener().unwrap();
        drop(server);
        dockerd.runs("web", ID, 0);
        namespace.remove();
        let (before, since) = (dockerd.asked(), Instant::now());
        let asked = || dockerd.asked() - before;
        let mut refused = 0;
        wait_until("five looks", || {
            let error = failure(opener.as_mut());
            assert_eq!(error.class, OpenClass::TargetGone, "{error:?}");
            refused += 1;
            asked() >= 5
        });
        // 100, 200, 400 and 800 ms lie between them.
        assert!(since.elapsed().as_millis() >= 1500, "{:?}", since.elapsed());
        assert!(refused > 5, "others were told what was found before");

        // The next look is due in more than a second.
        let most = asked() + 2;
        namespace.restart().unwrap();
        let _server = Server::in_namespace(&namespace, &format!("127.0.0.1:{port}"), common::echo);
        dockerd.runs("web", ID, namespace.pid());
        let sign = "run/containerd/io.containerd.runtime.v2.task/moby/c0ffee";
        fs::create_dir_all(dockerd.directory().join(sign)).unwrap();
        expect_echo(&stream(opener.as_mut()));
        assert!(asked() <= most, "{} and not {most}", asked());
    });
}

/// Docker says by itself when names change, and whoever holds one looks again.
#[test]
fn a_container_that_has_another_name_is_let_go() {
    counted(|| {
        let test = "a_container_that_has_another_name_is_let_go";
        let (Some(first), Some(second)) = (Namespace::for_test(test), Namespace::for_test(test))
        else {
            return;
        };
        let dockerd = docker(first.pid());
        let old = Server::in_namespace(&first, "127.0.0.1:0", common::echo);
        let address = format!("127.0.0.1:{}", old.port());
        let new = Server::in_namespace(&second, &address, common::echo);
        let mut opener = opener(&dockerd, old.port());
        wait_until("somebody listens", || dockerd.hearers() == 1);
        let mut links = 0;
        // When listening has begun, it is asked once more.
        wait_until("nobody is asked any more", || {
            let before = dockerd.asked();
            expect_echo(&stream(opener.as_mut()));
            links += 1;
            dockerd.asked() == before
        });

        // The first has another name and lives on; there is no `web`, then another one.
        dockerd.runs("old", ID, first.pid());
        dockerd.say(r#"{"Type":"container","Action":"rename"}"#);
        wait_until("it is let go", || match open(opener.as_mut()) {
            Ok(_) => {
                links += 1;
                false
            }
            Err(_) => true,
        });
        assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone);
        dockerd.runs("web", "beef", second.pid());
        dockerd.say(r#"{"Type":"container","Action":"start"}"#);
        expect_to_come(opener.as_mut());
        expect_echo(&stream(opener.as_mut()));
        wait_until("all links to the first", || old.accepted() == links);
        assert!(new.accepted() >= 1);

        // One that cannot be asked is no reason to let go of what lives.
        dockerd.say(r#"{"Type":"container","Action":"rename"}"#);
        let [socket, away] = ["docker.sock", "away"].map(|name| dockerd.directory().join(name));
        fs::rename(&socket, &away).unwrap();
        expect_echo(&stream(opener.as_mut()));
        fs::rename(&away, &socket).unwrap();
        assert_eq!(old.accepted(), links, "a link to the one that has another name");
    });
}

#[test]
fn what_docker_cannot_find_is_no_target() {
    counted(|| {
        let dockerd = docker(0);
        for (name, words) in [
            ("web", "docker/web: container not running (c0ffee)"),
            ("other", "docker/other: no such container: other"),
        ] {
            let error =
                plan(&dockerd, &to(format!("docker/{name}"), 80), Choice::Auto).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
            assert!(error.to_string().starts_with(words), "{error}");
        }
    });
}
