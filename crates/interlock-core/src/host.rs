//! Names of hosts: the one spelling that acts have them in, the patterns that rules name them by, and the addresses that a name may lead to.
//!
//! Left out: who asked for a name and what was answered (the enforcement point). RFC 1035 section 2.3.4 (lengths), RFC 5890 section 2.3.1
//! (labels), RFC 6052 section 2.1 (addresses that carry one of IPv4), RFC 6890 (special networks).
//! INVARIANT: a name has one spelling here. Other alphabets are written as `xn--` labels, so that two names that look alike are two names.

use crate::network::Block;
use std::net::{IpAddr, Ipv4Addr};

const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// No name leads here, whatever a rule says: link-local and multicast addresses, services that hand out a machine's credentials, and addresses that
/// carry another in a form that this does not read. Who means one of them allows it by its address.
const NEVER: &[&str] = &[
    "0.0.0.0/8",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::",
    "64:ff9b:1::/48",
    "2001::/32",
    "2002::/16",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fe80::/10",
    "ff00::/8",
];

/// Where a name leads only if its rule says `private: true`.
const PRIVATE: &[&str] =
    &["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "::1", "fc00::/7", "fec0::/10"];

/// A name in its one spelling: lower case, without a dot at its end.
///
/// # Errors
/// What is wrong with it, for a sentence that names it.
pub fn canonical(name: &str) -> Result<String, &'static str> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if name.len() > NAME_BYTES_MAX {
        return Err("is longer than a name can be");
    }
    name.split('.').try_for_each(check_label)?;
    // As URLs are read: what ends in a number is an address, in one of its many spellings (`0x7f.1`, `2130706433`).
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex);
    if is_number { Err("is an address, or a spelling of one") } else { Ok(name) }
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_empty() {
        return Err("has an empty label");
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err("has a label of more than 63 letters");
    }
    if !label.bytes().all(plain) {
        return Err("holds something else than letters, digits, `-`, `_` and dots");
    }
    if label.starts_with('-') || label.ends_with('-') { Err("has a label that begins or ends with `-`") } else { Ok(()) }
}

/// The names that a rule is about: one, or those below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    below: Below,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    /// The name itself.
    Itself,
    /// `*.`: what has one label more.
    One,
    /// `**.`: what has one label more, or several.
    Any,
}

impl HostPattern {
    /// Reads `example.com`, `*.example.com` (one label more) and `**.example.com` (one or several), in any spelling of the name.
    ///
    /// # Errors
    /// What is wrong with it, for a sentence that names it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let below = [("**.", Below::Any), ("*.", Below::One)].into_iter();
        let (below, name) = below.fold((Below::Itself, text), |(found, rest), (prefix, below)| match text.strip_prefix(prefix) {
            Some(name) if found == Below::Itself => (below, name),
            _ => (found, rest),
        });
        if name.contains('*') {
            return Err("has a `*` that is not a whole label at its beginning, with a name behind it");
        }
        Ok(Self { below, name: canonical(name)? })
    }

    /// Reads one that is written in its one spelling.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text).map_err(|why| format!("the host `{text}` {why}"))?;
        if pattern.text() == text { Ok(pattern) } else { Err(format!("the host `{text}` must be written as `{}`", pattern.text())) }
    }

    /// Its one spelling.
    #[must_use]
    pub fn text(&self) -> String {
        let prefix = match self.below {
            Below::Itself => "",
            Below::One => "*.",
            Below::Any => "**.",
        };
        format!("{prefix}{}", self.name)
    }

    fn matches(&self, name: &str) -> bool {
        let above = || name.strip_suffix(self.name.as_str()).and_then(|front| front.strip_suffix('.'));
        match self.below {
            Below::Itself => self.name == name,
            Below::One => above().is_some_and(|front| !front.is_empty() && !front.contains('.')),
            Below::Any => above().is_some_and(|front| !front.is_empty()),
        }
    }
}

/// `host` and `private` of a rule.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<HostPattern>,
    /// Whether the rule means private addresses as well.
    pub private: bool,
    refused: Vec<Block>,
}

impl Hosts {
    pub(crate) fn compile(names: Vec<HostPattern>, private: bool) -> Result<Self, String> {
        let lists = if private { [NEVER, &[]] } else { [NEVER, PRIVATE] };
        let refused = lists.into_iter().flatten().map(|text| Block::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { names, private, refused })
    }

    /// Whether the rule is about the name. An act that no name led to is about none.
    pub fn name(&self, host: Option<&str>) -> bool {
        host.is_some_and(|host| self.names.iter().any(|pattern| pattern.matches(host)))
    }

    /// Whether a name may lead to this address.
    pub fn admit(&self, address: IpAddr) -> bool {
        let reached = carried(address).unwrap_or(address);
        !self.refused.iter().any(|block| block.contains(reached))
    }
}

/// Whether a name may lead to this address without a rule that says so: it is a public one.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    Hosts::compile(Vec::new(), false).is_ok_and(|hosts| hosts.admit(address))
}

/// The address of IPv4 that one of a translated network carries, or one of the tunnels that went by such addresses alone (RFC 4291 section 2.5.5.1).
fn carried(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(six) = address else { return None };
    match six.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        assert_eq!(canonical("Example.COM."), Ok("example.com".to_owned()));
        assert_eq!(canonical("_dmarc.xn--mnchen-3ya.de"), Ok("_dmarc.xn--mnchen-3ya.de".to_owned()));
        let long = format!("{}.com", "a".repeat(64));
        let endless = "a.".repeat(127) + "com";
        for wrong in [
            "",
            ".",
            "a..b",
            "a.b..",
            "münchen.de",
            "a\0.com",
            "fe80::1%eth0",
            "a.com%eth0",
            "a b.com",
            "-a.com",
            "a-.com",
            "a*.com",
            &long,
            &endless,
        ] {
            assert!(canonical(wrong).is_err(), "{wrong}");
        }
        for address in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7F000001", "1.2.3.4.", "a.0x"] {
            assert_eq!(canonical(address), Err("is an address, or a spelling of one"), "{address}");
        }
    }

    #[test]
    fn a_pattern_matches_by_label() {
        let matches = |pattern: &str, name: &str| HostPattern::parse(pattern).unwrap().matches(name);
        assert!(matches("Example.com.", "example.com"));
        assert!(!matches("example.com", "a.example.com"));
        assert!(matches("*.example.com", "a.example.com"));
        assert!(matches("**.example.com", "a.b.example.com"));
        for other in ["example.com", ".example.com", "badexample.com", "a.b.example.com", "example.com.evil.org"] {
            assert!(!matches("*.example.com", other), "{other}");
        }
        for other in ["example.com", "badexample.com", "a.example.com.evil.org"] {
            assert!(!matches("**.example.com", other), "{other}");
        }
        for wrong in ["*", "**", "*.", "a.*.com", "a*.com", "***.com", "*.*.com", "*.10.0.0.1"] {
            assert!(HostPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_leads_to_public_addresses_unless_its_rule_says_more() {
        let admits = |private: bool, address: &str| Hosts::compile(Vec::new(), private).unwrap().admit(address.parse().unwrap());
        for public in ["203.0.113.7", "2606:4700::1", "64:ff9b::808:808"] {
            assert!(admits(false, public) && admits(true, public), "{public}");
        }
        for private in [
            "10.1.2.3",
            "127.0.0.1",
            "192.168.1.1",
            "::1",
            "fd12::1",
            "64:ff9b::a01:203",
            "::ffff:10.1.2.3",
            "::10.1.2.3",
            "fec0::1",
            "198.18.0.9",
        ] {
            assert!(!admits(false, private) && admits(true, private), "{private}");
        }
        for never in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert!(!admits(true, never), "{never}");
        }
    }
}
