//! Sockets in network namespaces that our own threads may not enter.
//!
//! The network namespace of a rootless container belongs to its user namespace, which only whole
//! processes enter. Where that is our own user's, a delegate makes the sockets there (`Delegate`). It is
//! sent at the first need, kept for those after it, and followed by another when the target's process is
//! another one, or has moved.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nsplice_runtime::{Identity, Process};
use nsplice_sys::{lock, Delegate, Undone};
use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::unborn::Unborn;

/// The delegate of whoever makes sockets for one target at a time.
#[derive(Debug, Default)]
pub(crate) struct Delegation(Mutex<Option<Post>>);

/// A delegate where the process was when it was sent.
#[derive(Debug)]
struct Post {
    process: Arc<Process>,
    identity: Identity,
    delegate: Delegate,
}

impl Delegation {
    /// Makes a socket where `process` is now.
    ///
    /// # Errors
    /// The way there, or the socket, as that of a thread that goes there itself.
    pub(crate) fn socket(
        &self,
        process: &Arc<Process>,
        domain: Domain,
        kind: Type,
        protocol: Option<Protocol>,
    ) -> Result<Socket, Unborn> {
        let mut post = lock(&self.0);
        let (domain, kind) = (domain.into(), kind.into());
        let protocol = protocol.map_or(0, i32::from);
        let mut made = manned(&mut post, process)?.socket(domain, kind, protocol);
        if let Err(Undone::Lost(_)) = made {
            // Somebody has ended or stopped it. That is no reason to refuse a client.
            *post = None;
            made = manned(&mut post, process)?.socket(domain, kind, protocol);
        }
        match made {
            Ok(socket) => Ok(socket.into()),
            Err(Undone::Refused(errno)) => Err(Unborn::Inside(errno)),
            Err(Undone::Lost(errno)) => Err(Unborn::Outside(errno)),
        }
    }

    /// Sends a delegate to where `process` is now, if none is there.
    ///
    /// # Errors
    /// The answer of the kernel to it.
    pub(crate) fn try_sending(&self, process: &Arc<Process>) -> Result<(), Errno> {
        manned(&mut lock(&self.0), process).map(drop).map_err(Unborn::errno)
    }
}

/// The delegate of a post where `process` is now.
fn manned<'a>(post: &'a mut Option<Post>, process: &Arc<Process>) -> Result<&'a Delegate, Unborn> {
    let identity = process.identity_now().ok_or(Unborn::Outside(Errno::ESRCH))?;
    let stays = |post: &Post| Arc::ptr_eq(&post.process, process) && post.identity == identity;
    if !post.as_ref().is_some_and(stays) {
        // The old one goes first.
        *post = None;
        let delegate = Delegate::send(process.as_fd()).map_err(Unborn::Outside)?;
        *post = Some(Post { process: Arc::clone(process), identity, delegate });
    }
    post.as_ref().map(|post| &post.delegate).ok_or(Unborn::Outside(Errno::ECHILD))
}
