use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::http::MAX_RESPONSE;
use crate::sighting::{Kind, Network};

/// An engine that gives `answers` in turn, one per connection, and holds each connection open until the
/// asker has gone; and the paths that it was asked for.
fn scripted(
    flavour: Flavour,
    answers: Vec<Vec<u8>>,
) -> (tempfile::TempDir, Engine, mpsc::Receiver<String>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (asked, paths) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let path =
                request.strip_prefix("GET ").and_then(|rest| rest.split_once(' ')).unwrap().0;
            let _ = asked.send(path.to_owned());
            // The asker may hang up in the middle of what is too long for it.
            let _ = stream.write_all(&answer);
            let _ = stream.read(&mut byte);
        }
    });
    let engine = Engine {
        within: Duration::from_millis(300),
        ..Engine::at(flavour, Standing::Named, socket)
    };
    (directory, engine, paths)
}

fn ok(json: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{json}", json.len()).into_bytes()
}

fn missing() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}".to_vec()
}

fn root() -> Root {
    Root::own().unwrap()
}

fn find(
    answers: Vec<Vec<u8>>,
    wanted: &Wanted,
) -> (Result<Vec<Sighting>, SourceError>, Vec<String>) {
    let (_directory, docker, paths) = scripted(Flavour::Docker, answers);
    let found = docker.find(&root(), wanted);
    (found, paths.try_iter().collect())
}

#[test]
fn a_container_of_docker_is_one_question() {
    let web = r#"{"Id":"abc123","Name":"/web","State":{"Running":true,"Pid":7,"Status":"running"},
        "HostConfig":{"NetworkMode":"bridge","Runtime":"runc"},"Config":{"Labels":{"a":"b"}},
        "NetworkSettings":{"IPAddress":"172.17.0.2","Networks":{"bridge":{"IPAddress":"172.17.0.2",
        "GlobalIPv6Address":"fd00::2"},"none":null}}}"#;
    let (found, asked) = find(vec![ok(web)], &Wanted::docker("web").unwrap());
    assert_eq!(asked, ["/containers/web/json"]);
    let found = found.unwrap();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.id.as_str(), one.names.as_slice()), ("abc123", &["web".to_owned()][..]));
    assert_eq!((one.state, one.pid.as_ref().unwrap().pid), (State::Running, 7));
    assert_eq!((&one.network, one.handler.as_deref()), (&Network::Own, Some("runc")));
    let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["172.17.0.2", "fd00::2"]);
}

#[test]
fn a_pod_of_docker_is_asked_for_by_its_labels() {
    let listed = r#"[{"Id":"c1","Names":["/k8s_app_web_default_u_0"],"State":"running","Labels":{
        "io.kubernetes.pod.name":"web","io.kubernetes.pod.namespace":"default",
        "io.kubernetes.container.name":"app","io.kubernetes.docker.type":"container",
        "io.kubernetes.sandbox.id":"s1"},"HostConfig":{"NetworkMode":"container:s1"}},
        {"Id":"s1","Names":["/k8s_POD_web_default_u_0"],"State":"running","Labels":{
        "io.kubernetes.pod.name":"web","io.kubernetes.pod.namespace":"default",
        "io.kubernetes.pod.uid":"u","io.kubernetes.docker.type":"podsandbox"}}]"#;
    let running = |id: &str, pid: u32| {
        ok(&format!(r#"{{"Id":"{id}","State":{{"Running":true,"Pid":{pid}}}}}"#))
    };
    let answers = vec![ok(listed), running("c1", 8), running("s1", 9)];
    let (found, asked) = find(answers, &Wanted::pod("default/web").unwrap());
    let filters =
        "%7B%22label%22%3A%5B%22io.kubernetes.pod.name%3Dweb%22%2C%22io.kubernetes.pod.namespace\
        %3Ddefault%22%5D%7D";
    let expected = [
        format!("/containers/json?all=1&filters={filters}"),
        "/containers/c1/json".into(),
        "/containers/s1/json".into(),
    ];
    assert_eq!(asked, expected);
    let found = found.unwrap();
    assert_eq!(found[0].kind, Kind::Container { sandbox: Some("s1".into()) });
    assert_eq!((&found[1].kind, found[1].pid.as_ref().unwrap().pid), (&Kind::Sandbox, 9));
    let pod = found[1].pod.as_ref().unwrap();
    assert_eq!((pod.namespace.as_deref(), pod.uid.as_deref()), (Some("default"), Some("u")));
}

#[test]
fn podman_lists_with_pids_and_knows_its_pods() {
    let listed = r#"[{"Id":"i1","Names":["p-infra"],"Pid":5,"Pod":"p1","PodName":"mypod","IsInfra":true,
        "State":"running","Labels":null},{"Id":"c1","Names":["inpod"],"Pid":6,"Pod":"p1",
        "PodName":"mypod","IsInfra":false,"State":"running"},
        {"Id":"c2","Names":["other"],"Pid":0,"Pod":"","PodName":"","State":"exited"}]"#;
    let inspected = |id: &str, pid: u32| {
        let mode = "none";
        ok(&format!(
            r#"{{"Id":"{id}","State":{{"Running":true,"Pid":{pid}}},"Name":"x","OCIRuntime":"crun",
            "HostConfig":{{"NetworkMode":"{mode}","Runtime":"oci"}}}}"#
        ))
    };
    let answers = vec![ok(listed), inspected("i1", 5), inspected("c1", 6)];
    let (_directory, podman, paths) = scripted(Flavour::Podman, answers);
    let found = podman.find(&root(), &Wanted::pod("mypod").unwrap()).unwrap();
    let asked: Vec<String> = paths.try_iter().collect();
    assert_eq!(asked[0], "/v4.0.0/libpod/containers/json?all=true");
    assert_eq!(asked[1], "/v4.0.0/libpod/containers/i1/json");
    assert_eq!((&found[0].kind, found[0].handler.as_deref()), (&Kind::Sandbox, Some("crun")));
    assert_eq!(found[1].kind, Kind::Container { sandbox: Some("i1".into()) });
    assert_eq!(found[1].pod.as_ref().unwrap().name.as_deref(), Some("mypod"));
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_not_there_is_no_failure() {
    let (found, _) = find(vec![missing()], &Wanted::docker("web").unwrap());
    assert_eq!(found, Ok(Vec::new()));
    let (found, asked) = find(vec![missing(), ok("[]")], &Wanted::container("app").unwrap());
    assert_eq!(found, Ok(Vec::new()));
    assert!(asked[1].contains("io.kubernetes.container.name%3Dapp"), "{asked:?}");
    for state in [r#"{"Running":false,"Pid":0}"#, r#"{"Running":true,"Pid":0}"#] {
        let answer = ok(&format!(r#"{{"Id":"abc123","State":{state}}}"#));
        let (found, _) = find(vec![answer], &Wanted::docker("web").unwrap());
        let found = found.unwrap();
        assert_eq!((found[0].state, &found[0].pid), (State::Stopped, &None));
    }
}

#[test]
fn the_beginning_of_several_ids_is_told_as_several() {
    let said = r#"{"message":"multiple IDs found: abc"}"#;
    let refused = String::from_utf8(ok(said)).unwrap().replace("200 OK", "500 X").into_bytes();
    let listed = r#"[{"Id":"abc1","State":"running"},{"Id":"abc2","State":"running"},{"Id":"b"}]"#;
    let (found, _) = find(vec![refused.clone(), ok(listed)], &Wanted::docker("abc").unwrap());
    assert_eq!(found.unwrap().len(), 2);
    let (found, _) = find(vec![refused, ok("[]")], &Wanted::docker("abc").unwrap());
    assert!(
        matches!(&found, Err(SourceError::Failed(told)) if told.contains("multiple IDs")),
        "{found:?}"
    );
}

#[test]
fn a_broken_engine_is_told_as_one_and_in_time() {
    let complaint =
        b"HTTP/1.1 500 X\r\nContent-Length: 22\r\n\r\n{\"message\":\"on fire\"}\r\n".to_vec();
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let endless = [head, vec![b' '; MAX_RESPONSE + (1 << 20)]].concat();
    let table: [(Vec<u8>, &str); 8] = [
        (b"SSH-2.0-x\r\n\r\n".to_vec(), "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_vec(), "within 300 ms"),
        (Vec::new(), "within 300 ms"),
        (ok("nonsense"), "unexpected response from Docker"),
        (ok(r#"{"Id":"x","State":{"Running":true,"Pid":-5}}"#), "unexpected response from Docker"),
        (vec![b'x'; MAX_RESPONSE + 1], "not an HTTP response"),
        (complaint, "status 500: on fire"),
        (endless, "longer than"),
    ];
    for (answer, words) in table {
        let (found, _) = find(vec![answer], &Wanted::docker("web").unwrap());
        let Err(SourceError::Failed(told)) = found else { panic!("{words}: {found:?}") };
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn only_unix_sockets_are_hosts() {
    let docker = Engine::of_host(OsStr::new("unix:///run/d.sock")).unwrap();
    assert_eq!(docker.socket(), Path::new("/run/d.sock"));
    for host in ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://relative", "/var/run/x", ""] {
        let told = Engine::of_host(OsStr::new(host)).unwrap_err().to_string();
        assert!(told.contains("only unix:///PATH is supported"), "{told}");
    }
}

#[test]
fn an_engine_that_is_not_there_is_absent() {
    let docker = Engine::of_host(OsStr::new("unix:///nonexistent/docker.sock")).unwrap();
    assert_eq!(docker.list(&root()), Err(SourceError::Absent));
    assert_eq!(
        Engine::at(Flavour::Podman, Standing::Node, "/nonexistent").list(&root()),
        Err(SourceError::Absent)
    );
}
