//! Devices below files and memory: whole disks, memory of the machine. No rule holds there, so nobody opens them, by whatever name they are reached: their
//! kind and number say what they are. `guard` denies their usual names besides.
//!
//! Left out: devices that no number of the kernel's own list stands for (`Documentation/admin-guide/devices.txt` of Linux).

use crate::door::seen::caller::{Reached, Stop};
use crate::door::seen::resolve::Object;

const BECAUSE: &str = "below files and memory no rule holds, Interlock's own keys included";
/// Of memory and its like (major 1): mem, kmem, port.
const MEMORY: (u32, [u32; 3]) = (1, [1, 2, 4]);
/// Character devices that are disks, flash memory or registers of processors: sg, mtd, raw, msr.
const WHOLE: [u32; 4] = [21, 90, 162, 202];

/// Refuses what is such a device.
///
/// # Errors
/// A refusal.
pub(super) fn unopened(object: &Object) -> Result<(), Stop> {
    let (major, minor) = (libc::major(object.stat.special), libc::minor(object.stat.special));
    let is_raw = match object.stat.kind() {
        libc::S_IFBLK => true,
        libc::S_IFCHR => WHOLE.contains(&major) || (major == MEMORY.0 && MEMORY.1.contains(&minor)),
        _ => false,
    };
    if is_raw {
        return Err(Stop::Refused { reached: Reached::Path(object.name.bytes().to_vec()), because: BECAUSE, errno: libc::EACCES });
    }
    Ok(())
}
