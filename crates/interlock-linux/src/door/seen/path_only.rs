//! Opens of a descriptor that can carry no data, and say so by a register: the kernel goes on with them by itself.

use crate::sys::notify::Call;
use interlock_abi::open;

/// That a call is such an open: earned from its registers.
#[derive(Debug)]
pub struct PathOnly {
    call: u64,
}

impl PathOnly {
    /// Earned by an open or openat with O_PATH. The flags of openat2 lie in memory, where another thread could change them.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        let [_, second, third, ..] = call.arguments;
        let flags = match i64::from(call.number) {
            libc::SYS_open => second,
            libc::SYS_openat => third,
            _ => return None,
        };
        (open::legacy(flags as i32, 0).flags & libc::O_PATH != 0).then_some(Self { call: call.id })
    }

    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_register_earns_it() {
        let earned = |number: i64, flags: [u64; 2]| {
            let call = Call { id: 7, thread: 1, number: number as i32, arguments: [0, flags[0], flags[1], 0, 0, 0] };
            PathOnly::of(&call).map(|proof| proof.call())
        };
        let path = libc::O_PATH as u64;
        assert_eq!((earned(libc::SYS_open, [path, 0]), earned(libc::SYS_openat, [0, path])), (Some(7), Some(7)));
        assert_eq!((earned(libc::SYS_open, [0, path]), earned(libc::SYS_openat, [path, 0])), (None, None));
        assert_eq!((earned(libc::SYS_openat2, [path, path]), earned(libc::SYS_creat, [path, path])), (None, None));
    }
}
