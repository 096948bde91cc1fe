//! Fields of structures, each taken from where it lies.

/// `N` bytes at `at`, if there are as many.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The machine word with this number, if it lies within.
pub(crate) fn word(bytes: &[u8], number: usize) -> Option<u64> {
    array(bytes, number.checked_mul(8)?).map(u64::from_ne_bytes)
}
