//! What goes with the session: nothing outside runs what lies in a place that was the session's own.

use crate::wire::messages::PrivatePlace;

/// Places of the session's own.
#[derive(Debug, Default)]
pub struct Passing(Vec<PrivatePlace>);

impl Passing {
    /// Of these.
    pub fn new(places: &[PrivatePlace]) -> Self {
        Self(places.to_vec())
    }

    /// Whether what is called `path` goes with the session: it lies in such a place, and in nothing that was kept of the place outside.
    pub fn has(&self, path: &[u8]) -> bool {
        self.0.iter().any(|place| place.holds(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use interlock_core::action::Bytes;

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
    }
}
