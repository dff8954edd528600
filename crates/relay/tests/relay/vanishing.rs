//! Peers that vanish without a word, as when a cable is pulled.

use std::time::Duration;

use nsplice_relay::{listen, Keepalive, ListenOptions, Outcome, Settings, Side};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{expect_ramp, expect_reset, send_ramp};
use nsplice_testkit::Namespace;

use crate::bench::{accept, ANY_PORT};
use crate::openers::{connecting, forward};
use crate::running::Running;
use crate::scene::scene;

/// The client's side is a namespace, in which everything is dropped from some moment on.
#[test]
fn an_unplugged_client_is_found_by_the_probes() {
    const TEST: &str = "an_unplugged_client_is_found_by_the_probes";
    scene(|| {
        if require_tool(TEST, "nft").is_none() {
            return;
        }
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let second = Duration::from_secs(1);
        let keepalive = Keepalive { idle: second, interval: second, probes: 2 };
        let options = ListenOptions { keepalive, ..ListenOptions::default() };
        let listener = namespace.inside(|| listen(ANY_PORT, options)).expect("listen");
        let address = listener.local_addr().expect("a listener has an address");

        let upstream = nsplice_testkit::listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("a listener has an address");
        let relay = Running::start(Settings::default(), |relay| {
            let forward = forward(connecting(target));
            relay.add_service(forward, vec![listener]).expect("add the forward");
        });
        let client = namespace.inside(|| nsplice_testkit::connect(address));
        let server = accept(&upstream);
        send_ramp(&client, 0, 1000);
        expect_ramp(&server, 0, 1000);

        namespace.run("nft", ["add table inet cut"]);
        namespace.run(
            "nft",
            ["add chain inet cut in { type filter hook input priority 0; policy drop; }"],
        );
        // Nothing is sent by anyone: only the probes can find it out.
        expect_reset(&server);
        let ended = relay.only_end();
        assert_eq!(ended.outcome, Outcome::Reset(Side::Downstream));
        assert!(ended.detail.is_some_and(|detail| detail.contains("timed out")));
        drop((client, server));
        relay.close();
    });
}
