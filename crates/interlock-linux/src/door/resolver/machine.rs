//! What the machine itself says of names: whom to ask (resolv.conf(5)) and what it knows already (hosts(5)).
//!
//! Read before anything of the session runs. Servers are read again when their file changed, as it does when a machine comes to another network, but only where the kernel
//! itself keeps this user from changing it: so nothing counts that the session writes there.

use crate::sys::errno::Errno;
use crate::sys::{files, process};
use interlock_core::host;
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SERVERS: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
const PORT: u16 = 53;
/// Links on the way to a file, as the kernel has it (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// As every C library has it (MAXNS, MAXDNSRCH).
const SERVERS_MAX: usize = 3;
const DOMAINS_MAX: usize = 16;
/// What of a file is read.
const BYTES_MAX: usize = 4 << 20;
const WAIT: Duration = Duration::from_secs(2);
const WAIT_MAX_S: u64 = 5;

/// What a machine says of names.
pub struct Machine {
    /// What the file of hosts says.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    servers: Mutex<(Option<Stamp>, Arc<Servers>)>,
}

/// Whom to ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Servers {
    /// In order.
    pub addresses: Vec<SocketAddr>,
    /// How long each is waited for.
    pub wait: Duration,
    /// Behind a short name these are tried.
    pub domains: Vec<String>,
}

/// By what a changed file is known, and one that was put in its place: its size, and the times of its content and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, (i64, i64), (i64, i64));

impl Machine {
    /// What this machine says now.
    #[must_use]
    pub fn read() -> Self {
        Self { hosts: known(&text(HOSTS)), servers: Mutex::new((stamp(SERVERS), Arc::new(Servers::of(&text(SERVERS))))) }
    }

    /// Whom to ask now.
    #[must_use]
    pub fn servers(&self) -> Arc<Servers> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(SERVERS);
        // While the file is exchanged there may be none: what it said holds.
        if now.is_some() && now != servers.0 && is_out_of_reach(Path::new(SERVERS)) {
            *servers = (now, Arc::new(Servers::of(&text(SERVERS))));
        }
        Arc::clone(&servers.1)
    }
}

impl Servers {
    /// What the file says. Without a server the machine is itself one (resolv.conf(5)).
    fn of(text: &str) -> Self {
        let mut servers = Self { addresses: Vec::new(), wait: WAIT, domains: Vec::new() };
        for line in text.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default()) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => servers.addresses.extend(words.next().and_then(server)),
                // The last of them counts.
                Some("search" | "domain") => {
                    servers.domains = words.filter_map(|domain| host::canonical(domain).ok()).take(DOMAINS_MAX).collect();
                }
                Some("options") => words.filter_map(|word| word.strip_prefix("timeout:")?.parse::<u64>().ok()).for_each(|seconds| {
                    servers.wait = Duration::from_secs(seconds.clamp(1, WAIT_MAX_S));
                }),
                _ => {}
            }
        }
        servers.addresses.truncate(SERVERS_MAX);
        if servers.addresses.is_empty() {
            servers.addresses.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        servers
    }

    /// Whether a name lies in a domain that is tried behind short names.
    #[must_use]
    pub fn searches(&self, name: &str) -> bool {
        self.domains.iter().any(|domain| name.strip_suffix(domain.as_str()).is_some_and(|front| front.ends_with('.')))
    }
}

fn text(path: &str) -> String {
    let mut bytes = std::fs::read(path).unwrap_or_default();
    bytes.truncate(BYTES_MAX);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn stamp(path: &str) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(Stamp(found.size(), (found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec())))
}

/// Whether the user of this process can neither change what a name leads to nor lead it elsewhere: the object, and each folder on the way, belongs to somebody
/// else and may not be written. A session has no more authority than its supervisor, and as root nothing is out of reach.
fn is_out_of_reach(path: &Path) -> bool {
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    let mut left: Vec<OsString> = parts(path);
    while let Some(part) = left.pop() {
        let next = here.join(&part);
        let Ok(found) = std::fs::symlink_metadata(&next) else { return false };
        if !is_kept(&here) {
            return false;
        }
        if !found.is_symlink() {
            // No link is on the way here, so the one above is the one before.
            here = if part == ".." { here.parent().map_or(PathBuf::from("/"), Path::to_path_buf) } else { next };
            continue;
        }
        links += 1;
        let Ok(target) = std::fs::read_link(&next) else { return false };
        if links > LINKS_MAX {
            return false;
        }
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        left.extend(parts(&target));
    }
    is_kept(&here)
}

/// The steps of a path, the first of them last.
fn parts(path: &Path) -> Vec<OsString> {
    path.iter().rev().filter(|part| *part != "/").map(OsString::from).collect()
}

fn is_kept(path: &Path) -> bool {
    let (Ok(found), Ok(name)) = (std::fs::symlink_metadata(path), CString::new(path.as_os_str().as_bytes())) else { return false };
    found.uid() != process::user() && matches!(files::may(&name, libc::W_OK), Err(Errno(libc::EACCES | libc::EROFS)))
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

fn known(hosts: &str) -> BTreeMap<String, Vec<IpAddr>> {
    let mut known: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
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
        let (servers, known) = (Servers::of(resolv), known(hosts));
        let text: Vec<String> = servers.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["192.0.2.1:53", "[fe80::1%7]:53", "[::1]:53"]);
        assert_eq!((servers.wait, servers.domains.as_slice()), (Duration::from_secs(1), ["lan.example".to_owned()].as_slice()));
        assert!(servers.searches("a.lan.example") && !servers.searches("lan.example") && !servers.searches("alan.example"));
        let addresses: Vec<String> = known.get("git.example").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7", "2001:db8::7", "192.0.2.8"]);
        assert_eq!(known.get("me").unwrap().len(), 1);
        assert_eq!(known.get("localhost").unwrap().len(), 2);
    }

    #[test]
    fn what_this_user_may_write_or_lead_elsewhere_is_within_reach() {
        let folder = std::env::temp_dir().join(format!("interlock-reach-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let (file, led) = (folder.join("file"), folder.join("led"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("/proc/version", &led).unwrap();
        assert!(!is_out_of_reach(&file) && !is_out_of_reach(&led) && !is_out_of_reach(&folder.join("none")));
        assert_eq!(is_out_of_reach(Path::new("/proc/self/../version")), process::user() != 0);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_server_the_machine_is_itself_one() {
        assert_eq!(Servers::of("").addresses, ["127.0.0.1:53".parse().unwrap()]);
    }
}
