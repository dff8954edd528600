//! In which order the addresses of a host are tried, and how soon one after the other (RFC 8305).

use std::net::SocketAddr;
use std::time::Duration;

/// The time for which a candidate may be silent before the next one begins beside it (RFC 8305,
/// section 5).
pub const STAGGER: Duration = Duration::from_millis(250);

/// The same addresses with both IP versions in turn, beginning with that of the first (RFC 8305,
/// section 4): where one version leads nowhere, a second address of it is no better.
pub fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let count = addresses.len();
    let (own, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        all.extend(own.next());
        all.extend(other.next());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_take_turns_and_keep_their_order() {
        let order = |words: &[&str]| {
            let addresses = words.iter().map(|word| SocketAddr::new(word.parse().unwrap(), 80));
            let all = interleaved(addresses.collect());
            all.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            order(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"]),
            ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]
        );
        assert_eq!(order(&["10.0.0.1", "::1", "::2"]), ["10.0.0.1", "::1", "::2"]);
        assert_eq!(order(&["10.0.0.2", "10.0.0.1"]), ["10.0.0.2", "10.0.0.1"]);
        assert!(order(&[]).is_empty());
    }
}
