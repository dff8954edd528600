//! Modes of terminals, on pseudo-terminals.

use std::os::fd::AsRawFd;

use nix::pty::openpty;
use nix::sys::termios::{tcgetattr, LocalFlags, OutputFlags, Termios};

use super::super::terminal;
use super::*;

fn modes(terminal: &OwnedFd) -> Termios {
    tcgetattr(terminal).unwrap()
}

fn echoes(terminal: &OwnedFd) -> bool {
    modes(terminal).local_flags.contains(LocalFlags::ECHO)
}

// One test, because `restore_all` concerns all terminals of the process.
#[test]
fn modes_are_changed_for_a_link_and_put_back() {
    let pair = openpty(None, None).unwrap();
    let before = modes(&pair.slave);
    let plain = address(Keyword::Fd, pair.slave.as_raw_fd().to_string());
    let raw = with(on(plain.clone(), Opt::Raw), Opt::Echo, Value::Flag(false));

    let link = opened(&raw, Way::Both);
    let during = modes(&pair.slave);
    let gone = LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::ECHO;
    assert!(!during.local_flags.intersects(gone));
    assert!(!during.output_flags.contains(OutputFlags::OPOST));
    drop(link);
    assert_eq!(modes(&pair.slave), before);

    let first = opened(&with(plain.clone(), Opt::Echo, Value::Flag(false)), Way::Both);
    let second = opened(&on(plain.clone(), Opt::RawEr), Way::Both);
    assert!(modes(&pair.slave).local_flags.is_empty());
    drop(second);
    assert_eq!(modes(&pair.slave).local_flags, before.local_flags - LocalFlags::ECHO);
    drop(first);
    assert_eq!(modes(&pair.slave), before);

    let mut link = opened(&on(plain.clone(), Opt::CfMakeRaw), Way::Both);
    let mut master = File::from(pair.master.try_clone().unwrap());
    master.write_all(b"k").unwrap();
    link.expect("k");
    link.write("a\n");
    let mut bytes = [0; 2];
    master.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"a\n", "not translated");
    drop(link);

    let canonical = with(plain, Opt::Icanon, Value::Flag(false));
    let link = opened(&with(canonical, Opt::Echo, Value::Flag(false)), Way::Both);
    assert!(!echoes(&pair.slave));
    terminal::restore_all();
    assert_eq!(modes(&pair.slave), before);
    drop(link);
    assert_eq!(modes(&pair.slave), before);
}

#[test]
fn what_is_no_terminal_is_told() {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let number = theirs.as_raw_fd();
    let raw = on(address(Keyword::Fd, number.to_string()), Opt::Raw);
    assert_eq!(
        refused(&raw, Way::Both),
        format!("tcgetattr({number}, 0x0): Inappropriate ioctl for device")
    );
}
