//! The wall: one Landlock ruleset that handles everything and admits executing beneath the roots policy may run programs from, nothing else.
//!
//! All other access goes through the door, whose injected descriptors a domain does not bind. A second, outer domain holds only the scopes: the
//! sentinel lives in it, so it can signal the tree and the tree cannot signal it.

use crate::machine::capability::simulated;
use crate::sys::landlock;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The Landlock ABI that has everything needed, and the kernel it came with.
const ABI_NEEDED: i64 = 6;

/// Why there is no wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking(pub String);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Both domains' rulesets, built but not put on.
#[derive(Debug)]
pub struct Wall {
    /// Scopes only: the sentinel's.
    pub outer: OwnedFd,
    /// Everything: the command's.
    pub inner: OwnedFd,
    /// The ABI of this kernel.
    pub abi: i64,
    /// What it admits.
    pub admitted: Vec<PathBuf>,
}

/// Builds both rulesets.
///
/// # Errors
/// [`Lacking`]: what this kernel is missing, and which version has it.
pub fn build(roots: &[PathBuf]) -> Result<Wall, Lacking> {
    if simulated("landlock") {
        return Err(Lacking("no Landlock here (simulated); Linux 6.12 with Landlock switched on has it".into()));
    }
    let abi =
        landlock::abi().map_err(|error| Lacking(format!("no Landlock here ({error}); Linux 6.12 with Landlock switched on has it")))?;
    let abi = if simulated("scopes") { ABI_NEEDED - 1 } else { abi };
    if abi < ABI_NEEDED {
        return Err(Lacking(format!("Landlock speaks ABI {abi}, {ABI_NEEDED} is needed; Linux 6.12 has it")));
    }
    let failed = |error: std::io::Error| Lacking(format!("Landlock refused a ruleset: {error}"));
    let (outer, inner) = (landlock::scopes_only().map_err(failed)?, landlock::ruleset().map_err(failed)?);
    let mut admitted = Vec::new();
    for root in roots {
        if admit(&inner, root).map_err(failed)? {
            admitted.push(root.clone());
        }
    }
    Ok(Wall { outer, inner, abi, admitted })
}

/// A root that does not exist is not admitted: what is made there later cannot be run, which a policy's author sees as a denial.
fn admit(ruleset: &OwnedFd, root: &Path) -> std::io::Result<bool> {
    match landlock::place(root) {
        Ok(place) => landlock::admit(ruleset.as_fd(), place.as_fd(), landlock::EXECUTE | landlock::READ_FILE).map(|()| true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}
