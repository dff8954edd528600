//! What a child says on its standard error, which is read and bounded whatever it is.

use std::io::Write;
use std::time::Duration;

use nsplice_relay::Outcome;
use nsplice_testkit::talk::{expect_eof, expect_ramp, half_close, read_exactly, reset, send_ramp};

use super::ChildBench;
use crate::scene::in_both_modes;

#[test]
fn a_flood_of_diagnostics_blocks_nobody() {
    in_both_modes(|settings| {
        // 20 MB, far more than a pipe: the child can only go on if they are read.
        let bench = ChildBench::new(settings, "head -c 20000000 /dev/zero >&2; exec cat");
        let client = bench.client();
        (&client).write_all(b"echo").expect("speak");
        assert_eq!(read_exactly(&client, 4), b"echo");
        half_close(&client);
        expect_eof(&client);
        assert_eq!(bench.end_with(&[]).outcome, Outcome::Clean);
    });
}

#[test]
fn an_endless_flood_of_diagnostics_does_not_starve_other_links() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "yes >&2 & exec cat");
        let clients = [bench.client(), bench.client()];
        for _ in 0..20 {
            for client in &clients {
                send_ramp(client, 0, 1000);
                expect_ramp(client, 0, 1000);
            }
        }
        clients.into_iter().for_each(reset);
        bench.relay.ended(2);
        bench.relay.close();
    });
}

#[test]
fn a_child_that_closes_its_diagnostics_costs_no_cpu() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "exec 2>&-; exec cat");
        let client = bench.client();
        send_ramp(&client, 0, 100);
        expect_ramp(&client, 0, 100);
        bench.relay.assert_at_rest(Duration::from_millis(400));
        half_close(&client);
        expect_eof(&client);
        assert_eq!(bench.end_with(&[]).outcome, Outcome::Clean);
    });
}
