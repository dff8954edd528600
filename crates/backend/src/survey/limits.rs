//! The limits of this system that decide how many links fit and how fast they are.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::resource::{getrlimit, Resource, RLIM_INFINITY};
use nix::unistd::pipe2;
use nsplice_relay::{queues, DEFAULT_PIPE_SIZE};
use serde::Serialize;

/// Limits of pipes, sockets and descriptors. `None` is what could not be read, and no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemLimits {
    /// Largest pipe without CAP_SYS_RESOURCE, in bytes (`fs.pipe-max-size`).
    pub pipe_max_size: Option<u64>,
    /// Pages that the pipes of one user may hold before new ones are made small
    /// (`fs.pipe-user-pages-soft`).
    pub pipe_user_pages_soft: Option<u64>,
    /// The size of a pipe, in bytes, that the kernel granted when the usual one was asked for.
    pub granted_pipe_size: Option<u64>,
    /// The receive queue that the kernel granted when queues of the usual size were asked for, in
    /// bytes.
    pub granted_receive_queue: Option<u64>,
    /// The same of the send queue.
    pub granted_send_queue: Option<u64>,
    /// Largest receive queue that may be asked for without CAP_NET_ADMIN, in bytes; twice as much is
    /// granted (`net.core.rmem_max`).
    pub receive_max: Option<u64>,
    /// The same of the send queue (`net.core.wmem_max`).
    pub send_max: Option<u64>,
    /// The memory that the queues of all links together may take, in bytes.
    pub socket_memory: u64,
    /// Descriptors this process may have (RLIMIT_NOFILE, soft).
    pub open_files_soft: Option<u64>,
    /// The value up to which that may be raised (hard).
    pub open_files_hard: Option<u64>,
    /// Descriptors the whole system may have (`fs.file-max`).
    pub file_max: Option<u64>,
}

impl SystemLimits {
    /// Reads them, and makes one pipe and one socket to see what is granted.
    pub(crate) fn read() -> Self {
        let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
            Ok((soft, hard)) => (bounded(soft), bounded(hard)),
            Err(_) => (None, None),
        };
        let queues = queues::granted().ok();
        let bytes = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        Self {
            pipe_max_size: sysctl("fs/pipe-max-size"),
            pipe_user_pages_soft: sysctl("fs/pipe-user-pages-soft"),
            granted_pipe_size: granted().ok(),
            granted_receive_queue: queues.map(|granted| bytes(granted.receive)),
            granted_send_queue: queues.map(|granted| bytes(granted.send)),
            receive_max: sysctl("net/core/rmem_max"),
            send_max: sysctl("net/core/wmem_max"),
            socket_memory: bytes(queues::share_of_machine()),
            open_files_soft: soft,
            open_files_hard: hard,
            file_max: sysctl("fs/file-max"),
        }
    }
}

fn bounded(limit: u64) -> Option<u64> {
    (limit != RLIM_INFINITY).then_some(limit)
}

fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

fn granted() -> io::Result<u64> {
    let (pipe, _end): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC)?;
    let wished = i32::try_from(DEFAULT_PIPE_SIZE).unwrap_or(i32::MAX);
    // Refused: the pipe keeps the size it was born with.
    let size = fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(wished))
        .or_else(|_| fcntl(&pipe, FcntlArg::F_GETPIPE_SZ))?;
    u64::try_from(size).map_err(io::Error::other)
}
