//! Route netlink: what asks passes, what changes the machine's network does not.
//!
//! Source: netlink(7), rtnetlink(7): message types come in fours, the third of which (RTM_GET…) asks.

use crate::errno::{Errno, Sys};

const HEADER: usize = 16;
const FIRST_TYPE: u16 = 16;

/// Checks a buffer of netlink messages.
///
/// # Errors
/// EPERM for a message that is no question.
pub fn check(data: &[u8]) -> Sys<()> {
    let mut rest = data;
    while let (Some(length), Some(kind)) = (field(rest, 0), field(rest, 4)) {
        let kind = (kind & 0xffff) as u16;
        if kind >= FIRST_TYPE && (kind - FIRST_TYPE) % 4 != 2 {
            return Err(Errno(libc::EPERM));
        }
        let length = length as usize;
        if length < HEADER || length > rest.len() {
            // The kernel stops at a malformed message.
            return Ok(());
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

fn field(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(..HEADER)?.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16) -> Vec<u8> {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(20, 0);
        bytes
    }

    #[test]
    fn questions_pass_and_changes_do_not() {
        assert_eq!(check(&message(libc::RTM_GETADDR)), Ok(()));
        assert_eq!(check(&message(libc::RTM_GETLINK)), Ok(()));
        assert_eq!(check(&message(libc::RTM_NEWROUTE)), Err(Errno(libc::EPERM)));
        assert_eq!(check(&message(libc::RTM_DELADDR)), Err(Errno(libc::EPERM)));
        assert_eq!(check(&[message(libc::RTM_GETADDR), message(libc::RTM_NEWADDR)].concat()), Err(Errno(libc::EPERM)));
        assert_eq!(check(&[]), Ok(()));
    }
}
