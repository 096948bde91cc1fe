//! The places that are the session's own, as the door tells them from those of everybody that lie beneath them.
//!
//! A descriptor that a program outside hands over can still lead to the outer one, and the kernel calls what is in it by the same names. What is
//! there is from before, as it is for an ordinary user. A new name would be the session's nowhere but in here.

use crate::sys::files::Stat;
use crate::wire::messages::{PrivatePlace, path};
use std::os::unix::fs::MetadataExt as _;

/// Each with the device that it is on.
#[derive(Debug, Default)]
pub struct Places(Vec<(PrivatePlace, u64)>);

impl Places {
    /// Looks at those that were made. Nothing of the session has run yet.
    ///
    /// # Errors
    /// One is not there.
    pub fn of(made: &[PrivatePlace]) -> std::io::Result<Self> {
        made.iter().map(|place| Ok((place.clone(), std::fs::metadata(path(&place.path))?.dev()))).collect::<std::io::Result<_>>().map(Self)
    }

    /// Whether a folder of this name lies in a place that is hidden by the session's own.
    pub fn hide(&self, name: &[u8], folder: &Stat) -> bool {
        let hides = |place: &PrivatePlace| place.path.0 == name || place.holds(name);
        self.0.iter().any(|(place, device)| folder.device != *device && hides(place))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
