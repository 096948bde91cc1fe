//! Multicast groups as bytes: which group an option of setsockopt(2) lets a socket into.
//!
//! Left out: options that narrow or end a membership, which do nothing without one. Source: ip(7), ipv6(7), RFC 3678, `linux/in.h`, `linux/in6.h`.

use crate::errno::{Errno, Sys};
use crate::field::array;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest value of such an option (`struct group_source_req`); what comes behind it the kernel does not read.
pub const VALUE_BYTES_MAX: usize = 264;
/// Where the group's address begins in `struct group_req` and `struct group_source_req`, and where it stands in an address of either family.
const ADDRESS_AT: usize = 8;
const FOUR_AT: usize = ADDRESS_AT + 4;
const SIX_AT: usize = ADDRESS_AT + 8;
/// IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP: the group comes first.
const BY_FOUR: [i32; 2] = [libc::IP_ADD_MEMBERSHIP, libc::IP_ADD_SOURCE_MEMBERSHIP];
/// IPV6_ADD_MEMBERSHIP, IPV6_JOIN_ANYCAST: the same.
const BY_SIX: [i32; 2] = [libc::IPV6_ADD_MEMBERSHIP, 27];
/// MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, on either level.
const BY_EITHER: [i32; 2] = [42, 46];

/// The group that `option` of `level` lets a socket into, as the kernel reads `bytes`.
///
/// # Errors
/// EINVAL for what names none.
pub fn group(level: i32, option: i32, bytes: &[u8]) -> Sys<IpAddr> {
    let four = |at| array::<4>(bytes, at).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let six = |at| array::<16>(bytes, at).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    let family = array::<2>(bytes, ADDRESS_AT).map(|family| i32::from(u16::from_ne_bytes(family)));
    let found = match (level, option) {
        (libc::IPPROTO_IP, option) if BY_FOUR.contains(&option) => four(0),
        (libc::IPPROTO_IPV6, option) if BY_SIX.contains(&option) => six(0),
        (libc::IPPROTO_IP, option) if BY_EITHER.contains(&option) && family == Some(libc::AF_INET) => four(FOUR_AT),
        (libc::IPPROTO_IPV6, option) if BY_EITHER.contains(&option) && family == Some(libc::AF_INET6) => six(SIX_AT),
        _ => None,
    };
    found.map(|group| group.to_canonical()).ok_or(Errno(libc::EINVAL))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_where_the_kernel_reads_it() {
        let plain = [239, 1, 2, 3, 0, 0, 0, 0];
        assert_eq!(group(libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &plain).unwrap().to_string(), "239.1.2.3");
        let mut named = vec![7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 239, 1, 2, 4];
        assert_eq!(group(libc::IPPROTO_IP, 42, &named).unwrap().to_string(), "239.1.2.4");
        assert_eq!(group(libc::IPPROTO_IPV6, 42, &named), Err(Errno(libc::EINVAL)));
        named.splice(8.., [10, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(group(libc::IPPROTO_IPV6, 46, &named).unwrap().to_string(), "ff15::9");
        let six: [u8; 16] = "ff02::fb".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(group(libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &six).unwrap().to_string(), "ff02::fb");
    }

    #[test]
    fn what_is_too_short_or_no_membership_names_none() {
        for (level, option, length) in [
            (libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, 3),
            (libc::IPPROTO_IP, 42, 15),
            (libc::IPPROTO_IPV6, 20, 15),
            (libc::SOL_SOCKET, 35, 99),
        ] {
            assert_eq!(group(level, option, &vec![2; length]), Err(Errno(libc::EINVAL)), "{level} {option}");
        }
    }
}
