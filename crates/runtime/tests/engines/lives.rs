//! A container's lives: made, stopped, started, renamed, replaced.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nsplice_runtime::{Directory, Found, Place, Root, Unfound, Wanted, Why};
use nsplice_testkit::engine::{Container, Engine, Kind};

const KINDS: [Kind; 2] = [Kind::Docker, Kind::Podman];

/// The directory of the machine that `engine` stands in for.
fn directory(engine: &Engine) -> Directory {
    let root = Root::at(engine.directory()).expect("a root").with_proc(Path::new("/proc"));
    Directory::of(root, None)
}

fn wanted(name: &str) -> Wanted {
    Wanted::container(name).expect("a name")
}

/// That `found` is the container, by its process and namespace.
#[track_caller]
fn expect(found: Result<Found, Unfound>, container: &Container) -> Found {
    let found = found.unwrap_or_else(|error| panic!("{}: {error}", container.name()));
    let (pid, namespace) = container.place();
    assert_eq!(found.id, container.id());
    let Place::Process(process) = &found.place else { panic!("{found:?}") };
    assert_eq!(process.pid(), pid);
    let identity = process.identity().expect("an identity").to_string();
    assert_eq!(Path::new(&identity), namespace);
    assert!(found.is_alive());
    found
}

/// Both engines, each with a name that no other test uses.
fn engines(test: &str) -> impl Iterator<Item = (Kind, Arc<Engine>)> + use<'_> {
    KINDS.into_iter().filter_map(move |kind| Some((kind, Engine::for_test(kind, test)?)))
}

#[test]
fn a_container_is_found_by_name_by_id_and_by_the_beginning_of_its_id() {
    for (kind, engine) in engines("a_container_is_found_by_name_by_id") {
        let container = engine.container("named");
        let directory = directory(&engine);
        let id = container.id();
        for name in ["named", id, &id[..12]] {
            let found = expect(directory.find(&wanted(name)), &container);
            assert_eq!(found.labels.container.as_deref(), Some("named"), "{kind:?}");
        }
        expect(directory.find(&Wanted::bare("named").unwrap()), &container);
        let told = directory.find(&wanted("namde")).unwrap_err().to_string();
        assert!(told.contains("(did you mean `container/named`?)"), "{kind:?}: {told}");
        assert!(told.contains("searched "), "{kind:?}: {told}");
    }
}

#[test]
fn a_container_is_followed_through_its_lives() {
    for (kind, engine) in engines("a_container_is_followed_through_its_lives") {
        let directory = directory(&engine);
        let (first, find) = (engine.container("lived"), || directory.find(&wanted("lived")));
        let before = expect(find(), &first);
        first.stop();
        assert!(!before.is_alive(), "{kind:?}");
        let error = find().unwrap_err();
        assert!(matches!(&error.why, Why::Stopped { id } if id == first.id()), "{kind:?}: {error}");
        assert!(error.to_string().contains("container not running"), "{kind:?}: {error}");
        first.start();
        let after = expect(find(), &first);
        assert!(after.is_alive() && !before.is_alive(), "{kind:?}");

        engine.run(["rename", "lived", "renamed"]);
        assert!(matches!(find().unwrap_err().why, Why::NoSuch { .. }), "{kind:?}");
        expect(directory.find(&wanted("renamed")), &first);
        // Another takes the name.
        let second = engine.container("lived");
        assert_ne!(second.id(), first.id());
        expect(find(), &second);
        expect(directory.find(&wanted(first.id())), &first);

        let gone = first.id().to_owned();
        drop(first);
        assert!(!after.is_alive(), "{kind:?}");
        let told = directory.find(&wanted(&gone)).unwrap_err();
        assert!(matches!(told.why, Why::NoSuch { .. }), "{kind:?}: {told}");
        expect(find(), &second);
    }
}

#[test]
fn what_an_engine_keeps_on_disk_is_enough() {
    for (kind, engine) in engines("what_an_engine_keeps_on_disk_is_enough") {
        // What is on disk is looked at as if nobody answered.
        let copy = tempfile::tempdir().unwrap();
        let container = engine.container("kept");
        for path in ["run", "var"] {
            let status = std::process::Command::new("cp")
                .args(["-a", "--one-file-system", "--no-target-directory"])
                .arg(engine.directory().join(path))
                .arg(copy.path().join(path))
                .stderr(std::process::Stdio::null())
                .status();
            // What goes while it is copied does not matter.
            status.unwrap();
        }
        for socket in ["var/run/docker.sock", "run/podman/podman.sock"] {
            let _ = fs::remove_file(copy.path().join(socket));
        }
        let root = Root::at(copy.path()).unwrap().with_proc(Path::new("/proc"));
        let directory = Directory::of(root, None);
        for name in ["kept", container.id(), &container.id()[..12]] {
            expect(directory.find(&wanted(name)), &container);
        }
        container.stop();
        let error = directory.find(&wanted("kept")).unwrap_err();
        assert!(matches!(error.why, Why::Stopped { .. }), "{kind:?}: {error}");
    }
}

#[test]
fn a_container_of_the_hosts_network_is_at_home() {
    let Some(engine) = Engine::for_test(Kind::Docker, "a_container_of_the_hosts_network") else {
        return;
    };
    // A port of its own: it is everybody's.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let container = engine.container_with("at-home", &["--network", "host"], port);
    let root = Root::own().unwrap();
    let directory = Directory::of(root, Some(engine.host().into()));
    let found = directory.find(&Wanted::docker("at-home").unwrap()).unwrap();
    assert!(matches!(found.place, Place::Home), "{found:?}");
    assert!(found.is_alive());
    container.stop();
    assert!(!found.is_alive());
}

#[test]
fn a_pod_of_podman_is_found_and_so_are_its_containers() {
    let Some(engine) = Engine::for_test(Kind::Podman, "a_pod_of_podman_is_found") else { return };
    let infra = ["--infra-image", engine.image(), "--infra-command", "/bin/sleep 100000"];
    let args = ["pod", "create", "--name", "mypod", "--network", "none"].into_iter().chain(infra);
    engine.run(args);
    let container = engine.container_with("inpod", &["--pod", "mypod"], 7000);
    let (pid, namespace) = container.place();
    let directory = directory(&engine);
    let pod = directory.find(&Wanted::pod("mypod").unwrap()).unwrap();
    assert_eq!(pod.labels.pod.as_deref(), Some("mypod"));
    let Place::Process(process) = &pod.place else { panic!("{pod:?}") };
    assert_ne!(process.pid(), pid, "the pod is its infra container");
    assert_eq!(process.identity().unwrap().to_string(), namespace.to_str().unwrap());
    let inside = expect(directory.find(&wanted("inpod")), &container);
    assert_eq!(inside.labels.pod.as_deref(), Some("mypod"));
    engine.run(["pod", "rm", "--force", "--time", "0", "mypod"]);
    assert!(!pod.is_alive() && !inside.is_alive());
    assert!(directory.find(&Wanted::pod("mypod").unwrap()).unwrap_err().is_missing());
}
