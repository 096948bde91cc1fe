//! Control data as bytes: split as the kernel splits them, written as it reads them (cmsg(3)).
//!
//! Left out: what a message means.

use crate::errno::{Errno, Sys};

const HEADER: usize = 16;
const ALIGN: usize = 8;

/// One control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'b> {
    /// Which protocol reads it (SOL_SOCKET, IPPROTO_*).
    pub level: i32,
    /// What it is to that protocol.
    pub kind: i32,
    /// What it holds.
    pub data: &'b [u8],
}

/// Splits control data; a tail too short for a header is ignored, as the kernel does.
///
/// # Errors
/// EINVAL for what does not fit.
pub fn items(bytes: &[u8]) -> Sys<Vec<Item<'_>>> {
    let mut items = Vec::new();
    let mut rest = bytes;
    while rest.len() >= HEADER {
        let word = |at: usize| rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
        let length = rest.get(..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes);
        let length = usize::try_from(length).ok().filter(|length| (HEADER..=rest.len()).contains(length)).ok_or(Errno(libc::EINVAL))?;
        let data = rest.get(HEADER..length).ok_or(Errno(libc::EINVAL))?;
        items.push(Item { level: word(8), kind: word(12), data });
        rest = rest.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    Ok(items)
}

/// One control message as the kernel reads it.
#[must_use]
pub fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + data.len()) as u64).to_ne_bytes().to_vec();
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rights() -> Vec<u8> {
        message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[1, 0, 0, 0])
    }

    #[test]
    fn messages_are_split_and_written_alike() {
        let bytes = [rights(), message(libc::IPPROTO_IP, libc::IP_TOS, &[9, 0, 0, 0])].concat();
        let found = items(&bytes).unwrap();
        assert_eq!(found.first(), Some(&Item { level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, data: &[1, 0, 0, 0] }));
        assert_eq!(found.get(1).unwrap().data, [9, 0, 0, 0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut long = rights();
        if let Some(byte) = long.first_mut() {
            *byte = 200;
        }
        assert_eq!(items(&long), Err(Errno(libc::EINVAL)));
        assert_eq!(items(&[0; 16]), Err(Errno(libc::EINVAL)));
        assert_eq!(items(&[0; 15]), Ok(Vec::new()));
    }
}
