//! Blocks of addresses: a literal address or a CIDR. An IPv4-mapped IPv6 address is the IPv4 address it maps.

use std::net::IpAddr;

/// All addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    base: IpAddr,
    prefix_bits: u32,
}

impl Block {
    /// Reads `192.0.2.1`, `10.0.0.0/8`, `::1`, `fc00::/7`. Bits set below the prefix are an error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let base: IpAddr = address.parse().map_err(|_| format!("`{text}` is neither an address nor a CIDR"))?;
        if base.to_canonical() != base {
            return Err(format!("`{text}` is an IPv4 address and must be written as one"));
        }
        let width = if base.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => width,
            Some(bits) => {
                plain_number(bits).filter(|bits| *bits <= width).ok_or_else(|| format!("`{text}` has no prefix of 0 to {width} bits"))?
            }
        };
        let block = Self { base, prefix_bits };
        if block.masked(base) == Some(bits(base)) { Ok(block) } else { Err(format!("`{text}` has bits set below its prefix")) }
    }

    /// Whether the address lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.masked(address).is_some_and(|masked| masked == bits(self.base))
    }

    /// Whether it is larger than what one organisation has: the internet, or a part of it.
    pub fn is_wide(&self) -> bool {
        self.prefix_bits < if self.base.is_ipv4() { 8 } else { 16 }
    }

    fn masked(&self, address: IpAddr) -> Option<u128> {
        if address.is_ipv4() != self.base.is_ipv4() {
            return None;
        }
        let width = if address.is_ipv4() { 32 } else { 128 };
        let mask = u128::MAX.checked_shl(width - self.prefix_bits).unwrap_or(0);
        Some(bits(address) & mask)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn plain_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}
