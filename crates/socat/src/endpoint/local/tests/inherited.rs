//! Descriptors that were there before.

use std::io::pipe;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn descriptor(descriptor: &impl AsRawFd) -> Address {
    address(Keyword::Fd, descriptor.as_raw_fd().to_string())
}

#[test]
fn descriptors_are_duplicated_and_stay_as_they_are() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    for _ in 0..2 {
        let mut link = opened(&descriptor(&theirs), Way::Both);
        assert!(is_blocking(&theirs) && is_blocking(&link.source));
        link.write("ping");
        let mut bytes = [0; 4];
        (&ours).read_exact(&mut bytes).unwrap();
        (&ours).write_all(&bytes).unwrap();
        link.expect("ping");
    }
}

#[test]
fn a_pipe_ends_for_others_once_all_copies_are_closed() {
    let (mut reader, writer) = pipe().unwrap();
    let endpoint = descriptor(&writer);
    let mut opener = opener(&endpoint, Way::Write, &context()).unwrap();
    drop(writer);
    finish(opener.as_mut(), None).unwrap().write("last");
    drop(opener);
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, "last");
}

#[test]
fn wrong_directions_are_told_by_the_transfer() {
    let (reader, _writer) = pipe().unwrap();
    let link = opened(&descriptor(&reader), Way::Both);
    let error = link.sink.unwrap().write_all(b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn what_is_no_descriptor_is_told() {
    assert_eq!(
        fault(&address(Keyword::Fd, "999999")).message,
        "fcntl(999999, F_SETFD, FD_CLOEXEC): Bad file descriptor"
    );
    for nonsense in ["", "x", "-1", "0x"] {
        let fault = fault(&address(Keyword::Fd, nonsense));
        assert_eq!(fault.message, format!("error in FD number \"{nonsense}\""));
    }
}

#[test]
fn what_is_asked_of_a_descriptor_is_done() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    let sought = with(descriptor(&file), Opt::Seek, Value::Number(7));
    let sought = with(sought, Opt::Mode, Value::Number(0o640));
    let mut link = opened(&on(sought, Opt::Lock), Way::Read);
    assert_eq!(link.rest(), "789");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
    let appended = on(with(descriptor(&file), Opt::Seek, Value::Number(0)), Opt::Append);
    opened(&appended, Way::Write).write("x");
    assert_eq!(file.metadata().unwrap().len(), 11);

    let (reader, _writer) = pipe().unwrap();
    let sought = with(descriptor(&reader), Opt::Seek, Value::Number(1));
    let number = reader.as_raw_fd();
    assert_eq!(refused(&sought, Way::Read), format!("lseek64({number}, 1, 0): Illegal seek"));
}

#[test]
fn what_needs_a_process_of_its_own_is_refused() {
    let other = on(address(Keyword::Stdio, ""), Opt::ControllingTty);
    let told = "option \"word\" with address type \"WORD\" is not implemented in nsplice";
    assert!(fault(&other).message.starts_with(told));
}
