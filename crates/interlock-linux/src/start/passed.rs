//! That the self-test in the jail has passed.

use super::enforced::Enforced;
use super::failed::Failed;
use super::steps::Steps;

/// That the self-test has passed: earned by following it to its end, and by no other way. Without it, policy is not put in the place of its script.
pub struct Passed {
    _earned: (),
}

impl Passed {
    /// Lets the self-test's door part run, and waits for its end.
    pub(super) fn by(steps: &mut Steps, enforced: &mut Enforced) -> Result<Self, Failed> {
        steps.go_on()?;
        loop {
            match steps.next("the self-test in the jail did not end")?.as_slice() {
                [word, code] if word == "rehearsed" && code == "0" => return Ok(Self { _earned: () }),
                [word, code] if word == "rehearsed" => return Err(Failed::own("the self-test in the jail ended with", code)),
                words => enforced.note(words)?,
            }
        }
    }
}
