//! Denials: recorded, told to the human and to whoever asks `why`; and the refusals of the door's own, which no rule spoke and none can lift.

use super::denials::Denial;
use super::judge::Judged;
use super::ports::Around;
use super::recording::program_of;
use super::{Line, Observed, Refused, now_us};
use crate::sys::notify::Call;
use interlock_core::action::{Action, Process};
use interlock_core::decision::{Decision, Obligations, RecordClass, Says};
use interlock_core::facts::Facts;
use interlock_core::steer::Steer;
use interlock_core::verb::Verb;
use serde_json::json;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// The layer that refusals of the door's own are recorded under.
const GUARD: &str = "guard";
const BUILT_IN: &str = "guard/built-in";

/// What stands in the place of a verb for a call that the table refuses, and how many of each number are recorded in full.
const CALL: &str = "call";
const CALLS_IN_FULL: u64 = 3;

/// Why a file that is shown masked is not opened for both.
const READ_ALONE: &str = "it is shown without its credentials, to be read and not changed; change it outside";

/// What is told of a denial besides what was decided.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// The caller's own permissions refuse it as well.
    natively: bool,
    /// It was a question.
    asked: bool,
}

impl Told {
    fn of(around: &dyn Around, call: &Call, action: &Action) -> Self {
        Self { natively: around.refuse(call, action), asked: false }
    }
}

impl Line {
    /// Records and tells a denial that no rule spoke and none can lift: the door goes no further on its own account.
    pub(crate) fn refuse(&self, call: &Call, act: Observed, because: &str) {
        if !self.rehearsing.load(Ordering::Acquire) {
            let decision = Decision { rules: vec![BUILT_IN.to_owned()], layers: vec![GUARD.to_owned()], ..Decision::denial(because) };
            let _denied = self.denied(self.action(call, act), decision, &Facts::default(), Told::default());
        }
    }

    /// Counts a refusal of the door's own that ordinary programs meet by the hundred and take as an answer.
    pub(crate) fn refuse_quietly(&self, verb: Verb, rule: &'static str) {
        if !self.rehearsing.load(Ordering::Acquire) {
            self.totals.count(verb.name(), "deny");
            self.recorder.count(verb.name(), "deny", rule);
        }
    }

    /// Records a call that the table refuses: the first few of a number in full, the rest counted.
    pub(crate) fn refuse_call(&self, call: &Call, name: &'static str, because: &str, errno: i32) {
        if self.rehearsing.load(Ordering::Acquire) {
            return;
        }
        self.totals.count(CALL, "deny");
        let before = {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            let count = refused.entry(name).or_default();
            std::mem::replace(count, count.saturating_add(1))
        };
        if before >= CALLS_IN_FULL {
            return self.recorder.count(CALL, "deny", name);
        }
        let process = Process { id: call.thread, program: program_of(call.thread) };
        let record = json!({"type": "call.refused", "call": name, "errno": errno, "because": because, "process": process});
        if let Ok(number) = self.last_word(|| self.record(RecordClass::Ordered, record)) {
            let decision = Decision {
                rules: vec![BUILT_IN.to_owned()],
                layers: vec![GUARD.to_owned()],
                ..Decision::denial(&format!("{because}; no policy opens it"))
            };
            // One notice of each: a program that is refused one tries it again.
            if before == 0 {
                self.uplink.denied_call(name, &decision, number);
            }
            self.denials.tell(Denial::new(now_us(), (CALL, json!({"call": name})), decision, false, number));
        }
    }

    /// Records and tells a denial: policy's own, or what a decision comes to that cannot be enacted as it stands.
    pub(super) fn deny(&self, around: &dyn Around, call: &Call, action: Action, judged: &Judged) -> Refused {
        match judged.decision.decision {
            Says::Deny => {
                let told = Told::of(around, call, &action);
                self.denied(action, judged.decision.clone(), &judged.facts, told)
            }
            Says::Steer if judged.decision.steer == Some(Steer::Masked) => self.deny_for(around, call, action, judged, READ_ALONE),
            Says::Steer => self.deny_for(around, call, action, judged, "a steer is not enforced here"),
            Says::Approve | Says::Allow => self.deny_for(around, call, action, judged, "an obligation of it is not honoured here"),
        }
    }

    /// The same by the rules that spoke, for another reason than theirs.
    pub(super) fn deny_for(&self, around: &dyn Around, call: &Call, action: Action, judged: &Judged, because: &str) -> Refused {
        let told = Told::of(around, call, &action);
        self.denied(action, not_enacted(judged.decision.clone(), because), &judged.facts, told)
    }

    /// Records and tells that a question found no yes.
    pub(super) fn deny_ungranted(&self, action: Action, judged: &Judged, reason: &str) -> Refused {
        self.denied(action, not_granted(judged.decision.clone(), reason), &judged.facts, Told { natively: false, asked: true })
    }

    /// The ledger's disk is full: what was allowed is denied, from the reserve.
    pub(super) fn deny_unrecorded(&self, action: Action) -> Refused {
        self.denied(action, Decision::denial("the ledger's disk is full"), &Facts::default(), Told::default())
    }

    fn denied(&self, mut action: Action, decision: Decision, facts: &Facts, told: Told) -> Refused {
        if let Some(process) = &mut action.subject.process {
            process.program = program_of(process.id);
        }
        self.totals.count(action.verb.name(), "deny");
        if let Ok(number) = self.last_word(|| self.decided(&action, &decision, facts, RecordClass::Ordered)) {
            self.uplink.denied(&action, &decision, told.natively, number);
            self.denials.tell(Denial::new(now_us(), (action.verb.name(), json!(action.target)), decision, told.asked, number));
        }
        Refused::Decided
    }

    /// A denial is told where even the reserve had no room for its record: the log counts it. Nothing is told by a line that records no more.
    fn last_word(&self, record: impl FnOnce() -> Result<u64, Refused>) -> Result<Option<u64>, Refused> {
        match record() {
            Err(Refused::Full) => Ok(None),
            recorded => recorded.map(Some),
        }
    }
}

/// A question that no yes answered is settled as a denial by the rules that asked.
fn not_granted(decision: Decision, reason: &str) -> Decision {
    let because = format!("{} ({reason})", decision.because);
    not_enacted(decision, &because)
}

/// The same rules, and a denial: what policy said cannot be done as it said it.
fn not_enacted(decision: Decision, because: &str) -> Decision {
    Decision {
        decision: Says::Deny,
        because: because.to_owned(),
        timeout_ms: None,
        steer: None,
        obligations: Obligations { record: RecordClass::Ordered, ..Obligations::default() },
        ..decision
    }
}
