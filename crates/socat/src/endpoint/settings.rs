//! Options of sockets: what each is to the kernel, and when it is set.
//!
//! Within a phase they are set in the order in which they were given. What the kernel copies from a
//! listening socket to the sockets it accepts is set on the listening socket, once for all clients.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::{describe, set_socket_option};

use crate::language::{Address, Opt, Setting, Value};

use super::name::escaped;

/// The moment in the life of a socket at which an option is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Right after it was made.
    Made,
    /// Before it gets its address.
    BeforeBind,
    /// When it is connected, or has been accepted.
    Connected,
}

/// How a value is handed to the kernel.
enum Form {
    /// An int.
    Int,
    /// `struct linger`: on, with these seconds.
    Linger,
    /// A name and the NUL behind it.
    Name,
    /// As it was given.
    Bytes,
}

/// What an option is to the kernel, if it is an option of sockets.
fn known(option: Opt) -> Option<(Phase, i32, i32, Form)> {
    use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
    use Form::{Bytes, Int, Linger, Name};
    use Phase::{BeforeBind, Connected, Made};
    Some(match option {
        Opt::NoDelay => (Made, IPPROTO_TCP, libc::TCP_NODELAY, Int),
        Opt::KeepIdle => (Made, IPPROTO_TCP, libc::TCP_KEEPIDLE, Int),
        Opt::KeepIntvl => (Made, IPPROTO_TCP, libc::TCP_KEEPINTVL, Int),
        Opt::KeepCnt => (Made, IPPROTO_TCP, libc::TCP_KEEPCNT, Int),
        Opt::MaxSegment => (Made, IPPROTO_TCP, libc::TCP_MAXSEG, Int),
        Opt::UserTimeout => (Made, IPPROTO_TCP, libc::TCP_USER_TIMEOUT, Int),
        Opt::KeepAlive => (Made, SOL_SOCKET, libc::SO_KEEPALIVE, Int),
        Opt::SendBuffer => (Made, SOL_SOCKET, libc::SO_SNDBUF, Int),
        Opt::ReceiveBuffer => (Made, SOL_SOCKET, libc::SO_RCVBUF, Int),
        Opt::Linger => (Made, SOL_SOCKET, libc::SO_LINGER, Linger),
        Opt::Interface => (Made, SOL_SOCKET, libc::SO_BINDTODEVICE, Name),
        Opt::Priority => (Made, SOL_SOCKET, libc::SO_PRIORITY, Int),
        Opt::TypeOfService => (Made, IPPROTO_IP, libc::IP_TOS, Int),
        Opt::TimeToLive => (Made, IPPROTO_IP, libc::IP_TTL, Int),
        Opt::ReuseAddr => (BeforeBind, SOL_SOCKET, libc::SO_REUSEADDR, Int),
        Opt::ReusePort => (BeforeBind, SOL_SOCKET, libc::SO_REUSEPORT, Int),
        Opt::Ipv6Only => (BeforeBind, IPPROTO_IPV6, libc::IPV6_V6ONLY, Int),
        Opt::Transparent => (BeforeBind, IPPROTO_IP, libc::IP_TRANSPARENT, Int),
        // Level and option are in the value.
        Opt::SetSockOpt => (Connected, 0, 0, Bytes),
        Opt::SetSockOptInt => (Connected, 0, 0, Bytes),
        Opt::SetSockOptListen => (BeforeBind, 0, 0, Bytes),
        _ => return None,
    })
}

/// Sets on `socket` all options of `address` that belong to `phase`.
pub(crate) fn apply(socket: impl AsFd, address: &Address, phase: Phase) -> Result<(), OpenError> {
    let socket = socket.as_fd();
    apply_as(socket, socket.as_raw_fd(), address, |when| when == phase)
}

/// Sets on an inherited descriptor, which is told as `number`, all options of `address` that belong
/// to sockets, at whatever moment they would be set.
pub(crate) fn apply_all(
    descriptor: BorrowedFd<'_>,
    number: RawFd,
    address: &Address,
) -> Result<(), OpenError> {
    apply_as(descriptor, number, address, |_| true)
}

fn apply_as(
    socket: BorrowedFd<'_>,
    number: RawFd,
    address: &Address,
    is_due: impl Fn(Phase) -> bool,
) -> Result<(), OpenError> {
    address.options.iter().try_for_each(|setting| match known(setting.option) {
        Some((when, level, name, form)) if is_due(when) => {
            set((socket, number), setting, level, name, &form)
        }
        _ => Ok(()),
    })
}

fn set(
    (socket, descriptor): (BorrowedFd<'_>, RawFd),
    setting: &Setting,
    level: i32,
    name: i32,
    form: &Form,
) -> Result<(), OpenError> {
    let (level, name, value, told) = match (form, &setting.value) {
        (Form::Int, value) => {
            let number = int(value, setting.option);
            (level, name, number.to_ne_bytes().to_vec(), format!("{{{number}}}"))
        }
        (Form::Linger, value) => {
            let seconds = int(value, setting.option);
            let bytes = [1i32.to_ne_bytes(), seconds.to_ne_bytes()].concat();
            (level, name, bytes, format!("{{1,{seconds}}}"))
        }
        (Form::Name, Value::Text(text)) => {
            let bytes = [text.as_bytes(), b"\0"].concat();
            (level, name, bytes, format!("\"{}\"", escaped(text)))
        }
        (Form::Bytes, Value::SocketOption { level, option, data }) => {
            let told = match (setting.option, <[u8; 4]>::try_from(data.as_slice())) {
                (Opt::SetSockOptInt, Ok(int)) => format!("{{{}}}", i32::from_ne_bytes(int)),
                _ => "{...}".to_owned(),
            };
            (*level, *option, data.clone(), told)
        }
        // The kind of a value is the language's affair; there is no other for these.
        (Form::Name | Form::Bytes, _) => return Ok(()),
    };
    set_socket_option(socket, level, name, &value).map_err(|errno| {
        let told = format!(
            "setsockopt({descriptor}, {level}, {name}, {told}, {}): {}",
            value.len(),
            describe(&errno.into()),
        );
        OpenError::new(class(errno), told)
    })
}

/// A value as an int; too large ones are as large as can be, and for the kernel to refuse.
fn int(value: &Value, option: Opt) -> i32 {
    let number = match value {
        Value::Flag(on) => i64::from(*on),
        Value::Number(number) => *number,
        Value::Time(time) if option == Opt::UserTimeout => {
            i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
        }
        Value::Time(time) => i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        Value::Text(_) | Value::SocketOption { .. } => 0,
    };
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

/// EINVAL of an option is no unreachable address.
fn class(errno: Errno) -> OpenClass {
    match errno {
        Errno::EINVAL => OpenClass::Other,
        errno => OpenClass::of_errno(errno),
    }
}
