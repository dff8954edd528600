//! Relays that do not behave: what the behaviours must find out about.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nsplice_compare::{Birth, Means, Peer, Stage, Subject};
use socket2::{Domain, SockRef};

/// What is wrong with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The first FIN ends both directions.
    EndsAtFirstFin,
    /// A byte of each direction is lost, the one at offset 500.
    LosesAByte,
    /// Whatever ends a direction is passed on as FIN.
    SoftensResets,
    /// It reads all it can get, and keeps it.
    Hoards,
    /// Its sockets stay open for ever.
    Leaks,
}

/// A relay on the node of `stage`, which leads to its port and lives as long as this process.
pub(crate) fn start(stage: &Arc<Stage>, manner: Manner) -> Subject {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stage = Arc::clone(stage);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let stage = Arc::clone(&stage);
            thread::spawn(move || relay(&stage, client, manner));
        }
    });
    let peer = Peer { address, pid: Some(std::process::id()), cgroup: None };
    Subject { name: format!("{manner:?}"), means: Means::Peer(peer) }
}

fn relay(stage: &Stage, client: TcpStream, manner: Manner) {
    let Some(server) = connect(stage, stage.origin()) else {
        if manner != Manner::SoftensResets {
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        return;
    };
    thread::scope(|threads| {
        for (from, to) in [(&client, &server), (&server, &client)] {
            threads.spawn(move || {
                lane(from, to, manner);
                // The other side may be gone.
                let _ = to.shutdown(Shutdown::Write);
                if manner == Manner::EndsAtFirstFin {
                    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                }
            });
        }
    });
    if manner == Manner::Leaks {
        std::mem::forget((client, server));
    }
}

fn connect(stage: &Stage, address: SocketAddr) -> Option<TcpStream> {
    let socket = stage.connect_socket(Birth::Target, Domain::IPV4).ok()?;
    socket.connect_timeout(&address.into(), Duration::from_secs(5)).ok()?;
    socket.set_nonblocking(false).ok()?;
    Some(socket.into())
}

/// Moves bytes one way until that ends, in whatever way.
fn lane(mut from: &TcpStream, mut to: &TcpStream, manner: Manner) {
    let (sender, blocks) = channel::<Vec<u8>>();
    thread::scope(move |threads| {
        // The writer ends when this is dropped.
        let sender = sender;
        threads.spawn(move || while blocks.recv().is_ok_and(|b| to.write_all(&b).is_ok()) {});
        let (mut block, mut offset) = (vec![0; 64 * 1024], 0);
        loop {
            let Ok(read @ 1..) = from.read(&mut block) else { return };
            let mut bytes = block[..read].to_vec();
            if manner == Manner::LosesAByte && (offset..offset + read).contains(&500) {
                bytes.remove(500 - offset);
            }
            offset += read;
            if manner == Manner::Hoards {
                if sender.send(bytes).is_err() {
                    return;
                }
            } else if to.write_all(&bytes).is_err() {
                return;
            }
        }
    });
}
