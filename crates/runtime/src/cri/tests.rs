//! A CRI source against scripted runtimes: right, odd, slow and hostile ones. Real ones are in
//! `real.rs`.

use std::fs;
use std::os::unix::net::UnixListener;

use nsplice_testkit::grpc::{answer, GrpcServer, Reply};
use proptest::prelude::*;

use super::*;
use crate::protobuf::Writer;
use crate::sighting::{ClaimedPid, Kind, PodName, Runtime};

mod real;
mod script;

use script::{
    bare_status, containerd, ids, list, pod, sandbox, sandbox_status, version, Scene, NETNS,
};

#[test]
fn a_pod_is_its_sandboxes_with_all_that_leads_in() {
    let scene = Scene::new();
    let server = scene.serve(containerd);
    let seen = scene.find(&pod(Some("default"), "web")).unwrap();
    assert_eq!(ids(&seen), ["aaaa1111", "aaaa2222", "cccc1111", "dddd1111", "dddd2222"]);
    let name = PodName {
        namespace: Some("default".into()),
        name: Some("web".into()),
        uid: Some("uid-1".into()),
    };
    let expected = Sighting {
        pod: Some(name.clone()),
        handler: Some("runc".into()),
        state: State::Running,
        network: Network::Own,
        namespace: Some(NETNS.into()),
        pid: Some(ClaimedPid { pid: 4711, written: None }),
        addresses: vec!["10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap()],
        created: Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(2)),
        ..Sighting::of("aaaa2222", Kind::Sandbox, Runtime::Containerd)
    };
    assert_eq!(seen[1], expected);
    assert_eq!((seen[0].state, &seen[0].pid), (State::Stopped, &None));
    // Containers know their pod by the sandbox; the first that runs is asked for, because its files are
    // the pod's.
    assert_eq!((&seen[3].pod, &seen[3].handler), (&Some(name), &Some("runc".into())));
    let app = ClaimedPid { pid: 4712, written: None };
    assert_eq!((&seen[3].names[..], &seen[3].pid), (&["app".to_owned()][..], &Some(app)));
    assert_eq!((seen[4].state, &seen[4].pid), (State::Stopped, &None));
    let methods: Vec<_> = server
        .calls()
        .iter()
        .map(|(method, _)| method.rsplit('/').next().unwrap().to_owned())
        .collect();
    let lists = ["ListPodSandbox", "ListContainers"];
    let status = ["PodSandboxStatus", "ContainerStatus"];
    let expected =
        ["Version", lists[0], lists[0], lists[1], lists[1], status[0], status[0], status[1]];
    assert_eq!(methods, expected);
    assert_eq!(ids(&scene.find(&pod(None, "uid-3")).unwrap()), ["cccc1111"]);
    assert_eq!(ids(&scene.find(&pod(None, "wob")).unwrap()), [""; 0]);
    let node = scene.find(&pod(None, "node")).unwrap();
    assert_eq!((&node[0].network, &node[0].namespace), (&Network::Host, &None));
    let both = scene.find(&pod(None, "web")).unwrap();
    assert_eq!(both.iter().filter(|one| one.pid.is_some()).count(), 3, "{both:?}");
}

#[test]
fn a_container_is_found_by_name_and_by_the_beginning_of_its_id() {
    let scene = Scene::new();
    let _server = scene.serve(containerd);
    let seen = scene.find(&Wanted::Container("dddd1".into())).unwrap();
    assert_eq!(ids(&seen), ["aaaa2222", "dddd1111", "dddd2222"]);
    assert_eq!(seen[1].pid, Some(ClaimedPid { pid: 4712, written: None }));
    // The way through the sandbox's process is none of its own.
    let of_sandbox = Network::Of("aaaa2222".into());
    assert_eq!((&seen[1].network, &seen[1].namespace), (&of_sandbox, &None));
    let seen = scene.find(&Wanted::Bare("web".into())).unwrap();
    assert_eq!(ids(&seen), ["aaaa1111", "aaaa2222", "cccc1111", "dddd1111", "dddd2222"]);
    assert_eq!(scene.find(&Wanted::Docker("web".into())).unwrap(), []);
    assert_eq!(scene.find(&Wanted::Container("zzzz".into())).unwrap(), []);
    let all = scene.cri.list(&scene.root).unwrap();
    assert_eq!(all.len(), 7);
    assert!(all.iter().all(|one| one.pid.is_none()));
}

#[test]
fn what_is_asked_again_is_what_is_there_now() {
    let scene = Scene::new();
    let server = scene.serve(containerd);
    let again = |kind, id: &str| {
        scene.cri.again(&scene.root, &Sighting::of(id, kind, Runtime::Containerd)).unwrap()
    };
    let container = Kind::Container { sandbox: None };
    let now = again(Kind::Sandbox, "aaaa2222").unwrap();
    assert_eq!(now.pid, Some(ClaimedPid { pid: 4711, written: None }));
    let now = again(container.clone(), "dddd1111").unwrap();
    assert_eq!(now.pid, Some(ClaimedPid { pid: 4712, written: None }));
    // What only begins so is another one.
    assert_eq!(again(Kind::Sandbox, "aaaa"), None);
    // One that goes between the list and its status.
    assert_eq!(again(container, "eeee1111"), None);
    drop(server);
}

/// CRI-O without an infra container tells the path and no process, or in old versions nothing;
/// cri-dockerd tells nothing of a sandbox, and has it not ready in its status where it is in its
/// list.
#[test]
fn a_sandbox_that_tells_nothing_is_entered_by_a_container() {
    for (name, runtime, text) in [
        ("cri-o", Runtime::Crio, "{}"),
        ("docker", Runtime::Docker, ""),
        ("something", Runtime::Unknown, "null"),
    ] {
        let scene = Scene::new();
        let _server = scene.serve(move |method, message| match method {
            _ if method.ends_with("/Version") => version(name),
            _ if method.ends_with("/PodSandboxStatus") && text == "null" => {
                Reply::Message(Writer::new().finish())
            }
            _ if method.ends_with("/PodSandboxStatus") => bare_status(text),
            _ => containerd(method, message),
        });
        let seen = scene.find(&pod(None, "uid-1")).unwrap();
        assert_eq!(ids(&seen), ["aaaa1111", "aaaa2222", "dddd1111", "dddd2222"]);
        assert_eq!((seen[1].runtime, seen[1].state), (runtime, State::Running));
        assert_eq!((&seen[1].pid, &seen[1].network), (&None, &Network::Unknown));
        assert_eq!(seen[2].pid, Some(ClaimedPid { pid: 4712, written: None }), "{name}");
    }
}

/// The sandbox leads in, whatever becomes of the question about its container.
#[test]
fn a_container_that_cannot_be_asked_about_costs_no_pod() {
    for reply in [Reply::HangUp, Reply::Status(2, "no such shim"), Reply::Status(5, "not found")] {
        let scene = Scene::new();
        let _server = scene.serve(move |method, message| match method {
            _ if method.ends_with("/ContainerStatus") => reply.clone(),
            _ => containerd(method, message),
        });
        let seen = scene.find(&pod(Some("default"), "web")).unwrap();
        assert_eq!(seen[1].pid, Some(ClaimedPid { pid: 4711, written: None }));
        assert!(seen.iter().skip(2).all(|one| one.names != ["app"] || one.pid.is_none()));
    }
}

#[test]
fn an_older_version_of_cri_is_spoken_and_no_cri_is_no_source() {
    let scene = Scene::new();
    let server = scene.serve(|method, message| match method.replace("v1alpha2", "v1") {
        same if same == method => Reply::Status(12, "unknown service runtime.v1.RuntimeService"),
        v1 => containerd(&v1, message),
    });
    assert_eq!(scene.find(&pod(None, "uid-3")).unwrap().len(), 1);
    drop(server);
    fs::remove_file(scene.path()).unwrap();
    // The containerd of Docker, whose CRI is switched off.
    let _server = scene.serve(|_, _| Reply::Status(12, "unknown service"));
    assert_eq!(scene.cri.list(&scene.root), Err(SourceError::Absent));
}

#[test]
fn a_socket_where_nobody_answers_says_why() {
    let scene = Scene::new();
    assert_eq!(scene.cri.list(&scene.root), Err(SourceError::Absent));
    drop(UnixListener::bind(scene.path()).unwrap());
    let Err(SourceError::Failed(told)) = scene.cri.list(&scene.root) else { panic!() };
    let words = "Connection refused; does the container runtime run?";
    assert_eq!(told, words);
    fs::remove_file(scene.path()).unwrap();
    // Something else than a socket, and a link that leads out of the root.
    fs::write(scene.path(), "").unwrap();
    assert!(matches!(scene.cri.list(&scene.root), Err(SourceError::Failed(_))));
    fs::remove_file(scene.path()).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let _server = GrpcServer::start(&outside.path().join("c.sock"), containerd).unwrap();
    std::os::unix::fs::symlink(outside.path().join("c.sock"), scene.path()).unwrap();
    assert_eq!(scene.cri.list(&scene.root), Err(SourceError::Absent));
    assert!(scene.directory.path().exists());
}

#[test]
fn a_runtime_that_is_broken_is_told_as_one() {
    let scene = Scene::new();
    let id = nsplice_http2::StreamId;
    let table = [
        ("Version", Reply::HangUp, "the connection was closed"),
        ("ListPodSandbox", Reply::HangUp, "ListPodSandbox: the connection was closed"),
        (
            "ListPodSandbox",
            Reply::GoAway("too_many_pings\u{1b}[2J"),
            "ListPodSandbox: the server did not take the call: GOAWAY ENHANCE_YOUR_CALM: \
             too_many_pings\\u{1b}[2J",
        ),
        (
            "PodSandboxStatus",
            Reply::Status(2, "server is not initialized yet\n"),
            "PodSandboxStatus: UNKNOWN: server is not initialized yet\\n",
        ),
        ("Version", Reply::Status(14, "down"), "Version: UNAVAILABLE: down"),
        (
            "ListPodSandbox",
            Reply::Endless(100 << 20),
            "ListPodSandbox: the answer has 104857600 bytes, more than 16777216",
        ),
        // Another protocol, and an answer to another call.
        ("Version", Reply::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "a type 45 frame has"),
        ("Version", Reply::Bytes(answer(id(7), b"")), "stream 7, which was never opened"),
    ];
    for (method, reply, words) in table {
        let told = scene.told(method, reply);
        assert!(told.contains(words), "{words}\n{told}");
    }
    // One of HTTP/1, which says so before it hangs up.
    let listener = UnixListener::bind(scene.path()).unwrap();
    let http = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").unwrap();
    });
    let Err(SourceError::Failed(told)) = scene.cri.list(&scene.root) else { panic!() };
    assert_eq!(told, "Version: this is HTTP/1, not HTTP/2");
    http.join().unwrap();
}

#[test]
fn a_runtime_that_is_slow_is_waited_for_so_long() {
    let mut scene = Scene::new();
    scene.cri.within = Duration::from_millis(300);
    let pause = Duration::from_millis(20);
    for reply in [Reply::Silence, Reply::Trickle(vec![0; 100_000], pause), Reply::Bytes(Vec::new())]
    {
        for method in ["Version", "ListPodSandbox", "PodSandboxStatus"] {
            let told = scene.told(method, reply.clone());
            assert_eq!(told, format!("{method}: no response within 300 ms"));
        }
    }
    // A backlog that is full.
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(scene.path()).unwrap()).unwrap();
    socket.listen(0).unwrap();
    let _waiting = std::os::unix::net::UnixStream::connect(scene.path()).unwrap();
    let told = scene.cri.list(&scene.root).unwrap_err();
    assert_eq!(told, SourceError::Failed("no response within 300 ms".into()));
}

#[test]
fn what_has_the_wrong_type_is_named() {
    let scene = Scene::new();
    let message = |writer: Writer| Reply::Message(writer.finish());
    let item = |writer: Writer| message(Writer::new().message(1, writer));
    let status = |writer: Writer| item(writer);
    let good = || sandbox("aaaa", ["web", "u", "n"], 0, 0);
    let table = [
        (
            "Version",
            message(Writer::new().number(2, 7u32)),
            "VersionResponse.runtime_name (field 2)",
        ),
        ("ListPodSandbox", message(Writer::new().number(1, 7u32)), "ListPodSandboxResponse.items"),
        (
            "ListPodSandbox",
            item(Writer::new().number(1, 7u32)),
            "PodSandbox.id (field 1) is a number",
        ),
        ("ListPodSandbox", item(Writer::new()), "PodSandbox.id is missing"),
        ("ListPodSandbox", item(Writer::new().text(3, "x")), "PodSandbox.state (field 3) is text"),
        (
            "ListPodSandbox",
            item(good().message(2, Writer::new().number(1, 1u32))),
            "PodSandboxMetadata.name (field 1) is a number where text is wanted",
        ),
        ("ListPodSandbox", Reply::Message(vec![0x0a, 9, 1]), "ends in the middle of a field"),
        ("ListPodSandbox", list((0..20_001).map(|_| good())), "has more than 20000 entries"),
        ("ListContainers", item(Writer::new().text(6, "x")), "Container.state (field 6) is text"),
        ("ListContainers", item(Writer::new().text(2, "x")), "Container.id is missing"),
        (
            "ListContainers",
            item(Writer::new().message(3, Writer::new().number(1, 1u32))),
            "ContainerMetadata.name",
        ),
        ("ListContainers", item(Writer::new().number(8, 1u32)), "Container.labels (field 8)"),
        (
            "PodSandboxStatus",
            message(Writer::new().number(1, 1u32)),
            "PodSandboxStatusResponse.status",
        ),
        (
            "PodSandboxStatus",
            message(Writer::new().number(2, 1u32)),
            "PodSandboxStatusResponse.info",
        ),
        (
            "PodSandboxStatus",
            status(Writer::new().message(5, Writer::new().number(1, 1u32))),
            "PodSandboxNetworkStatus.ip (field 1)",
        ),
        (
            "PodSandboxStatus",
            status(Writer::new().message(5, Writer::new().text(1, "10.0.0.7\u{7}"))),
            "unexpected addresses `10.0.0.7\\u{7}`",
        ),
        (
            "PodSandboxStatus",
            status(Writer::new().message(
                5,
                (0..65).fold(Writer::new(), |all, _| all.message(2, Writer::new().text(1, "::1"))),
            )),
            "additional_ips has more than 64 entries",
        ),
        (
            "PodSandboxStatus",
            status(Writer::new().text(6, "\u{1}")),
            "LinuxPodSandboxStatus is malformed",
        ),
        (
            "PodSandboxStatus",
            sandbox_status(0, r#"{"pid":"7"}"#),
            "unexpected info about aaaa2222: invalid type: string \"7\", expected u32",
        ),
        ("PodSandboxStatus", sandbox_status(0, "{"), "unexpected info about aaaa2222: EOF"),
    ];
    for (method, reply, words) in table {
        let told = scene.told(method, reply);
        assert!(told.starts_with(&format!("{method}: unexpected ")), "{told}");
        assert!(told.contains(words), "{words}\n{told}");
    }
}

proptest! {
    #[test]
    fn whatever_a_runtime_says_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        field in 1u32..12,
    ) {
        use message::{each_container, each_sandbox, ContainerStatus, PodSandboxStatus};
        // As it is, and as what one field of an item is.
        let text = String::from_utf8_lossy(&bytes);
        let inner = Writer::new().text(field, &text);
        let nested = Writer::new().message(1, Writer::new().text(1, "id").message(field, inner));
        for bytes in [bytes, nested.finish()] {
            let _ = each_sandbox(&bytes, |_| ());
            let _ = each_container(&bytes, |_| ());
            let _ = PodSandboxStatus::read(&bytes).map(|status| info::Info::read(status.info));
            let _ = ContainerStatus::read(&bytes);
        }
    }
}

#[test]
fn filters_are_those_of_the_api() {
    assert_eq!(Filter::default().of_sandboxes(), [0x0a, 0]);
    let ready = Filter { running: true, ..Filter::default() };
    assert_eq!(ready.of_sandboxes(), [0x0a, 2, 0x12, 0]);
    assert_eq!(ready.of_containers(), [0x0a, 4, 0x12, 2, 0x08, 1]);
    let labels = [("a", "b")];
    let filter = Filter { id: "i", pod_sandbox_id: "p", labels: &labels, ..Filter::default() };
    assert_eq!(filter.of_sandboxes(), b"\x0a\x0b\x0a\x01i\x1a\x06\x0a\x01a\x12\x01b");
    assert_eq!(filter.of_containers(), b"\x0a\x0e\x0a\x01i\x1a\x01p\x22\x06\x0a\x01a\x12\x01b");
}
