//! The kernel is told to go on with a proof that nobody has earned.

use crate::door::answer::{Answered, Pending, Proof};
use crate::door::process::own::Standing;
use crate::sys::notify::Call;

#[cfg(misuse)]
mod made_up {
    use super::{Call, Proof};
    use crate::door::process::meant::StaysInside;
    use crate::door::seen::path_only::PathOnly;
    use crate::door::process::{expected::Expected, traced::Traced};
    use crate::door::process::own::OwnStanding;
    use crate::door::process::objects::{Limits, MadeHere};

    fn own(call: &Call) -> Proof {
        Proof::OwnStanding(OwnStanding { call: call.id }) //~ E0451 OwnStanding
    }

    fn signal(call: &Call) -> Proof {
        Proof::StaysInside(StaysInside { call: call.id }) //~ E0451 StaysInside
    }

    fn path_only(call: &Call) -> Proof {
        Proof::PathOnly(PathOnly { call: call.id }) //~ E0451 PathOnly
    }

    fn made(call: &Call) -> Proof {
        Proof::MadeHere(MadeHere { call: call.id }) //~ E0451 MadeHere
    }

    fn limits(call: &Call) -> Proof {
        Proof::Limits(Limits { call: call.id }) //~ E0451 Limits
    }

    fn exec<'e>(from: Traced<'e>, expected: &'e Expected<'e>, call: &Call) -> Traced<'e> {
        Traced { call: call.id, expected, ..from } //~ E0451 Traced
    }
}

#[cfg(not(misuse))]
fn earned(pending: Pending, standing: &Standing) -> Answered {
    let call: Call = *pending.call();
    match standing.process(&call) {
        Ok(own) => pending.go_on(Proof::OwnStanding(own)),
        Err(errno) => pending.errno(errno.0),
    }
}
