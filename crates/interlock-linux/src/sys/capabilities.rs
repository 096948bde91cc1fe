//! Capabilities of the calling thread (capabilities(7)): dropped, never gained.

use super::check;
use std::io;

const VERSION_3: u32 = 0x2008_0522;
const SETPCAP: u32 = 8;
const LAST: u64 = 63;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The calling thread's permitted set.
///
/// # Errors
/// None that the kernel documents for this version.
pub fn permitted() -> io::Result<u64> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: a live header and two halves, as version 3 demands.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, halves.as_mut_ptr()) })?;
    let [low, high] = halves;
    Ok(u64::from(low.permitted) | u64::from(high.permitted) << 32)
}

/// Keeps at most `kept` of what is permitted, in every set, the bounding one too, and `aside` in the permitted set alone. Who lacks CAP_SETPCAP (a container may) cannot narrow that one:
/// then it is no_new_privs, set before anything of the jail is executed, that lets no exec bring back what is not held.
///
/// # Errors
/// EPERM: the bounding set could not be narrowed although capabilities are held.
pub fn keep(kept: u64, aside: u64) -> io::Result<()> {
    let held = permitted()?;
    for capability in (0..=LAST).filter(|bit| kept & (1 << bit) == 0) {
        // SAFETY: integers only. EINVAL: past the last capability.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result < 0 && held & 1 << SETPCAP != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM) {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: integers only; clears the ambient set.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    set(held & kept, held & aside)
}

/// Whether user 0 gets no capabilities by an exec (SECBIT_NOROOT).
#[must_use]
pub fn root_is_nobody() -> bool {
    const NOROOT: i32 = 1;
    // SAFETY: integers only; without this option (2.6.26) the answer is an error, and every bit of it is set.
    unsafe { libc::prctl(libc::PR_GET_SECUREBITS, 0, 0, 0, 0) & NOROOT != 0 }
}

fn set(effective: u64, aside: u64) -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half =
        |shift: u32| Half { effective: (effective >> shift) as u32, permitted: ((effective | aside) >> shift) as u32, inheritable: 0 };
    let halves = [half(0), half(32)];
    // SAFETY: a live header and two halves.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) }).map(|_| ())
}
