//! What goes with the session: nothing outside runs what lies in a place that was the session's own, or in its temporary folder.

use super::kinds::is_at_or_below;
use crate::wire::messages::PrivatePlace;
use interlock_core::action::Bytes;

/// Places of the session's own, and folders that are removed when it ends.
#[derive(Debug, Default)]
pub struct Passing {
    places: Vec<PrivatePlace>,
    folders: Vec<Bytes>,
}

impl Passing {
    /// Of these.
    pub fn new(places: &[PrivatePlace]) -> Self {
        Self { places: places.to_vec(), folders: Vec::new() }
    }

    /// The same, and these folders.
    pub fn and(self, folders: &[Bytes]) -> Self {
        Self { folders: folders.to_vec(), ..self }
    }

    /// Whether what is called `path` goes with the session: it lies in such a place, and in nothing that was kept of the place outside.
    pub fn has(&self, path: &[u8]) -> bool {
        self.places.iter().any(|place| place.holds(path)) || self.folders.iter().any(|folder| is_at_or_below(path, &folder.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_place_and_what_lies_beside_it_stays() {
        let bytes = |text: &str| Bytes(text.as_bytes().to_vec());
        let passing = Passing::new(&[PrivatePlace { path: bytes("/tmp"), kept: vec![bytes("proj")] }]);
        for (path, goes) in [
            ("/tmp/a", true),
            ("/tmp/a/proj", true),
            ("/tmp/project", true),
            ("/tmp/proj", false),
            ("/tmp/proj/a", false),
            ("/tmp", false),
            ("/tmpa", false),
            ("/home/tmp/a", false),
        ] {
            assert_eq!(passing.has(path.as_bytes()), goes, "{path}");
        }
        let passing = passing.and(&[bytes("/tmp/proj/t")]);
        assert!(passing.has(b"/tmp/proj/t/a") && passing.has(b"/tmp/a") && !passing.has(b"/tmp/proj/ta"));
    }
}
