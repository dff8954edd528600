//! A process that makes sockets where no thread of this one may go.
//!
//! A user namespace is entered by whole processes only: one that has other threads gets EINVAL
//! (setns(2)). So a child is forked, which has one thread, enters the user and the network namespace of
//! another process together (setns(2) with a pidfd, Linux 5.8), and stays there. It is asked for a socket
//! by a message on a pair of sockets, and sends it back as a descriptor (unix(7), SCM_RIGHTS). Privilege
//! is not needed for that: whoever owns a user namespace has every capability in it
//! (user_namespaces(7)).
//!
//! The child starts no program, so that nothing has to be found where it is. It makes bare system calls,
//! allocates nothing, takes no lock, has none of our descriptors, and ends with our end of the pair.

use std::io::IoSliceMut;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    recvmsg, send, setsockopt, socketpair, sockopt, AddressFamily, CmsgIterator,
    ControlMessageOwned, MsgFlags, SockFlag, SockType,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::sys::wait::{waitid, waitpid, Id, WaitPidFlag};
use nix::unistd::{fork, ForkResult};

use crate::fork::bare;
use crate::pidfd::{pidfd_open, pidfd_send_signal};
use crate::process::errno_of;

/// The time that a delegate has for an answer, in seconds. It needs microseconds; one that somebody has
/// stopped is given up.
const PATIENCE: i64 = 1;

/// A child in the user and network namespaces of another process.
#[derive(Debug)]
pub struct Delegate {
    pidfd: OwnedFd,
    channel: OwnedFd,
}

/// The reason why a delegate has brought no socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// It has ended, or does not answer.
    Lost(Errno),
    /// The kernel's answer to socket(2).
    Refused(Errno),
}

/// The arguments of socket(2).
type Request = [i32; 3];

impl Delegate {
    /// Sends a child to where the process behind `pidfd` is.
    ///
    /// # Errors
    /// EPERM: the user namespace is somebody else's. ESRCH: the process has ended. EINVAL: it is in our
    /// own user namespace, or the kernel is older than Linux 5.8. EAGAIN or ENOMEM: the system allows no
    /// more processes. ETIMEDOUT: the child did not answer.
    pub fn send(pidfd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let (channel, other) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let patience = TimeVal::seconds(PATIENCE);
        setsockopt(&channel, sockopt::ReceiveTimeout, &patience)?;
        setsockopt(&channel, sockopt::SendTimeout, &patience)?;
        // SAFETY: the child makes bare system calls only, allocates nothing, takes no lock, and ends by
        // _exit(2), which runs nothing of ours.
        let child = match unsafe { fork() }? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => serve(other.as_raw_fd(), pidfd.as_raw_fd()),
        };
        drop(other);
        let own = match pidfd_open(child.as_raw()) {
            Ok(own) => own,
            Err(error) => {
                drop(channel);
                while waitpid(child, None) == Err(Errno::EINTR) {}
                return Err(errno_of(&error));
            }
        };
        let delegate = Self { pidfd: own, channel };
        match delegate.answer() {
            Ok((0, _)) => Ok(delegate),
            Ok((errno, _)) => Err(Errno::from_raw(errno)),
            Err(errno) => Err(errno),
        }
    }

    /// Has a socket made with these arguments of socket(2), close-on-exec.
    ///
    /// # Errors
    /// When the kernel refuses it, or the delegate is not there any more.
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Undone> {
        let request: Request = [domain, kind | libc::SOCK_CLOEXEC, protocol];
        let mut bytes = [0; size_of::<Request>()];
        for (chunk, number) in bytes.chunks_exact_mut(4).zip(request) {
            chunk.copy_from_slice(&number.to_ne_bytes());
        }
        send(self.channel.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL).map_err(lost)?;
        match self.answer() {
            Ok((_, Some(socket))) => Ok(socket),
            Ok((errno, None)) => Err(Undone::Refused(Errno::from_raw(errno))),
            Err(errno) => Err(lost(errno)),
        }
    }

    /// The next number of the child, and what it has sent with it.
    fn answer(&self) -> Result<(i32, Option<OwnedFd>), Errno> {
        let mut number = [0; 4];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let message = loop {
            let mut into = [IoSliceMut::new(&mut number)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.channel.as_raw_fd(), &mut into, Some(&mut space), flags) {
                Ok(message) => break (message.bytes, descriptor_of(message.cmsgs()?)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
                Err(errno) => return Err(errno),
            }
        };
        match message {
            (0, _) => Err(Errno::ECHILD),
            (_, socket) => Ok((i32::from_ne_bytes(number), socket)),
        }
    }
}

impl Drop for Delegate {
    fn drop(&mut self) {
        // It holds nothing that could be lost, and one that has been stopped would not see our end go.
        let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::SIGKILL);
        let wait = || waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED);
        while wait() == Err(Errno::EINTR) {}
    }
}

fn lost(errno: Errno) -> Undone {
    Undone::Lost(if errno == Errno::EAGAIN { Errno::ETIMEDOUT } else { errno })
}

fn descriptor_of(mut messages: CmsgIterator<'_>) -> Option<OwnedFd> {
    messages.find_map(|message| match message {
        ControlMessageOwned::ScmRights(numbers) => {
            // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
            numbers.first().map(|number| unsafe { OwnedFd::from_raw_fd(*number) })
        }
        _ => None,
    })
}

/// The life of the child.
fn serve(channel: RawFd, target: RawFd) -> ! {
    bare(channel, target);
    // SAFETY: integers only; this process has one thread and shares nothing with another one.
    let entered = unsafe { libc::setns(target, libc::CLONE_NEWUSER | libc::CLONE_NEWNET) };
    let errno = errno_after(entered);
    // SAFETY: nobody in this process uses it again.
    unsafe { libc::close(target) };
    let mut goes_on = reply(channel, errno, None) && errno == 0;
    while goes_on {
        let Some([domain, kind, protocol]) = request(channel) else { break };
        // SAFETY: integers only.
        let socket = unsafe { libc::socket(domain, kind, protocol) };
        goes_on = reply(channel, errno_after(socket), (socket >= 0).then_some(socket));
        if socket >= 0 {
            // SAFETY: it is the parent's from now on.
            unsafe { libc::close(socket) };
        }
    }
    // SAFETY: the process ends here, without a look at any memory.
    unsafe { libc::_exit(0) }
}

/// The number of the error, 0 where the call did not fail.
fn errno_after(answer: libc::c_int) -> i32 {
    if answer < 0 {
        Errno::last_raw()
    } else {
        0
    }
}

/// The next request; `None` when there will be none.
fn request(channel: RawFd) -> Option<Request> {
    let mut request: Request = [0; 3];
    // SAFETY: the call writes at most these bytes, and any bytes are numbers.
    let count = unsafe { libc::recv(channel, (&raw mut request).cast(), size_of::<Request>(), 0) };
    (usize::try_from(count) == Ok(size_of::<Request>())).then_some(request)
}

/// Room for the control message with one descriptor.
#[repr(C)]
struct Control {
    alignment: [libc::cmsghdr; 0],
    // SAFETY: it computes with numbers alone.
    bytes: [u8; unsafe { libc::CMSG_SPACE(DESCRIPTOR) } as usize],
}

/// Bytes of a descriptor.
const DESCRIPTOR: libc::c_uint = 4;

/// Sends `errno`, and `socket` with it. Returns whether anybody is there for it.
fn reply(channel: RawFd, errno: i32, socket: Option<RawFd>) -> bool {
    let mut number = errno;
    let mut part = libc::iovec { iov_base: (&raw mut number).cast(), iov_len: size_of::<i32>() };
    // SAFETY: both are numbers and pointers, of which none is followed while it is null.
    let (mut control, mut message): (Control, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if let Some(socket) = socket {
        message.msg_control = (&raw mut control.bytes).cast();
        message.msg_controllen = size_of_val(&control.bytes);
        // SAFETY: the buffer is aligned, and has room for one header and one descriptor.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(DESCRIPTOR) as usize;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(socket);
        }
    }
    // SAFETY: all that the message leads to lives until the call is over.
    unsafe { libc::sendmsg(channel, &raw const message, libc::MSG_NOSIGNAL) >= 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    use nix::sys::socket::{connect, SockaddrIn};

    /// A process in namespaces of its own, which lives until its standard input ends.
    struct Elsewhere(Child);

    impl Elsewhere {
        fn new(namespaces: &str) -> Self {
            let mut unshare = Command::new("unshare");
            unshare.args([namespaces, "sh", "-c", "echo; exec cat"]);
            let piped = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let mut child = piped.expect("start unshare");
            // It says when it is where it belongs.
            let said = child.stdout.as_mut().expect("a pipe").read(&mut [0]);
            assert_eq!(said.ok(), Some(1), "no such namespaces may be made here");
            Self(child)
        }

        fn send_delegate(&self) -> Result<Delegate, Errno> {
            let pid = i32::try_from(self.0.id()).expect("a process ID");
            Delegate::send(pidfd_open(pid).expect("it lives").as_fd())
        }
    }

    impl Drop for Elsewhere {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            self.0.wait().expect("it is ours");
        }
    }

    impl Delegate {
        /// Its process ID, by proc_pid_fdinfo(5).
        fn pid(&self) -> String {
            let info = format!("/proc/self/fdinfo/{}", self.pidfd.as_raw_fd());
            let info = fs::read_to_string(info).expect("a pidfd has a description");
            let number = info.lines().find_map(|line| line.strip_prefix("Pid:"));
            number.expect("a line with the PID").trim().to_owned()
        }

        fn tcp_socket(&self) -> Result<OwnedFd, Undone> {
            self.socket(libc::AF_INET, libc::SOCK_STREAM, 0)
        }

        fn signal(&self, signal: Signal) {
            pidfd_send_signal(self.pidfd.as_fd(), signal).expect("it is ours");
        }
    }

    #[test]
    fn a_socket_is_born_where_the_delegate_is() {
        let elsewhere = Elsewhere::new("-Urn");
        let delegate = elsewhere.send_delegate().unwrap();
        for _ in 0..3 {
            let socket = delegate.tcp_socket().unwrap();
            // The loopback interface of a new namespace is down; at home somebody refuses.
            let refused = connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 1));
            assert_eq!(refused, Err(Errno::ENETUNREACH));
        }
        let refused = delegate.socket(-1, libc::SOCK_STREAM, 0).map(drop);
        assert_eq!(refused, Err(Undone::Refused(Errno::EAFNOSUPPORT)));
        assert!(delegate.tcp_socket().is_ok(), "one refusal is not the end");
    }

    #[test]
    fn it_has_nothing_of_ours_and_leaves_nothing() {
        let elsewhere = Elsewhere::new("-Urn");
        let delegate = elsewhere.send_delegate().unwrap();
        let pid = delegate.pid();
        // Whoever has entered a user namespace is looked at by privileged processes only.
        if let Ok(held) = fs::read_dir(format!("/proc/{pid}/fd")) {
            assert_eq!(held.count(), 1);
        }
        drop(delegate.tcp_socket().unwrap());
        drop(delegate);
        assert!(!fs::exists(format!("/proc/{pid}")).unwrap(), "nobody waited for it");
    }

    #[test]
    fn one_that_is_killed_or_stopped_is_lost() {
        let elsewhere = Elsewhere::new("-Urn");
        let killed = elsewhere.send_delegate().unwrap();
        killed.signal(Signal::SIGKILL);
        let lost = killed.tcp_socket().map(drop);
        assert!(matches!(lost, Err(Undone::Lost(_))), "{lost:?}");
        let stopped = elsewhere.send_delegate().unwrap();
        stopped.signal(Signal::SIGSTOP);
        assert_eq!(stopped.tcp_socket().map(drop), Err(Undone::Lost(Errno::ETIMEDOUT)));
    }

    #[test]
    fn where_there_is_no_other_user_namespace_none_is_sent() {
        let elsewhere = Elsewhere::new("-n");
        assert_eq!(elsewhere.send_delegate().map(drop), Err(Errno::EINVAL));
    }
}
