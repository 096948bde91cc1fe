//! The kernel's error numbers as a value. What to do about one is for whoever asked.

/// A positive errno, as the caller of a failed system call would read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// The result of a system call.
pub type Sys<T> = Result<T, Errno>;

impl Errno {
    /// The calling thread's errno after a failed call.
    pub fn last() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// A call's return value, or its errno when it is -1.
pub(crate) fn check(value: i64) -> Sys<i64> {
    if value == -1 { Err(Errno::last()) } else { Ok(value) }
}
