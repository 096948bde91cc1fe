//! Places of the session's own: where this process may mount, `/tmp` and its like are empty for the session, but for what is kept of them.
//!
//! The supervisor enters the new mount namespace itself, before it opens anything of the session: so a name means one object to it and to the
//! session, and rules are asked about the same names as ever. They alone hold where nothing can be mounted, and where a place is left out.
//! Left out: which places, and what of them is kept (`interlock run` says it: `surroundings/private_places.py`).
//!
//! INVARIANT: a place is either the session's own with all that was to be kept, or what it was.

use crate::machine::{capability, enforcement, enforcement::Enforcement};
use crate::sys::errno::{Errno, Sys};
use crate::sys::{files, mounting};
use crate::tree::failed::Failed;
use crate::wire::messages::PrivatePlace;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What this machine or a test calls the mechanism.
pub(crate) const MECHANISM: &str = "private-places";

/// How many places belong to everybody.
const PLACES: usize = 3;

/// The places that are the session's own.
#[derive(Debug, Default)]
pub(super) struct Own {
    places: Vec<PrivatePlace>,
    /// Whether this process may mount at all, as far as it was tried.
    may: bool,
}

impl Own {
    /// Makes those of `wanted` that can be made. The process must have one thread.
    ///
    /// # Errors
    /// One could not be made whole, and not be undone.
    pub(super) fn enter(wanted: &[PrivatePlace]) -> Result<Self, Failed> {
        // Not even tried without the capability: a filter may kill for it.
        let may = !capability::simulated(MECHANISM) && capability::may_make_namespaces();
        let may = may && (wanted.is_empty() || mounting::own_mounts().is_ok());
        let mut own = Self { places: Vec::new(), may };
        if !may {
            return Ok(own);
        }
        for place in wanted {
            if make(place).map_err(|error| Failed::own("a place of the session's own", std::io::Error::from_raw_os_error(error.0)))? {
                own.places.push(place.clone());
            }
        }
        Ok(own)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[PrivatePlace] {
        &self.places
    }

    /// For `started` and the session's opening record.
    pub(super) fn standing(&self) -> Enforcement {
        enforcement::private_places(self.may, self.places.len() == PLACES)
    }
}

/// Whether a place was made. Not to be made is not an error: then it is what it was, as a read-only one always is.
fn make(place: &PrivatePlace) -> Sys<bool> {
    let Ok((there, kept)) = hold(place) else { return Ok(false) };
    let point = files::text(&place.path.0)?;
    if files::stat(there.as_fd()).and_then(|stat| mounting::memory(&point, &stat, there.as_fd())).is_err() {
        return Ok(false);
    }
    match kept.iter().try_for_each(|(name, held)| keep(place, name, held.as_fd())) {
        Ok(()) => Ok(true),
        Err(_) => mounting::detach(&point).map(|()| false),
    }
}

type Kept = Vec<(CString, OwnedFd)>;

/// The place as it is, and what is to be kept of it.
fn hold(place: &PrivatePlace) -> Sys<(OwnedFd, Kept)> {
    let root = std::fs::File::open("/")?;
    let there = open(root.as_fd(), &files::text(&place.path.0)?, libc::O_DIRECTORY)?;
    let kept = place.kept.iter().map(|name| {
        let name = files::text(&name.0)?;
        if matches!(name.to_bytes(), b"" | b"." | b"..") || name.to_bytes().contains(&b'/') {
            return Err(Errno(libc::EINVAL));
        }
        Ok((open(there.as_fd(), &name, 0)?, name))
    });
    let kept = kept.map(|each| each.map(|(held, name)| (name, held))).collect::<Sys<Kept>>()?;
    Ok((there, kept))
}

/// A link is none of what can be kept: what it leads to would be another thing here.
fn open(at: BorrowedFd<'_>, name: &std::ffi::CStr, more: i32) -> Sys<OwnedFd> {
    let resolve = libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    files::open_how(at, name, files::OpenHow { flags: (libc::O_PATH | more) as u64, mode: 0, resolve })
}

/// In a place that is the session's own, what was there under this name outside.
fn keep(place: &PrivatePlace, name: &CString, held: BorrowedFd<'_>) -> Sys<()> {
    let root = std::fs::File::open("/")?;
    let own = open(root.as_fd(), &files::text(&place.path.0)?, libc::O_DIRECTORY)?;
    if files::stat(held)?.kind() == libc::S_IFDIR {
        files::make_directory(own.as_fd(), name, 0o700)?;
    } else {
        files::make_node(own.as_fd(), name, libc::S_IFREG | 0o600)?;
    }
    mounting::bind(held, &files::text(&[place.path.0.as_slice(), b"/", name.to_bytes()].concat())?)
}
