//! The system calls that neither std nor nix offer as safe functions; the only `unsafe` of nsplice.
//!
//! What is here is as small as it can be: pidfds; descriptors that are known by their number only;
//! requests on sockets by number; getaddrinfo(3) with its hints; default signal actions; fork(2) as
//! such; and the few steps a child takes between fork and exec, be it a program that carries a link
//! ([`confine`]) or one that a command line names ([`prepare`]).

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{signal, SigHandler, SigSet, Signal};
use nix::unistd::{
    chdir, chroot, fork, getpid, getppid, read, setgid, setgroups, setsid, setuid, write,
    ForkResult, Gid, Pid, Uid,
};

/// A descriptor of the process `pid`, close-on-exec (Linux 5.3).
///
/// ESRCH: there is no such process. EINVAL or ENOENT: `pid` is a thread of one. ENOSYS: the kernel
/// is too old.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(checked(answer)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A duplicate of the descriptor `number`, whoever opened it, close-on-exec. It gets the first free
/// number that is neither below `least` nor that of a standard descriptor.
pub fn duplicate(number: RawFd, least: RawFd) -> io::Result<OwnedFd> {
    let least = least.max(libc::STDERR_FILENO + 1);
    // SAFETY: the call takes integers and touches no memory of ours.
    let answer = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, least) };
    let descriptor = Errno::result(answer)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sends `signal` to the process behind `pidfd` (Linux 5.1).
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed and means what kill(2) would send.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            no_info,
            0,
        )
    };
    checked(answer).map(drop)
}

/// Ties the child that `command` will start to its parent, lets all signals through to it, and
/// takes everything but its standard descriptors away from it.
///
/// The kernel kills the child when the *thread* that started it ends (PR_SET_PDEATHSIG), so
/// children are started by the threads of loops and never by workers that come and go. If the
/// parent had died before the kernel was told, the child finds another parent and ends.
pub fn confine(command: &mut Command) {
    let parent = getpid();
    let last_steps = move || {
        // std leaves the mask as it is, and a loop's thread may have blocked what its signal
        // descriptor reads; a child that cannot be terminated would be the price.
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        keep_private();
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe functions may be called. The closure
    // makes four bare system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(last_steps);
    }
}

/// Makes `number` do to this process what it does by default.
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP, which always do.
pub fn default_action(number: Signal) -> io::Result<()> {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { signal(number, SigHandler::SigDfl) }?;
    Ok(())
}

/// Which of the two processes goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// The process that was there before.
    Parent {
        /// The other one.
        child: Pid,
    },
    /// Its copy, which has this thread only.
    Child,
}

/// Splits this process in two (fork(2)): both have all descriptors and all memory, the child has
/// only the calling thread.
///
/// There may be other threads, but only such as look up names or do nothing: whatever lock of ours
/// they hold, the child must have no use for.
///
/// # Errors
/// EAGAIN or ENOMEM, when the system allows no more processes.
pub(crate) fn split() -> io::Result<Branch> {
    // SAFETY: what makes fork dangerous is what other threads hold at that moment. Mostly there are
    // none. The lock that threads share that look up names is held by the caller; the allocator,
    // which they may be in, glibc makes usable in the child (fork handlers, malloc(3)).
    Ok(match unsafe { fork() }? {
        ForkResult::Parent { child } => Branch::Parent { child },
        ForkResult::Child => Branch::Child,
    })
}

/// How many columns the terminal `of` has; `None` if it is none, or does not say.
pub fn columns(of: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize where the pointer leads (ioctl_tty(2)).
    let answer = unsafe { libc::ioctl(of.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some(size.ws_col)
}

/// Bytes that a TCP socket was given and its peer has not acknowledged yet, a FIN counting as one
/// (SIOCOUTQ, tcp(7)); 0 of other sockets, where that is not known, and of a connection that is over:
/// after a reset the queue stays as it was for as long as the socket lives (`tcp_ioctl`), but nobody
/// will acknowledge it any more.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> usize {
    match tcp_info(socket) {
        // TIOCOUTQ has the same number as SIOCOUTQ.
        Some(info) if info.state != TCP_CLOSE => queued_bytes(socket, libc::TIOCOUTQ),
        _ => 0,
    }
}

/// Bytes that wait to be read, of a socket or of a pipe, of which either end can be asked (FIONREAD,
/// tcp(7) and pipe(7)); 0 where that is not known.
pub(crate) fn unread(end: BorrowedFd<'_>) -> usize {
    queued_bytes(end, libc::FIONREAD)
}

/// What ioctl(2) answers to `question`, one of those that are answered by a number of bytes.
fn queued_bytes(end: BorrowedFd<'_>, question: libc::Ioctl) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the questions above write one int, to which the pointer leads.
    let answer = unsafe { libc::ioctl(end.as_raw_fd(), question, &raw mut bytes) };
    if answer == -1 {
        0
    } else {
        usize::try_from(bytes).unwrap_or(0)
    }
}

/// Keeps the descriptor `number`, whoever opened it, from programs that are started, or lets them have
/// it.
///
/// # Errors
/// EBADF: there is no such descriptor.
pub fn close_on_exec(number: RawFd, closes: bool) -> io::Result<()> {
    let flag = if closes { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: the call takes integers, touches no memory of ours, and closes nothing now.
    let answer = unsafe { libc::fcntl(number, libc::F_SETFD, flag) };
    Errno::result(answer)?;
    Ok(())
}

/// Starts a process that does nothing and has nothing but the reading end `leash` of a pipe: it ends
/// with the pipe, or by whatever signal it is sent.
///
/// # Errors
/// EAGAIN or ENOMEM, when the system allows no more processes.
pub fn stand_by(leash: &OwnedFd) -> io::Result<Pid> {
    // SAFETY: the child makes bare system calls only, allocates nothing, takes no lock, and ends by
    // _exit(2), which runs nothing of ours.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            wait_for_end(leash);
            // SAFETY: the process ends here, without a look at any memory.
            unsafe { libc::_exit(0) }
        }
    }
}

/// The life of a process that stands by.
fn wait_for_end(leash: &OwnedFd) {
    for number in Signal::iterator() {
        // Two are refused, and need no change.
        let _ = default_action(number);
    }
    let _ = SigSet::empty().thread_set_mask();
    let number = leash.as_raw_fd().unsigned_abs();
    let close_range = |first: libc::c_uint, last: libc::c_uint| {
        // SAFETY: what owns these descriptors is never used again in this process.
        let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        if answer == -1 {
            // Before Linux 5.9. SAFETY: as above.
            (first..=last.min(MOST_DESCRIPTORS)).for_each(|number| unsafe {
                libc::close(number.cast_signed());
            });
        }
    };
    if number > 0 {
        close_range(0, number - 1);
    }
    close_range(number + 1, libc::c_uint::MAX);
    while !matches!(read(leash, &mut [0]), Ok(0) | Err(Errno::EBADF)) {}
}

/// As many as the kernel lets a process have unless it is asked for more (`fs.nr_open` is higher, the
/// usual hard limit of RLIMIT_NOFILE is this).
const MOST_DESCRIPTORS: libc::c_uint = 1 << 20;

/// Clients in the queue of `listener`, their handshakes complete (`sk_ack_backlog`, which TCP_INFO
/// has in `tcpi_unacked` for sockets that listen: `tcp_get_info`); 0 where that is not known.
pub(crate) fn queued(listener: BorrowedFd<'_>) -> usize {
    tcp_info(listener).map_or(0, |info| usize::try_from(info.unacknowledged).unwrap_or(0))
}

/// The state of a connection that is over, in the kernel's `include/net/tcp_states.h`.
const TCP_CLOSE: u8 = 7;

/// What we ask of a struct tcp_info.
#[derive(Debug, Clone, Copy)]
struct TcpInfo {
    /// `tcpi_state`
    state: u8,
    /// `tcpi_unacked`
    unacknowledged: u32,
}

/// The TCP_INFO of a socket (tcp(7)); None of one that is not TCP's.
fn tcp_info(socket: BorrowedFd<'_>) -> Option<TcpInfo> {
    // The first words of a struct tcp_info: two of bytes, of which the state is the first, then
    // rto, ato, snd_mss, rcv_mss, unacked.
    let mut words = [0_u32; 7];
    let mut length = libc::socklen_t::try_from(size_of_val(&words)).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes, which `words` has, and the length itself.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let [first, .., unacknowledged] = words;
    let [state, ..] = first.to_ne_bytes();
    (answer == 0).then_some(TcpInfo { state, unacknowledged })
}

/// Sets the option `name` of `level` on `socket` to the bytes `value`.
///
/// # Errors
/// Whatever setsockopt(2) answers.
pub fn set_socket_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes, which `value` has.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    Errno::result(answer).map(drop)
}

/// Looks up addresses of `host` (none: the wildcard addresses) and the port of `service` for TCP,
/// in `family` and with the AI flags of `flags`. Blocks.
///
/// # Errors
/// The resolver's EAI number.
pub fn look_up(
    host: Option<&CStr>,
    service: Option<&CStr>,
    family: libc::c_int,
    flags: libc::c_int,
) -> Result<Vec<SocketAddr>, libc::c_int> {
    let nothing = std::ptr::null_mut();
    let hints = libc::addrinfo {
        ai_flags: flags,
        ai_family: family,
        ai_socktype: libc::SOCK_STREAM,
        ai_protocol: libc::IPPROTO_TCP,
        ai_addrlen: 0,
        ai_addr: std::ptr::null_mut(),
        ai_canonname: std::ptr::null_mut(),
        ai_next: nothing,
    };
    let mut first: *mut libc::addrinfo = nothing;
    let text = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: both texts end with NUL or are null, `hints` is whole, and `first` is ours to be
    // written to.
    let answer = unsafe { libc::getaddrinfo(text(host), text(service), &hints, &mut first) };
    if answer != 0 {
        return Err(answer);
    }
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: the resolver made a list that ends with null.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: the resolver gives each entry an address of its family.
        found.extend(unsafe { address_of(entry) });
        next = entry.ai_next;
    }
    // SAFETY: the list came from getaddrinfo(3), and nothing of it is kept.
    unsafe { libc::freeaddrinfo(first) };
    found.dedup();
    Ok(found)
}

/// The address of one of the resolver's entries.
///
/// # Safety
/// `entry.ai_addr` must point to an address of the family `entry.ai_family`.
unsafe fn address_of(entry: &libc::addrinfo) -> Option<SocketAddr> {
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: the caller says so; the copy needs no alignment.
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the caller says so; the copy needs no alignment.
            let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let (port, scope) = (u16::from_be(address.sin6_port), address.sin6_scope_id);
            Some(SocketAddrV6::new(ip, port, address.sin6_flowinfo, scope).into())
        }
        _ => None,
    }
}

/// What a program that a command line names is made to do between fork and exec, in this order.
#[derive(Debug, Default)]
pub struct LastSteps {
    /// Becomes the leader of a session of its own.
    pub new_session: bool,
    /// Takes its standard input, a terminal, as the session's.
    pub controlling_terminal: bool,
    /// Changes its root directory, and goes there.
    pub root: Option<CString>,
    /// Changes its supplementary groups.
    pub groups: Option<Vec<Gid>>,
    /// Changes its group.
    pub group: Option<Gid>,
    /// Changes its user.
    pub user: Option<Uid>,
    /// Gets the first of each pair under the number of the second.
    pub places: Vec<(OwnedFd, RawFd)>,
    /// Takes one byte, a [`LastStep`]: the one that failed, or the last. Close-on-exec.
    pub report: Option<OwnedFd>,
}

/// How far a child came in its [`LastSteps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LastStep {
    /// setsid(2)
    Session = 1,
    /// ioctl(TIOCSCTTY)
    Terminal = 2,
    /// chroot(2)
    Root = 3,
    /// setgroups(2)
    Groups = 4,
    /// setgid(2)
    Group = 5,
    /// setuid(2)
    User = 6,
    /// dup2(2)
    Place = 7,
    /// execve(2)
    Exec = 8,
}

impl LastStep {
    /// The step that `byte` reports.
    pub fn reported(byte: u8) -> Option<Self> {
        [
            Self::Session,
            Self::Terminal,
            Self::Root,
            Self::Groups,
            Self::Group,
            Self::User,
            Self::Place,
            Self::Exec,
        ]
        .into_iter()
        .find(|step| *step as u8 == byte)
    }
}

/// Makes the program that `command` will start take `steps`, with no signal blocked or ignored. Of
/// descriptors it has its standard ones, those that are placed, and those that whoever started us
/// left to us and that we have not closed to it: a lock, a secret, a `/dev/fd/63`.
///
/// Unlike a confined one it outlives us.
pub fn prepare(command: &mut Command, steps: LastSteps) {
    let last_steps = move || {
        SigSet::empty().thread_set_mask()?;
        for ignored in Signal::iterator() {
            // Two are refused, and need no change.
            let _ = default_action(ignored);
        }
        let (step, result) = match steps.take() {
            Ok(()) => (LastStep::Exec, Ok(())),
            Err((step, errno)) => (step, Err(io::Error::from(errno))),
        };
        if let Some(report) = &steps.report {
            let _ = write(report, &[step as u8]);
        }
        result
    };
    // SAFETY: between fork and exec only async-signal-safe functions may be called. The closure
    // makes bare system calls with arguments that were prepared before, allocates nothing and takes
    // no lock. setuid(2) and its kin are the libc's, whose locks concern other threads of a process,
    // and a child after fork has none.
    unsafe {
        command.pre_exec(last_steps);
    }
}

impl LastSteps {
    fn take(&self) -> Result<(), (LastStep, Errno)> {
        let at = |step| move |errno| (step, errno);
        if self.new_session {
            setsid().map_err(at(LastStep::Session))?;
        }
        if self.controlling_terminal {
            // SAFETY: the request takes an integer and touches no memory of ours.
            let answer = unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) };
            Errno::result(answer).map_err(at(LastStep::Terminal))?;
        }
        self.change_identity()?;
        for (descriptor, number) in &self.places {
            // SAFETY: this is a child between fork and exec, or a process that ends if the exec fails:
            // no code of ours that owns the descriptor of that number will use it any more.
            let answer = unsafe { libc::dup2(descriptor.as_raw_fd(), *number) };
            Errno::result(answer).map_err(at(LastStep::Place))?;
        }
        Ok(())
    }

    /// Takes those steps that say who a process is: root directory, groups, group and user. The
    /// process may be this one.
    ///
    /// # Errors
    /// The step that failed, and why. Those before it have been taken.
    pub fn change_identity(&self) -> Result<(), (LastStep, Errno)> {
        let at = |step| move |errno| (step, errno);
        if let Some(root) = &self.root {
            chroot(root.as_c_str()).map_err(at(LastStep::Root))?;
            chdir(c"/").map_err(at(LastStep::Root))?;
        }
        if let Some(groups) = &self.groups {
            setgroups(groups).map_err(at(LastStep::Groups))?;
        }
        if let Some(group) = self.group {
            setgid(group).map_err(at(LastStep::Group))?;
        }
        if let Some(user) = self.user {
            setuid(user).map_err(at(LastStep::User))?;
        }
        Ok(())
    }
}

/// Keeps what is open beyond the standard descriptors from a program that is about to start.
///
/// All descriptors of ours are close-on-exec; this is for those that whoever started us left open.
/// Kernels before 5.11 do not know the flag, and there is nothing to put in its place.
fn keep_private() {
    // SAFETY: the call takes integers and touches no memory of ours.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_PRIVATE_FD,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

fn checked(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// The first descriptor after standard input, output and error.
const FIRST_PRIVATE_FD: libc::c_uint = 3;
