//! A name server, dnsmasq, that answers on 127.0.0.1 of the network namespace it is started in.

use std::path::Path;

use crate::program::Program;

/// Starts `dnsmasq`, which knows what `records` say (its options, `--host-record=db.local,10.0.0.9`), that
/// there is nothing else below `local` and `example`, and nothing of the rest.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn name_server(dnsmasq: &Path, records: impl IntoIterator<Item = String>) -> Program {
    let fixed = [
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--pid-file=",
        "--user=root",
        "--log-facility=-",
        "--local=/local/",
        "--local=/example/",
    ];
    Program::start(dnsmasq, fixed.into_iter().map(str::to_owned).chain(records))
}
