//! A message to be sent, as its caller describes it: `struct msghdr` and its parts, `struct iovec` (send(2), readv(2)).

use crate::address::ADDRESS_BYTES_MAX;
use crate::errno::{Errno, Sys};
use crate::field::word;

/// The size of `struct msghdr`.
pub const HEADER_BYTES: usize = 56;
/// Parts of one message (UIO_MAXIOV), and messages of one sendmmsg.
pub const PARTS_MAX: u64 = 1024;
const PART_BYTES: usize = 16;

/// A message's description; addresses are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where its name lies, and how long it is.
    pub name: Option<(u64, i32)>,
    /// Where its parts are described, and how many there are.
    pub parts: (u64, u64),
    /// Where its control data lies, and how long it is.
    pub control: (u64, u64),
}

impl Header {
    /// Reads a `struct msghdr`.
    ///
    /// # Errors
    /// EINVAL for a name of negative length. A longer name than any is cut, not refused: sendmsg differs from sendto here.
    pub fn of(header: &[u8; HEADER_BYTES]) -> Sys<Self> {
        let word = |number| word(header, number).unwrap_or(0);
        let length = (word(1) & 0xffff_ffff) as u32 as i32;
        if length < 0 {
            return Err(Errno(libc::EINVAL));
        }
        let length = length.min(ADDRESS_BYTES_MAX as i32);
        let name = (word(0) != 0 && length != 0).then(|| (word(0), length));
        Ok(Self { name, parts: (word(2), word(3)), control: (word(4), word(5)) })
    }

    /// How many bytes describe its parts.
    ///
    /// # Errors
    /// EMSGSIZE for more parts than a message has.
    pub fn parts_bytes(&self) -> Sys<usize> {
        let (_, count) = self.parts;
        if count > PARTS_MAX { Err(Errno(libc::EMSGSIZE)) } else { Ok(count as usize * PART_BYTES) }
    }
}

/// Address and length of each part.
///
/// # Errors
/// EINVAL for a part of negative length.
pub fn parts(bytes: &[u8]) -> Sys<Vec<(u64, usize)>> {
    let part = |part: &[u8]| {
        let (base, length) = (word(part, 0).unwrap_or(0), word(part, 1).unwrap_or(0));
        let length = i64::try_from(length).ok().and_then(|length| usize::try_from(length).ok());
        length.map(|length| (base, length)).ok_or(Errno(libc::EINVAL))
    };
    bytes.chunks_exact(PART_BYTES).map(part).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header(words: [u64; 7]) -> Sys<Header> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Header::of(bytes.as_slice().try_into().unwrap())
    }

    #[test]
    fn a_long_name_is_cut_and_a_negative_one_refused() {
        assert_eq!(header([7, 4096, 8, 1, 9, 16, 0]).unwrap().name, Some((7, 128)));
        assert_eq!(header([7, 0, 8, 1, 9, 16, 0]).unwrap().name, None);
        assert_eq!(header([7, 0xffff_ffff, 8, 1, 9, 16, 0]), Err(Errno(libc::EINVAL)));
    }

    #[test]
    fn parts_have_limits() {
        assert_eq!(header([0, 0, 8, 1024, 0, 0, 0]).unwrap().parts_bytes(), Ok(1024 * 16));
        assert_eq!(header([0, 0, 8, 1025, 0, 0, 0]).unwrap().parts_bytes(), Err(Errno(libc::EMSGSIZE)));
        let part = |base: u64, length: u64| [base.to_ne_bytes(), length.to_ne_bytes()].concat();
        assert_eq!(parts(&[part(1, 2), part(3, 4)].concat()), Ok(vec![(1, 2), (3, 4)]));
        assert_eq!(parts(&part(1, u64::MAX)), Err(Errno(libc::EINVAL)));
    }
}
