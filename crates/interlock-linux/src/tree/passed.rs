//! That the self-test in the jail has passed.

use super::failed::Failed;
use super::steps::Steps;

/// That the self-test has passed: earned by following it to its end, and by no other way. Without it, policy is not put in the place of its script.
pub struct Passed {
    _earned: (),
}

impl Passed {
    /// Lets the self-test's door part run, and waits for its end; `note` takes what it says on the way, and fails where a test did not end as it must.
    pub(crate) fn by(steps: &mut Steps, mut note: impl FnMut(&[String]) -> Result<(), Failed>) -> Result<Self, Failed> {
        steps.go_on()?;
        loop {
            match steps.next("the self-test in the jail did not end")?.as_slice() {
                [word, code] if word == "rehearsed" && code == "0" => return Ok(Self { _earned: () }),
                [word, code] if word == "rehearsed" => return Err(Failed::own("the self-test in the jail ended with", code)),
                words => note(words)?,
            }
        }
    }
}
