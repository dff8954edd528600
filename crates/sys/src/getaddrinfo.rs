//! getaddrinfo(3) with its hints; std's look-up has none.

use std::ffi::CStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

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
