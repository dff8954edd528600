//! VSOCK addresses: a context's number and a port, both of 32 bits.

use std::ffi::OsStr;

use socket2::SockAddr;

use crate::fault::Fault;
use crate::language::Address;

use super::inet::c_number;

/// Any context, and any port (`VMADDR_CID_ANY`, `VMADDR_PORT_ANY`).
const ANY: u32 = u32::MAX;

/// The address to connect to: `CID:PORT`.
pub(crate) fn remote(address: &Address) -> Result<SockAddr, Fault> {
    match address.parameters.as_slice() {
        [cid, port] => Ok(SockAddr::vsock(number(cid, "cid")?, number(port, "port")?)),
        parameters => Err(wrong_number(address, parameters.len(), 2)),
    }
}

/// The address to listen on: `PORT`, with `bind=` the context.
pub(crate) fn listening(address: &Address, bind: Option<&OsStr>) -> Result<SockAddr, Fault> {
    match address.parameters.as_slice() {
        [port] => {
            let cid = bind.map_or(Ok(ANY), |cid| number(cid, "cid"))?;
            Ok(SockAddr::vsock(cid, number(port, "port")?))
        }
        parameters => Err(wrong_number(address, parameters.len(), 1)),
    }
}

/// The local address of a client: `[CID][:PORT]`.
pub(crate) fn local(text: &OsStr) -> Result<SockAddr, Fault> {
    let text = text.to_string_lossy();
    let (cid, port) = text.split_once(':').unwrap_or((&text, ""));
    let part = |part: &str, name: &str| match part {
        "" => Ok(ANY),
        part => number(OsStr::new(part), name),
    };
    Ok(SockAddr::vsock(part(cid, "cid")?, part(port, "port")?))
}

fn number(word: &OsStr, name: &str) -> Result<u32, Fault> {
    let word = word.to_string_lossy();
    match c_number(&word) {
        Some((number, "")) => match u32::try_from(number) {
            Ok(number) => Ok(number),
            Err(_) => Err(Fault::new(format!("sockaddr_vm - {name} \"{word}\" is too large"))),
        },
        _ => Err(Fault::new(format!("sockaddr_vm - garbage in {name}: \"{word}\""))),
    }
}

fn wrong_number(address: &Address, given: usize, wanted: usize) -> Fault {
    let word = &address.word;
    Fault::new(format!("{word}: wrong number of parameters ({given} instead of {wanted})"))
}
