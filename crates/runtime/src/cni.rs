//! The addresses that CNI plugins gave a sandbox, as libcni keeps them: for a runtime that cannot be asked.
//!
//! libcni writes the result of each attachment to `results/NETWORK-CONTAINER-INTERFACE` below its cache
//! directory, `/var/lib/cni`, and removes it with the attachment (`libcni/api.go`). The file is a result of
//! the CNI specification, since 0.7 within an object that says whose it is. Results since 0.3.0 have a list
//! `ips`, those before `ip4` and `ip6`. Whoever can write there is root on the node; a name is matched all
//! the same, and what is in the file is not believed to be anything but addresses.

use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;

use crate::root::Root;

/// Where libcni keeps results unless it is told another place (`CacheDir`).
const RESULTS: &str = "/var/lib/cni/results";

/// A node is not made for more than some hundred pods.
const MOST_RESULTS: usize = 20_000;

/// A result has some kilobytes, most of it the configuration of its network.
const MOST_RESULT: usize = 256 << 10;

/// The interface by which Kubernetes reaches a pod; others are of further networks.
const FIRST: &str = "eth0";

#[derive(Debug, Deserialize)]
struct Kept {
    #[serde(default)]
    result: Option<Told>,
    #[serde(flatten)]
    bare: Told,
}

#[derive(Debug, Default, Deserialize)]
struct Told {
    #[serde(default)]
    ips: Vec<Address>,
    #[serde(default)]
    ip4: Option<Address>,
    #[serde(default)]
    ip6: Option<Address>,
}

#[derive(Debug, Deserialize)]
struct Address {
    /// With the length of its network: `10.88.0.5/16`.
    #[serde(alias = "ip")]
    address: String,
}

/// The addresses of the sandbox `id`, those of `eth0` first; none where nothing is kept of it.
pub(crate) fn addresses(root: &Root, id: &str) -> Vec<IpAddr> {
    let results = Path::new(RESULTS);
    let Ok(names) = root.names(results, MOST_RESULTS) else { return Vec::new() };
    let mut files: Vec<_> = names.iter().filter(|name| interface(name, id).is_some()).collect();
    files.sort_by_key(|name| (interface(name, id) != Some(FIRST), name.as_str()));
    let read = files.iter().filter_map(|name| root.read(&results.join(name), MOST_RESULT).ok());
    read.flat_map(|json| told(&json)).collect()
}

/// The interface that the file `name` is about, if it is one of the container `id`.
fn interface<'a>(name: &'a str, id: &str) -> Option<&'a str> {
    let (network_and_id, interface) = name.rsplit_once('-')?;
    let network = network_and_id.strip_suffix(id)?.strip_suffix('-')?;
    (!network.is_empty() && !id.is_empty()).then_some(interface)
}

/// The addresses in a result; those of the loopback network are everybody's.
fn told(json: &[u8]) -> Vec<IpAddr> {
    let Ok(Kept { result, bare }) = serde_json::from_slice(json) else { return Vec::new() };
    let Told { ips, ip4, ip6 } = result.unwrap_or(bare);
    let written = ips.into_iter().chain(ip4).chain(ip6);
    let parsed = written.filter_map(|one| one.address.split('/').next()?.parse().ok());
    parsed.filter(|address: &IpAddr| !address.is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strings(json: &str) -> Vec<String> {
        told(json.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn results_of_all_versions_are_read() {
        let cached = r#"{"kind":"cniCacheV1","containerId":"abc","config":"e30=","ifName":"eth0",
            "networkName":"net","result":{"cniVersion":"1.0.0","dns":{},
            "interfaces":[{"name":"eth0"}],"ips":[{"address":"10.88.0.5/16","gateway":"10.88.0.1",
            "interface":0},{"address":"fd00::5/64"}],"routes":[{"dst":"0.0.0.0/0"}]}}"#;
        assert_eq!(strings(cached), ["10.88.0.5", "fd00::5"]);
        let bare = r#"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.2.3/24"}]}"#;
        assert_eq!(strings(bare), ["10.1.2.3"]);
        let old = r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.2.4/24"},"ip6":{"ip":"fd00::4/64"}}"#;
        assert_eq!(strings(old), ["10.1.2.4", "fd00::4"]);
    }

    #[test]
    fn what_is_no_result_has_no_addresses() {
        for json in ["", "{}", "[]", r#"{"ips":3}"#, r#"{"ips":[{"address":"here/8"}]}"#] {
            assert!(told(json.as_bytes()).is_empty(), "{json}");
        }
        // That of the loopback plugin.
        assert!(strings(r#"{"ips":[{"address":"127.0.0.1/8"},{"address":"::1/128"}]}"#).is_empty());
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        assert_eq!(interface("my-net-abc-eth0", "abc"), Some("eth0"));
        assert_eq!(interface("cni-loopback-abc-lo", "abc"), Some("lo"));
        for other in ["my-net-xabc-eth0", "my-net-abcd-eth0", "-abc-eth0", "abc-eth0", "abc"] {
            assert_eq!(interface(other, "abc"), None, "{other}");
        }
        assert_eq!(interface("my-net--eth0", ""), None);
    }

    proptest! {
        #[test]
        fn whatever_is_kept_is_read_or_left(json in "[{}\\[\\]\",:/ a-z0-9.]{0,96}") {
            told(json.as_bytes());
        }
    }
}
