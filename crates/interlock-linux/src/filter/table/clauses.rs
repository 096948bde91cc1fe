//! Clauses of the table: what a call's registers alone decide. Names of requests are the kernel's own.

use super::{Clause, Ruling, Test};

const ALL: u32 = u32::MAX;

const fn is(argument: u8, values: &'static [u32]) -> Test {
    Test::Is { argument, mask: ALL, values }
}

const fn masked(argument: u8, mask: u32, values: &'static [u32]) -> Test {
    Test::Is { argument, mask, values }
}

const fn allow(all: &'static [Test]) -> Clause {
    Clause { all, ruling: Ruling::Allow }
}

const fn notify(all: &'static [Test]) -> Clause {
    Clause { all, ruling: Ruling::Notify }
}

const fn errno(all: &'static [Test], errno: i32) -> Clause {
    Clause { all, ruling: Ruling::Errno(errno) }
}

/// Refused, and recorded.
const fn refuse(all: &'static [Test], errno: i32) -> Clause {
    Clause { all, ruling: Ruling::Refuse(errno) }
}

pub(super) const ALWAYS: &[Clause] = &[];

/// sendto: the address is the fifth argument; without one glibc's send() passes here.
pub(super) const SENDTO: &[Clause] = &[notify(&[Test::Given(4)]), allow(&[])];

const FAST_OPEN: u32 = libc::MSG_FASTOPEN as u32;

/// sendmsg, where whom a message is sent to does not matter: one flag would connect without connect(2), unrecorded.
pub(super) const SENDMSG: &[Clause] = &[notify(&[Test::Any { argument: 2, bits: FAST_OPEN }])];
/// sendmmsg: the same.
pub(super) const SENDMMSG: &[Clause] = &[notify(&[Test::Any { argument: 3, bits: FAST_OPEN }])];

/// prlimit64: reading, and one's own, are free.
pub(super) const PRLIMIT: &[Clause] = &[notify(&[Test::Any { argument: 0, bits: ALL }, Test::Given(2)]), allow(&[])];

/// The first argument names a process: 0 is the caller.
pub(super) const FIRST: &[Clause] = &[notify(&[Test::Any { argument: 0, bits: ALL }]), allow(&[])];

const PRIO_USER: u32 = libc::PRIO_USER;
const IOPRIO_WHO_USER: u32 = 3;

/// setpriority: the second argument names a process or group, and 0 is the caller's own. Of a user, 0 is every process there is of the
/// caller's, outside too.
pub(super) const PRIORITY: &[Clause] = &[notify(&[Test::Any { argument: 1, bits: ALL }]), notify(&[is(0, &[PRIO_USER])]), allow(&[])];

/// ioprio_set: the same, by other numbers.
pub(super) const IO_PRIORITY: &[Clause] =
    &[notify(&[Test::Any { argument: 1, bits: ALL }]), notify(&[is(0, &[IOPRIO_WHO_USER])]), allow(&[])];

/// setpgid: a group other than one of the target's own (0) may be anybody's of the session, and the supervisor is in it.
pub(super) const GROUP: &[Clause] = &[notify(&[Test::Any { argument: 1, bits: ALL }]), allow(&[])];

/// The mark by which a process finds out that its own filter is a session's: a command that fcntl(2) does not have, answered with an errno that
/// no kernel and no other filter gives. What an environment says of a session, anybody may have written.
pub const MARK: u32 = 0x494c_434b;
/// The answer.
pub const MARK_ERRNO: i32 = 3141;

/// F_SETDELEG (6.19).
const F_SETDELEG: u32 = 1024 + 16;

/// fcntl: a lease on a file that may be read makes everybody else's open of it wait for as long as 45 seconds, outside the session too.
pub(super) const FCNTL: &[Clause] =
    &[refuse(&[is(1, &[libc::F_SETLEASE as u32, F_SETDELEG])], libc::EINVAL), errno(&[is(1, &[MARK])], MARK_ERRNO)];

const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
const CLONE_NEWTIME: u32 = 0x80;

pub(super) const CLONE: &[Clause] = &[refuse(&[Test::Any { argument: 0, bits: NAMESPACES }], libc::EPERM)];
pub(super) const UNSHARE: &[Clause] = &[refuse(&[Test::Any { argument: 0, bits: NAMESPACES | CLONE_NEWTIME }], libc::EPERM)];

const UNIX: u32 = libc::AF_UNIX as u32;
const INTERNET: &[u32] = &[libc::AF_INET as u32, libc::AF_INET6 as u32];
const NETLINK: u32 = libc::AF_NETLINK as u32;
/// The kernel's SOCK_TYPE_MASK.
const TYPE: u32 = 0xf;
const MPTCP: u32 = 262;

pub(super) const SOCKET: &[Clause] = &[
    allow(&[is(0, &[UNIX])]),
    allow(&[is(0, INTERNET), masked(1, TYPE, &[libc::SOCK_STREAM as u32]), is(2, &[0, libc::IPPROTO_TCP as u32])]),
    allow(&[is(0, INTERNET), masked(1, TYPE, &[libc::SOCK_DGRAM as u32]), is(2, &[0, libc::IPPROTO_UDP as u32])]),
    errno(&[is(0, INTERNET), masked(1, TYPE, &[libc::SOCK_STREAM as u32]), is(2, &[MPTCP])], libc::EPROTONOSUPPORT),
    refuse(&[is(0, INTERNET)], libc::EPERM),
    allow(&[is(0, &[NETLINK]), is(2, &[libc::NETLINK_ROUTE as u32])]),
    errno(&[is(0, &[NETLINK])], libc::EPROTONOSUPPORT),
];

const IPV6_2292PKTOPTIONS: u32 = 6;
const IPV6_ADDR_OPTIONS: &[u32] =
    &[libc::IPV6_RTHDR as u32, libc::IPV6_RTHDRDSTOPTS as u32, libc::IPV6_DSTOPTS as u32, libc::IPV6_HOPOPTS as u32, IPV6_2292PKTOPTIONS];

/// TCP_FASTOPEN_CONNECT (4.11).
const FASTOPEN_CONNECT: u32 = 30;
/// By another device, or by another route.
const IP_UNICAST_IF: u32 = 50;
const IPV6_BY_DEVICE: &[u32] = &[libc::IPV6_PKTINFO as u32, 76];
const BY_DEVICE: &[u32] = &[libc::SO_BINDTODEVICE as u32, libc::SO_BINDTOIFINDEX as u32, libc::SO_MARK as u32];
/// A flow label. What is longer than `struct in6_flowlabel_req` gives options with it, such as a route, to every packet that has the label.
const IPV6_FLOWLABEL_MGR: u32 = 32;
const FLOW_LABEL_BYTES: u32 = 32;
const SHARES: &[u32] = &[libc::SO_REUSEADDR as u32, libc::SO_REUSEPORT as u32];
/// Into a multicast group (MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, IPV6_JOIN_ANYCAST among them): the kernel tells the network at once, and names it.
const JOINS: &[u32] = &[libc::IP_ADD_MEMBERSHIP as u32, libc::IP_ADD_SOURCE_MEMBERSHIP as u32, 42, 46];
const IPV6_JOINS: &[u32] = &[libc::IPV6_ADD_MEMBERSHIP as u32, 27, 42, 46];

/// The kernel's tables of packets (ip_tables, ip6_tables, arp_tables, ebtables, and IPVS from 1152 on). Whoever runs a session owns the network in which its names are
/// answered, as an ordinary user too, and so might change them there; nowhere else could an ordinary user.
const PACKET_TABLES: &[u32] = &[64, 65, 66, 67, 96, 97, 98, 99, 128, 129, 130, 131];
const IPV6_PACKET_TABLES: &[u32] = &[64, 65, 68, 69];
const IPVS_MASK: u32 = !0xf;
const IPVS: &[u32] = &[1152];
const TABLES: [Clause; 3] = [
    errno(&[is(1, &[libc::IPPROTO_IP as u32]), is(2, PACKET_TABLES)], libc::ENOPROTOOPT),
    errno(&[is(1, &[libc::IPPROTO_IP as u32]), masked(2, IPVS_MASK, IPVS)], libc::ENOPROTOOPT),
    errno(&[is(1, &[libc::IPPROTO_IPV6 as u32]), is(2, IPV6_PACKET_TABLES)], libc::ENOPROTOOPT),
];

/// shutdown: for writing alone it leaves every socket where it is.
pub(super) const SHUTDOWN: &[Clause] = &[allow(&[is(1, &[libc::SHUT_WR as u32])])];

/// setsockopt: a source route, or a device to send by (which takes even a loopback address to the wire), would lead packets elsewhere than the
/// address that was judged; TCP_REPAIR makes connections without connect; a
/// connect that is put off until the first write, and datagrams that leave with a later one, reach whoever is there by then. Joining a group is decided as sending to it.
pub(super) const SETSOCKOPT: &[Clause] = &[
    refuse(&[is(1, &[libc::IPPROTO_IP as u32]), is(2, &[libc::IP_OPTIONS as u32])], libc::EPERM),
    refuse(&[is(1, &[libc::IPPROTO_IPV6 as u32]), is(2, IPV6_ADDR_OPTIONS)], libc::EPERM),
    refuse(&[is(1, &[libc::IPPROTO_IP as u32]), is(2, &[IP_UNICAST_IF])], libc::EPERM),
    refuse(&[is(1, &[libc::IPPROTO_IPV6 as u32]), is(2, IPV6_BY_DEVICE)], libc::EPERM),
    refuse(&[is(1, &[libc::SOL_SOCKET as u32]), is(2, BY_DEVICE)], libc::EPERM),
    allow(&[is(1, &[libc::IPPROTO_IPV6 as u32]), is(2, &[IPV6_FLOWLABEL_MGR]), is(4, &[FLOW_LABEL_BYTES])]),
    refuse(&[is(1, &[libc::IPPROTO_IPV6 as u32]), is(2, &[IPV6_FLOWLABEL_MGR])], libc::EPERM),
    refuse(&[is(1, &[libc::IPPROTO_TCP as u32]), is(2, &[libc::TCP_REPAIR as u32])], libc::EPERM),
    refuse(&[is(1, &[libc::IPPROTO_TCP as u32]), is(2, &[FASTOPEN_CONNECT])], libc::EOPNOTSUPP),
    refuse(&[is(1, &[libc::IPPROTO_UDP as u32]), is(2, &[libc::UDP_CORK as u32])], libc::ENOPROTOOPT),
    TABLES[0],
    TABLES[1],
    TABLES[2],
    notify(&[is(1, &[libc::SOL_SOCKET as u32]), is(2, SHARES)]),
    notify(&[is(1, &[libc::IPPROTO_IP as u32]), is(2, JOINS)]),
    notify(&[is(1, &[libc::IPPROTO_IPV6 as u32]), is(2, IPV6_JOINS)]),
    allow(&[]),
];

/// getsockopt: a socket that has its port alone reads as its program said.
pub(super) const GETSOCKOPT: &[Clause] =
    &[TABLES[0], TABLES[1], TABLES[2], notify(&[is(1, &[libc::SOL_SOCKET as u32]), is(2, SHARES)]), allow(&[])];

const PR_SET_DUMPABLE: u32 = 4;
const PR_SET_KEEPCAPS: u32 = 8;
const PR_CAPBSET_DROP: u32 = 24;
const PR_SET_SECUREBITS: u32 = 28;
const PR_SET_MM: u32 = 35;
const PR_CAP_AMBIENT: u32 = 47;

pub(super) const PRCTL: &[Clause] = &[
    // A caller the supervisor cannot read could not be mediated: answered, and not done.
    errno(&[is(0, &[PR_SET_DUMPABLE]), is(1, &[0, 1])], 0),
    errno(&[is(0, &[PR_SET_DUMPABLE])], libc::EINVAL),
    // /proc/PID/exe would be the caller's to choose.
    refuse(&[is(0, &[PR_SET_MM])], libc::EPERM),
    notify(&[is(0, &[PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_CAP_AMBIENT])]),
];

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const TIOCCONS: u32 = 0x541d;
const TIOCSETD: u32 = 0x5423;
/// As vhangup(2): everybody who has the terminal loses it, and the one who leads its session is told by a deadly signal.
const TIOCVHANGUP: u32 = 0x5437;
const MAGIC: u32 = 0xff00;
/// Inode flags, versions, project ids, verity, encryption, FAT's attributes: decided as a change of the file.
const INODE: &[u32] = &[0x4004_7211, 0x4008_6602, 0x4004_6602, 0x401c_5820, 0x4008_7602, 0x4004_7602, 0x4080_6685];
const READS: &[u32] = &[0x8008_6601, 0x8004_6601, 0x8008_7601, 0x8004_7601, 0xc020_660b, 0xc0c0_6686, 0xc028_6687, 0x801c_581f];
const OCFS2_IOC_REFLINK: u32 = 0x4018_6f04;
const CLONES: &[u32] = &[0x4004_9409, 0x4020_940d, 0xc018_9436];

/// What `/dev/userfaultfd` is opened for: the table refuses the call of that name, and whoever holds its faults holds whoever reads its memory.
const USERFAULTFD_IOC_NEW: u32 = 0xaa00;

/// Requests of netdevice(7), arp(7) and the bridge that change a network, or give it as a file (SIOCGSKNS): for the same reason as [`TABLES`].
const NETWORK: u32 = 0x8900;
const NETWORK_CHANGES: &[u32] = &[
    0x890b, 0x890c, 0x890d, 0x8911, 0x8914, 0x8916, 0x8918, 0x891a, 0x891c, 0x891e, 0x8920, 0x8922, 0x8923, 0x8924, 0x8926, 0x8930, 0x8931,
    0x8932, 0x8934, 0x8936, 0x8937, 0x8941, 0x8943, 0x8945, 0x8949, 0x894a, 0x894c, 0x8953, 0x8955, 0x8960, 0x8962, 0x8971, 0x8980, 0x8981,
    0x8983, 0x8990, 0x8991, 0x8992, 0x8995, 0x89a0, 0x89a1, 0x89a2, 0x89a3, 0x89b0,
];
/// Of a protocol or a device: bridges, tunnels.
const PRIVATE_MASK: u32 = 0xfff0;
const NETWORK_PRIVATE: &[u32] = &[0x89e0, 0x89f0];

pub(super) const IOCTL: &[Clause] = &[
    errno(&[masked(1, MAGIC, &[NETWORK]), is(1, NETWORK_CHANGES)], libc::EPERM),
    errno(&[masked(1, PRIVATE_MASK, NETWORK_PRIVATE)], libc::EPERM),
    refuse(&[is(1, &[TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD, TIOCVHANGUP, USERFAULTFD_IOC_NEW])], libc::EPERM),
    notify(&[is(1, INODE)]),
    allow(&[is(1, READS)]),
    allow(&[is(1, CLONES)]),
    // What else file systems take ('f', 'v', 'X', btrfs's 0x94, bcachefs's 0xbc: subvolumes, snapshots, freezing, defragmenting) makes or moves
    // names past every rule; so does OCFS2's clone by two names.
    refuse(&[masked(1, MAGIC, &[0x6600, 0x7600, 0x5800, 0x9400, 0xbc00])], libc::EPERM),
    refuse(&[is(1, &[OCFS2_IOC_REFLINK])], libc::EPERM),
];
