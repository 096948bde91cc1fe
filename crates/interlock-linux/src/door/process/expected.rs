//! What an exec must commit: the program's file and its arguments, as they were decided. Left out: how that is verified (`traced`).

use crate::door::seen::resolve::Object;

/// What the committed image must be.
pub struct Expected<'a> {
    /// The program file, held open so that its inode cannot become another file's.
    pub program: &'a Object,
    /// Its arguments, each ended by a zero, as the kernel lays them out.
    pub arguments: Vec<u8>,
}
