//! What the machine itself says of names: whom to ask (resolv.conf(5)) and what it knows already (hosts(5)). Read once, before anything of the session runs,
//! so that nothing which the session writes there matters.

use interlock_core::host;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

const PORT: u16 = 53;
/// As every C library has it (MAXNS, MAXDNSRCH).
const SERVERS_MAX: usize = 3;
const DOMAINS_MAX: usize = 16;
/// What of a file is read.
const BYTES_MAX: usize = 4 << 20;
const WAIT: Duration = Duration::from_secs(2);
const WAIT_MAX_S: u64 = 5;

/// What a machine says of names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whom to ask, in order.
    pub servers: Vec<SocketAddr>,
    /// How long each is waited for.
    pub wait: Duration,
    /// Behind a short name these are tried.
    pub domains: Vec<String>,
    /// What the file of hosts says.
    pub hosts: HashMap<String, Vec<IpAddr>>,
}

impl Machine {
    /// What this machine says now. Without a server it is itself one (resolv.conf(5)).
    #[must_use]
    pub fn read() -> Self {
        let text = |path: &str| {
            let mut bytes = std::fs::read(path).unwrap_or_default();
            bytes.truncate(BYTES_MAX);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self::of(&text("/etc/resolv.conf"), &text("/etc/hosts"))
    }

    fn of(resolv: &str, hosts: &str) -> Self {
        let mut machine = Self { wait: WAIT, hosts: known(hosts), ..Self::default() };
        for line in resolv.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default()) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => machine.servers.extend(words.next().and_then(server)),
                // The last of them counts.
                Some("search" | "domain") => {
                    machine.domains = words.filter_map(|domain| host::canonical(domain).ok()).take(DOMAINS_MAX).collect();
                }
                Some("options") => words.filter_map(|word| word.strip_prefix("timeout:")?.parse::<u64>().ok()).for_each(|seconds| {
                    machine.wait = Duration::from_secs(seconds.clamp(1, WAIT_MAX_S));
                }),
                _ => {}
            }
        }
        machine.servers.truncate(SERVERS_MAX);
        if machine.servers.is_empty() {
            machine.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        machine
    }

    /// Whether a name lies in a domain that is tried behind short names.
    #[must_use]
    pub fn searches(&self, name: &str) -> bool {
        self.domains.iter().any(|domain| name.strip_suffix(domain.as_str()).is_some_and(|front| front.ends_with('.')))
    }
}

/// A server's address; of a link-local one with its device, which stands as a number or as a name.
fn server(text: &str) -> Option<SocketAddr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    match (address.parse().ok()?, zone) {
        (IpAddr::V6(address), Some(zone)) => Some(SocketAddrV6::new(address, PORT, 0, device(zone)?).into()),
        (address, None) => Some((address, PORT).into()),
        (IpAddr::V4(_), Some(_)) => None,
    }
}

fn device(zone: &str) -> Option<u32> {
    if zone.contains('/') {
        return None;
    }
    zone.parse().ok().or_else(|| std::fs::read_to_string(format!("/sys/class/net/{zone}/ifindex")).ok()?.trim().parse().ok())
}

fn known(hosts: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut known: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in hosts.lines().map(|line| line.split('#').next().unwrap_or_default()) {
        let mut words = line.split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.split('%').next()?.parse::<IpAddr>().ok()) else { continue };
        for name in words.filter_map(|name| host::canonical(name).ok()) {
            let addresses = known.entry(name).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    // RFC 6761 section 6.3: whatever the file says or leaves out.
    known.insert("localhost".to_owned(), vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    known
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn servers_domains_and_hosts_are_read_as_the_c_library_reads_them() {
        let resolv = "# made by hand\nnameserver 192.0.2.1 ; first\nnameserver fe80::1%7\nnameserver nonsense\nsearch Corp.Example. other\n\
                      search lan.example\noptions ndots:5 timeout:1\nnameserver ::1\nnameserver 192.0.2.9\n";
        let hosts =
            "127.0.0.1 localhost me\n192.0.2.7 Git.Example git # ours\n2001:db8::7 git.example\n192.0.2.8 git.example\nnonsense x\n";
        let machine = Machine::of(resolv, hosts);
        let text: Vec<String> = machine.servers.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["192.0.2.1:53", "[fe80::1%7]:53", "[::1]:53"]);
        assert_eq!((machine.wait, machine.domains.as_slice()), (Duration::from_secs(1), ["lan.example".to_owned()].as_slice()));
        assert!(machine.searches("a.lan.example") && !machine.searches("lan.example") && !machine.searches("alan.example"));
        let addresses: Vec<String> = machine.hosts.get("git.example").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7", "2001:db8::7", "192.0.2.8"]);
        assert_eq!(machine.hosts.get("me").unwrap().len(), 1);
        assert_eq!(machine.hosts.get("localhost").unwrap().len(), 2);
    }

    #[test]
    fn without_a_server_the_machine_is_itself_one() {
        assert_eq!(Machine::of("", "").servers, ["127.0.0.1:53".parse().unwrap()]);
    }
}
