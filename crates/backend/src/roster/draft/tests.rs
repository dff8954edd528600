use std::net::IpAddr;

use nsplice_runtime::owners::Owner;
use proptest::prelude::*;

use super::*;

fn namespace(inode: u64) -> Identity {
    Identity { device: 4, inode }
}

fn draft(kind: EntryKind, id: &str, identity: Option<u64>) -> Draft {
    let target = match kind {
        EntryKind::Pod => format!("pod/default/{id}"),
        EntryKind::Container => format!("container/{id}"),
        EntryKind::Netns => format!("netns/{id}"),
    };
    let entry = Entry {
        target: Some(target),
        kind,
        name: id.to_owned(),
        namespace: None,
        pod: None,
        id: Some(id.to_owned()),
        runtime: None,
        pid: None,
        network: NetworkKind::Own,
        network_namespace: identity.map(namespace),
        shares: None,
        addresses: Vec::new(),
        ports: None,
    };
    let (network, members) = (Network::Unknown, vec![id.to_owned()]);
    Draft { entry, pod: None, network, created: None, members, listeners: None }
}

fn container(id: &str, pod: &str, identity: Option<u64>) -> Draft {
    let draft = draft(EntryKind::Container, id, identity);
    Draft { pod: Some(pod.to_owned()), ..draft }
}

fn host(mut draft: Draft) -> Draft {
    draft.entry.network = NetworkKind::Host;
    draft
}

fn listener(address: &str, port: u16, inode: u32) -> Listener {
    Listener { port, address: address.parse().unwrap(), only_ipv6: false, inode }
}

fn view(listeners: Vec<Listener>) -> View {
    View { listeners: Some(listeners), addresses: vec!["10.0.0.7".parse().unwrap()] }
}

fn owner(pid: u32, container: &str) -> Owner {
    Owner { pid, name: format!("p{pid}"), container: Some(container.to_owned()) }
}

/// The entries in short: the target, whose network it has, whom it shares it with, its ports.
fn told(drafts: Vec<Draft>, views: &Views, owners: &Owners) -> Vec<String> {
    let of = |entry: Entry| {
        let ports = entry.ports.map(|ports| {
            let ports = ports.iter().map(|port| {
                let local = if port.localhost_only { " local" } else { "" };
                let process = port.process.as_ref().map_or("?", |process| &process.name);
                format!("{}:{} {process}{local}", port.address, port.port)
            });
            ports.collect::<Vec<_>>().join(", ")
        });
        let shares = entry.shares.map(|shares| format!(" as {shares}")).unwrap_or_default();
        format!("{} {:?}{shares} {}", entry.name, entry.network, ports.as_deref().unwrap_or("-"))
    };
    entries(drafts, views, owners).into_iter().map(of).collect()
}

#[test]
fn the_ports_of_a_network_are_listed_once_with_the_pod() {
    let drafts = vec![
        container("app", "web", Some(1)),
        draft(EntryKind::Pod, "web", Some(1)),
        draft(EntryKind::Container, "lone", Some(2)),
        Draft {
            network: Network::Of("lone".to_owned()),
            ..draft(EntryKind::Container, "beside", Some(2))
        },
        draft(EntryKind::Netns, "blue", Some(3)),
    ];
    let views = Views::from([
        (namespace(1), view(vec![listener("127.0.0.1", 80, 11), listener("::", 81, 12)])),
        (namespace(2), view(Vec::new())),
        (namespace(3), View::default()),
    ]);
    let found = HashMap::from([(11, owner(7, "app"))]);
    let owners = Owners { found, ..Owners::default() };
    assert_eq!(
        told(drafts.clone(), &views, &owners),
        [
            "web Own 127.0.0.1:80 p7 local, :::81 ?",
            "app Shared as pod/default/web -",
            "beside Shared as container/lone -",
            "lone Own ",
            "blue Own -",
        ]
    );
    let addresses: Vec<IpAddr> = entries(drafts, &views, &owners).remove(0).addresses;
    assert_eq!(addresses, ["10.0.0.7".parse::<IpAddr>().unwrap()]);
}

#[test]
fn where_namespaces_cannot_be_told_apart_what_is_said_has_to_do() {
    let seen = |draft: Draft| Draft { listeners: Some(vec![listener("0.0.0.0", 80, 1)]), ..draft };
    let of = |id: &str, other: &str| Draft {
        network: Network::Of(other.to_owned()),
        ..draft(EntryKind::Container, id, None)
    };
    let drafts = vec![
        seen(draft(EntryKind::Pod, "web", None)),
        container("app", "web", None),
        of("second", "first"),
        of("first", "app"),
        of("this", "that"),
        of("that", "this"),
        draft(EntryKind::Container, "hidden", None),
    ];
    assert_eq!(
        told(drafts, &Views::new(), &Owners::default()),
        [
            "web Own 0.0.0.0:80 ?",
            "app Shared as pod/default/web -",
            "first Shared as pod/default/web -",
            "hidden Own -",
            "second Shared as pod/default/web -",
            "that Own -",
            "this Own -",
        ]
    );
}

#[test]
fn of_the_ports_of_the_node_a_pod_has_those_of_its_processes() {
    let mut proxy = host(draft(EntryKind::Pod, "proxy", Some(1)));
    proxy.members.push("main".to_owned());
    let drafts = vec![
        proxy,
        host(container("main", "proxy", Some(1))),
        host(draft(EntryKind::Container, "lone", Some(1))),
        host(draft(EntryKind::Container, "hidden", None)),
    ];
    let ports = ["sshd", "proxy", "lone"].iter().zip(1..);
    let ports = ports.map(|(_, inode)| listener("0.0.0.0", 20 + inode, inode.into()));
    let views = Views::from([(namespace(1), view(ports.collect()))]);
    let found = HashMap::from([(2, owner(7, "main")), (3, owner(8, "lone"))]);
    let owners = Owners { found, ..Owners::default() };
    assert_eq!(
        told(drafts.clone(), &views, &owners),
        [
            "proxy Host 0.0.0.0:22 p7",
            "main Host as pod/default/proxy -",
            "hidden Host -",
            "lone Host 0.0.0.0:23 p8",
        ]
    );
    let (sought, members) = sought(&drafts, &views);
    assert_eq!(sought[&namespace(1)], HashSet::from([1, 2, 3]));
    assert_eq!(members.len(), 3, "{members:?}");
    // There may be more than was seen.
    let hidden = HashSet::from(["main".to_owned()]);
    let owners = Owners { obstacle: Some(Obstacle::Denied), hidden, ..owners };
    let cut = told(drafts.clone(), &views, &owners);
    assert_eq!((cut[0].as_str(), cut[3].as_str()), ("proxy Host -", "lone Host 0.0.0.0:23 p8"));
    let owners = Owners { obstacle: Some(Obstacle::TooMany), ..owners };
    assert_eq!(told(drafts, &views, &owners)[3], "lone Host -");
}

#[test]
fn of_two_containers_of_one_network_the_older_one_keeps_it() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    let made =
        |id, seconds| Draft { created: at(seconds), ..draft(EntryKind::Container, id, Some(1)) };
    assert_eq!(keepers(&[made("b", 2), made("a", 1), made("c", 3)]), [1, 1, 1]);
}

/// Drafts of few pods, containers and namespaces.
fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let ids = || "[a-e]";
    let kinds = prop_oneof![
        Just(EntryKind::Pod),
        Just(EntryKind::Container),
        Just(EntryKind::Container),
        Just(EntryKind::Netns)
    ];
    let one = (kinds, ids(), proptest::option::of(1u64..4), proptest::option::of(ids()), 0..4);
    let one = one.prop_map(|(kind, id, identity, other, network)| {
        let mut made = draft(kind, &id, identity);
        match (kind, network, other) {
            (EntryKind::Container, 0, Some(other)) => made.network = Network::Of(other),
            (EntryKind::Container, 1, other) => made.pod = other,
            (EntryKind::Netns, ..) => {}
            (_, 2, _) => made.entry.network = NetworkKind::Host,
            _ => {}
        }
        made
    });
    proptest::collection::vec(one, 0..9)
}

proptest! {
    #[test]
    fn whoever_keeps_a_network_keeps_its_own(drafts in drafts()) {
        let keepers = keepers(&drafts);
        for (place, keeper) in keepers.iter().enumerate() {
            prop_assert_eq!(keepers[*keeper], *keeper, "{}", place);
            let (one, kept) = (&drafts[place], &drafts[*keeper]);
            if one.identity().is_some() && !one.is_host() {
                prop_assert_eq!(one.identity(), kept.identity());
            }
        }
    }

    #[test]
    fn every_draft_becomes_an_entry_and_every_network_is_listed_once(drafts in drafts()) {
        let views: Views =
            (1..4).map(|inode| (namespace(inode), view(vec![listener("::", 1, 1)]))).collect();
        let entries = entries(drafts.clone(), &views, &Owners::default());
        prop_assert_eq!(entries.len(), drafts.len());
        for inode in 1..4 {
            let own = entries.iter().filter(|entry| {
                entry.network_namespace == Some(namespace(inode))
                    && entry.network != NetworkKind::Host
            });
            let listed = own.clone().filter(|entry| entry.ports.is_some()).count();
            prop_assert_eq!(listed, usize::from(own.count() > 0), "{}", inode);
        }
        for entry in &entries {
            prop_assert!(entry.shares.is_none() || entry.ports.is_none());
        }
    }
}
