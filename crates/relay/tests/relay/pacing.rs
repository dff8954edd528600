//! What congestion control accepted sockets have on a machine that paces.

use std::net::SocketAddr;

use nix::sys::socket::{getsockopt, sockopt::TcpCongestion};
use nsplice_relay::{listen, ListenOptions};
use nsplice_testkit::skip::unavailable;
use nsplice_testkit::{connect, Namespace};

use crate::bench::accept;
use crate::scene::scene;

#[test]
fn listeners_of_a_loopback_address_do_not_pace() {
    const TEST: &str = "listeners_of_a_loopback_address_do_not_pace";
    scene(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if let Err(error) = namespace.set_congestion_control("bbr") {
            unavailable(TEST, format_args!("the kernel has no BBR for us: {error}"));
            return;
        }
        for (address, control) in
            [("127.0.0.1:0", "reno"), ("[::1]:0", "reno"), ("0.0.0.0:0", "bbr")]
        {
            let address: SocketAddr = address.parse().expect("an address");
            let (client, accepted) = namespace.inside(|| {
                let listener = listen(address, ListenOptions::default()).expect("listen");
                let client = connect(listener.local_addr().expect("an address"));
                (client, accept(&listener))
            });
            let has = getsockopt(&accepted, TcpCongestion).expect("a congestion control");
            assert_eq!(has, control, "{address}");
            drop(client);
        }
    });
}
