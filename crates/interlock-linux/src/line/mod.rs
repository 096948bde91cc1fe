//! The line: observed acts become Actions, are decided, asked about where policy says so, and recorded before their effect.
//!
//! INVARIANT: a [`Leave`] exists only after the records of all its acts were acknowledged. A record that cannot be written denies, poisons
//! the line (everything is denied from then on) and ends the tree.

mod ask;
pub(crate) mod clock;
pub mod denials;
pub(crate) mod grants;
pub mod judge;
pub mod ports;
pub mod questions;
pub mod record;
mod recording;
mod refusal;
mod steering;
#[cfg(test)]
mod transcripts;

use crate::later::{Changes, Later};
use crate::sys::notify::Call;
use crate::tree::ending::Ending;
use crate::tree::passed::Passed;
use crate::wire::uplink::Uplink;
use denials::Denials;
use grants::Grants;
use interlock_core::action::{Action, Inode, Plane, Process, Subject};
use interlock_core::content::Content;
use interlock_core::decision::{Decision, Obligations, RecordClass, Says};
use interlock_core::facts::{Facts, History, Origin};
use interlock_core::steer::Steer;
use interlock_core::target::Target;
use interlock_core::verb::Verb;
use interlock_ledger::Ended;
use judge::{Judge, Judged};
use ports::Around;
use questions::Questions;
use record::{Recorder, Totals};
pub use recording::{Context, Unforeseen};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// One act as the door observed it: resolved, not yet decided.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Observed {
    pub verb: Verb,
    pub target: Target,
    /// Where the object acted upon comes from; not known where nobody looked.
    pub origin: Option<Origin>,
    /// The same of what stands at the destination of a rename or link.
    pub origin_to: Option<Origin>,
    /// What its content had to do with the workspace before, where the family knows what that will be; else it is gathered.
    pub history: Option<History>,
}

impl Observed {
    /// An act on what has no origin, or on what nobody looked at.
    pub fn new(verb: Verb, target: Target) -> Self {
        Self { verb, target, origin: None, origin_to: None, history: None }
    }

    /// The same, with what it would put at its name.
    pub fn with_content(mut self, content: Option<Content>) -> Self {
        if let Target::File(end) = &mut self.target {
            end.content = content;
        }
        self
    }

    /// The act by itself, to ask what policy says of it: no id, nobody who does it, nothing that a record could hold.
    pub fn alone(&self) -> Action {
        let (id, subject, target) = (String::new(), Subject::default(), self.target.clone());
        Action { id, plane: Plane::Host, verb: self.verb, target, subject, nonce: None }
    }
}

/// What a family of calls can keep to when it enacts: declared beside it. What it cannot keep to is a denial.
///
/// Who follows a steer declares so where the call is in hand: `steered` borrows the errand and what it holds, and may keep there what the steer
/// leads to. The permit then says which of the two is to be done ([`Permit::verdict`]).
#[derive(Clone, Copy)]
pub struct Enactor<'a> {
    /// Whether it keeps to these obligations. Their class of record is the line's own matter.
    pub honours: fn(&Obligations) -> bool,
    /// Whether it can do what a steer of this kind says.
    pub follows: fn(&Steer) -> bool,
    /// What it does in the place of an act: asked once for an act, and what it answers is decided. Nothing where it cannot after all.
    pub steered: &'a dyn Fn(&Action, &Steer) -> Option<Observed>,
}

impl Enactor<'_> {
    /// Does what is allowed as it is, or nothing: it keeps to no limit, hides nothing, injects no credential and follows no steer.
    pub const PLAIN: Self = Self { honours: is_record_alone, follows: |_| false, steered: &|_, _| None };
}

fn is_record_alone(obligations: &Obligations) -> bool {
    let Obligations { record: _, limit, mask, inject } = obligations;
    limit.is_empty() && mask.is_empty() && inject.is_none()
}

/// What the line says to a call.
#[must_use]
pub enum Settled<'a> {
    /// Every act of the call is allowed and recorded: enact, then say what came of it.
    Allowed(Leave<'a>),
    /// Refused, recorded and told. Which errno the call gives for a refusal is the door's to know.
    Denied,
}

/// The leave to enact a call. Dropped without [`Leave::done`], it is recorded that nobody knows what came of it.
#[must_use]
pub struct Leave<'a> {
    line: &'a Line,
    permits: Vec<Permit>,
    later: Option<Changes>,
}

/// The permit for one act of a call: what may be done, and all that its enactor keeps to.
#[derive(Debug)]
pub struct Permit {
    /// What may be done.
    pub action: Action,
    /// Whether that is what was asked for.
    pub verdict: Verdict,
    /// What is to be kept to besides; the enactor honours all of it.
    #[allow(dead_code, reason = "no enactor of this plane honours one yet, so those that have any are not permitted")]
    pub obligations: Obligations,
    /// The number of its record; none where it is only counted.
    pub record: Option<u64>,
}

/// What was settled of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Allow,
    /// This is done in its place, and was decided by itself.
    Steer(Steer),
}

impl<'a> Leave<'a> {
    fn of(line: &'a Line) -> Self {
        Self { line, permits: Vec::new(), later: None }
    }

    /// A permit for each act, in the order in which they were put to the line; none where the call was known to be routine.
    #[must_use]
    pub fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// Notes what came of it: 0, or the errno the kernel gave.
    pub fn done(mut self, errno: i32) {
        self.end(Ended::Errno(errno));
        if let (Some(changes), 0) = (self.later.take(), errno) {
            self.line.later.note(changes);
        }
    }

    /// Another act of the same call was refused, so nothing of it is done.
    fn void(mut self) {
        self.later = None;
        self.end(Ended::Refused);
    }

    fn end(&mut self, ended: Ended) {
        for record in std::mem::take(&mut self.permits).iter().filter_map(|permit| permit.record) {
            self.line.recorder.effect(record, ended);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.end(Ended::Unknown);
        // It may have been done.
        if let Some(changes) = self.later.take() {
            self.line.later.note(changes);
        }
    }
}

/// The line of one session.
pub struct Line {
    session: String,
    agent: Option<Value>,
    /// The policy, and what it compiles to here.
    pub judge: Judge,
    recorder: Box<dyn Recorder>,
    pub(crate) questions: Questions,
    pub(crate) grants: Grants,
    pub(crate) denials: Denials,
    pub(crate) uplink: Arc<Uplink>,
    pub(crate) totals: Totals,
    pub(crate) later: Later,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    ending: Arc<Ending>,
    context: Mutex<Context>,
    next: AtomicU64,
    poisoned: AtomicBool,
    rehearsing: AtomicBool,
}

impl Line {
    /// A line for session `session`. `agent`: as given at launch, `{"name", "assurance"}`.
    #[must_use]
    pub fn new(
        session: String,
        agent: Option<Value>,
        judge: Judge,
        later: Later,
        recorder: Box<dyn Recorder>,
        uplink: Arc<Uplink>,
        ending: Arc<Ending>,
    ) -> Self {
        Self {
            session,
            agent,
            judge,
            recorder,
            questions: Questions::default(),
            grants: Grants::default(),
            denials: Denials::default(),
            uplink,
            totals: Totals::default(),
            later,
            refused: Mutex::default(),
            ending,
            context: Mutex::new(Context::default()),
            next: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
            rehearsing: AtomicBool::new(true),
        }
    }

    /// Decides the acts of one call, asks where policy says so, and records. `around` gathers Facts and waits.
    pub(crate) fn settle(&self, around: &dyn Around, call: &Call, enactor: &Enactor, observed: Vec<Observed>) -> Settled<'_> {
        if observed.is_empty() || self.poisoned.load(Ordering::Acquire) {
            return Settled::Denied;
        }
        if self.rehearsing.load(Ordering::Acquire) {
            return self.rehearsed(&observed);
        }
        let mut acts: Vec<Act> = Vec::with_capacity(observed.len());
        for act in observed {
            let act = self.judged(around, call, act);
            // The first is the one that is told of: a link may stand for hundreds of names, and none of the others is decided then.
            if !act.may_pass(enactor) {
                let _told = self.deny(around, call, act.action, &act.judged);
                return Settled::Denied;
            }
            acts.push(act);
        }
        let mut leave = Leave::of(self);
        for mut act in acts {
            match self.pass(around, call, enactor, &mut act) {
                Ok(record) => leave.permits.push(act.permit(record)),
                Err(refused) => {
                    if refused == Refused::Full {
                        let _told = self.deny_unrecorded(act.action);
                    }
                    leave.void();
                    return Settled::Denied;
                }
            }
        }
        // Of what will be done, be it what an act was steered to. Reading changes nothing.
        if leave.permits.iter().any(|permit| permit.action.verb != Verb::FileRead) {
            leave.later = Some(self.later.of(leave.permits.iter().map(|permit| (permit.action.verb, &permit.action.target))));
        }
        Settled::Allowed(leave)
    }

    /// What policy would say of an act that nobody does, if the Facts were these. Nothing of it is recorded.
    pub(crate) fn would_say(&self, around: &dyn Around, call: &Call, act: Observed) -> Says {
        self.judged(around, call, act).judged.decision.decision
    }

    fn judged(&self, around: &dyn Around, call: &Call, observed: Observed) -> Act {
        let (origin, origin_to, history) = (observed.origin, observed.origin_to, observed.history);
        let action = self.action(call, observed);
        let judged = self.judge.first(&action, |needs| {
            let (origin, origin_to) = if needs.origin { (origin, origin_to) } else { (None, None) };
            let gathered = around.facts(&action, needs);
            let history = history.filter(|_| needs.history).or(gathered.history);
            let grants = if needs.grants { self.grants.about(&action, gathered.now_ms) } else { Vec::new() };
            Facts { grants, origin, origin_to, history, ..gathered }
        });
        Act { action, judged, verdict: Verdict::Allow }
    }

    /// The leave to read what was found to be routine before: allowed whatever the Facts, and only counted.
    pub(crate) fn routine(&self, path: &[u8], object: Inode) -> Option<Leave<'_>> {
        let rule = self.judge.routine(path, object)?;
        if self.poisoned.load(Ordering::Acquire) || self.rehearsing.load(Ordering::Acquire) {
            return None;
        }
        self.count_routine(Verb::FileRead.name(), &rule);
        Some(Leave::of(self))
    }

    fn count_routine(&self, verb: &'static str, rule: &str) {
        self.totals.count(verb, "allow");
        self.recorder.count(verb, "allow", rule);
    }

    /// Before the command runs, the self-test's script stands for policy: one read is allowed, nothing else, and nothing of it is recorded.
    fn rehearsed(&self, observed: &[Observed]) -> Settled<'_> {
        match observed {
            [Observed { verb: Verb::FileRead, target: Target::File(end), .. }]
                if end.path.0 == crate::tree::rehearsal::OPENED.as_bytes() =>
            {
                Settled::Allowed(Leave::of(self))
            }
            _ => Settled::Denied,
        }
    }

    /// The self-test has passed: from now on policy decides.
    pub(crate) fn begin(&self, _passed: &Passed) {
        self.rehearsing.store(false, Ordering::Release);
    }

    fn action(&self, call: &Call, act: Observed) -> Action {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Action {
            id: format!("{}/{number}", self.session),
            plane: Plane::Host,
            verb: act.verb,
            target: act.target,
            subject: Subject {
                agent: self.agent.as_ref().and_then(|agent| agent.get("name")?.as_str().map(str::to_owned)),
                session: Some(self.session.clone()),
                task: None,
                process: Some(Process { id: call.thread, program: None }),
            },
            nonce: None,
        }
    }

    /// Records an allowed act, or asks about it first, or follows a steer. The number of its record, if it has one.
    fn pass(&self, around: &dyn Around, call: &Call, enactor: &Enactor, act: &mut Act) -> Result<Option<u64>, Refused> {
        if !act.may_pass(enactor) {
            return Err(self.deny(around, call, act.action.clone(), &act.judged));
        }
        match act.judged.decision.decision {
            Says::Allow => self.allow(act),
            Says::Steer => self.steer(around, call, enactor, act),
            Says::Approve => self.ask(around, call, enactor, act),
            Says::Deny => Err(self.deny(around, call, act.action.clone(), &act.judged)),
        }
    }

    fn allow(&self, act: &Act) -> Result<Option<u64>, Refused> {
        let Act { action, judged: Judged { decision, facts }, verdict } = act;
        let class = class_of(&decision.obligations, facts);
        if !facts.grants.is_empty() {
            self.grants.used(&facts.grants);
        }
        if class == RecordClass::Routine && *verdict == Verdict::Allow {
            self.count_routine(action.verb.name(), first_rule(decision));
            return Ok(None);
        }
        self.totals.count(action.verb.name(), "allow");
        self.decided(action, decision, facts, class.max(RecordClass::Ordered)).map(Some)
    }
}

/// One act on its way through the line.
struct Act {
    action: Action,
    judged: Judged,
    verdict: Verdict,
}

impl Act {
    /// Whether it may be let through: as it is, after a question, or as something else that its enactor can do.
    fn may_pass(&self, enactor: &Enactor) -> bool {
        let Judged { decision, .. } = &self.judged;
        let may = match &decision.steer {
            Some(steer) => decision.decision == Says::Steer && (enactor.follows)(steer),
            None => matches!(decision.decision, Says::Allow | Says::Approve),
        };
        may && (enactor.honours)(&decision.obligations)
    }

    fn permit(self, record: Option<u64>) -> Permit {
        let obligations = self.judged.decision.obligations;
        Permit { action: self.action, verdict: self.verdict, obligations, record }
    }
}

/// Why an act does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Policy said so, and it is recorded.
    Decided,
    /// Its record found no room; denials still do.
    Full,
    /// No record is taken any more.
    Poisoned,
}

fn first_rule(decision: &Decision) -> &str {
    decision.rules.first().map_or("", String::as_str)
}

/// As the engine says; whatever a human let through is durable.
fn class_of(obligations: &Obligations, facts: &Facts) -> RecordClass {
    if facts.grants.is_empty() { obligations.record } else { RecordClass::Durable }
}

pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
