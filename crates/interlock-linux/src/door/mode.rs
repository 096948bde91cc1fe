//! The mode of what is made or changed for a caller: its umask is asked for each call, and no file is made to run as somebody else. Left out: how the
//! umask is taken off (`file::masked`).

use super::act::forbidden;
use super::errand::Errand;
use super::seen::caller::Stop;
use std::sync::atomic::Ordering;

impl Errand<'_> {
    /// A file made or changed to run as somebody else is refused, whatever policy says: it would act outside the session.
    ///
    /// # Errors
    /// EPERM, recorded, when `mode` holds the set-user-ID or set-group-ID bit.
    pub fn forbid_privilege(&self, mode: u32, path: &[u8]) -> Result<(), Stop> {
        if mode & (libc::S_ISUID | libc::S_ISGID) == 0 {
            return Ok(());
        }
        Err(forbidden(path, "no file is made to run as its owner or group"))
    }

    /// The caller's umask: what the session began with, as long as nobody has set another.
    pub fn umask(&self) -> Result<u32, Stop> {
        if self.session.standing.umask_may_differ.load(Ordering::Acquire) {
            Ok(self.status()?.umask)
        } else {
            Ok(self.session.ground.umask)
        }
    }
}
