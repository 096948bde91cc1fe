//! The kernel's error numbers, as its calls leave them.

pub use interlock_abi::errno::{Errno, Sys};

/// The calling thread's errno after a failed call.
pub(crate) fn last() -> Errno {
    std::io::Error::last_os_error().into()
}

/// A call's return value, or its errno when it is -1.
pub(crate) fn check(value: i64) -> Sys<i64> {
    if value == -1 { Err(last()) } else { Ok(value) }
}
