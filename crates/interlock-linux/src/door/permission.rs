//! What a caller's own permissions would have said to an act that policy denied: a denial that changes nothing is not announced.
//!
//! Asked of the kernel for the caller's ids and capabilities (faccessat2(2), AT_EACCESS), and only after the denial stands: by name, so a name that changed
//! meanwhile may get another answer. Nothing but the notice hangs on it; the record is the same.
//! Left out: acts that ownership decides (mode, owner, times) and moves, which are always announced.

use super::errand::Errand;
use super::seen::caller::Stop;
use super::session::Session;
use crate::line::ports::Permissions;
use crate::sys::errno::Errno;
use crate::sys::files;
use crate::sys::notify::Call;
use interlock_core::action::{Action, FileEnd};
use interlock_core::target::Target;
use interlock_core::verb::Verb;

impl Permissions for Session {
    /// `false` where it cannot be told.
    fn refuse(&self, call: &Call, action: &Action) -> bool {
        let Some((path, access)) = needs(action) else { return false };
        let Ok(path) = files::text(path) else { return false };
        let errand = Errand::new(call, self);
        let said = errand.as_caller(|| Ok(files::may(&path, access)?));
        matches!(said, Err(Stop::Errno(Errno(libc::EACCES | libc::EPERM | libc::EROFS))))
    }
}

/// The name whose permissions the kernel would ask, and what for.
fn needs(action: &Action) -> Option<(&[u8], i32)> {
    match (&action.target, action.verb) {
        (Target::File(FileEnd { path, inode: Some(_), .. }), Verb::FileRead) => Some((&path.0, libc::R_OK)),
        (Target::File(FileEnd { path, inode: Some(_), .. }), Verb::FileWrite | Verb::FileTruncate) => Some((&path.0, libc::W_OK)),
        (Target::File(FileEnd { path, .. }), Verb::FileCreate | Verb::FileMknod | Verb::FileDelete) => {
            Some((parent(&path.0), libc::W_OK | libc::X_OK))
        }
        (Target::Exec { path, .. }, Verb::ProcessExec) => Some((&path.0, libc::X_OK)),
        (Target::UnixPath { path, .. }, Verb::UnixConnect) => Some((&path.0, libc::W_OK)),
        _ => None,
    }
}

fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) if slash > 0 => path.get(..slash).unwrap_or(path),
        _ => b"/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_in_its_parent() {
        assert_eq!(parent(b"/a/b"), b"/a");
        assert_eq!(parent(b"/a"), b"/");
        assert_eq!(parent(b"/"), b"/");
    }
}
