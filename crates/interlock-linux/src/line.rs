//! The line: observed acts become Actions, are decided, asked about where policy says so, and recorded before their effect.
//!
//! INVARIANT: a [`Permit`] exists only after the records of all its acts were acknowledged. A record that cannot be written denies, poisons
//! the line (everything is denied from then on) and ends the tree.

mod ask;
pub mod ports;
mod refusal;
#[cfg(test)]
mod transcripts;

use crate::denials::Denials;
use crate::ending::Ending;
use crate::judge::{Judge, Judged};
use crate::later::{Changed, Later};
use crate::questions::Questions;
use crate::record::{Failure, Recorder, Totals};
use crate::routine::Routine;
use crate::sys::notify::Call;
use crate::uplink::Uplink;
use interlock_core::action::{Action, Bytes, FileEnd, Inode, Plane, Process, Subject};
use interlock_core::decision::{Decision, Obligations, Outcome, Record};
use interlock_core::facts::{Facts, Origin};
use interlock_core::target::Target;
use interlock_core::verb::Verb;
use interlock_ledger::Ended;
use ports::Around;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
}

impl Observed {
    /// An act on what has no origin, or on what nobody looked at.
    pub fn new(verb: Verb, target: Target) -> Self {
        Self { verb, target, origin: None, origin_to: None }
    }

    /// The act by itself, to ask what policy says of it: no id, nobody who does it, nothing that a record could hold.
    pub fn alone(&self) -> Action {
        let (id, subject, target) = (String::new(), Subject::default(), self.target.clone());
        Action { id, plane: Plane::Host, verb: self.verb, target, subject, nonce: None }
    }
}

/// What the line says to a call.
#[must_use]
pub enum Settled<'a> {
    /// Every act of the call is allowed and recorded: enact, then say what came of it.
    Allowed(Permit<'a>),
    /// Refused, recorded and told. Which errno the call gives for a refusal is the door's to know.
    Denied,
}

/// The leave to enact. Dropped without [`Permit::done`], it is recorded that nobody knows what came of it.
#[must_use]
pub struct Permit<'a> {
    line: &'a Line,
    records: Vec<u64>,
    later: Vec<Changed>,
}

impl Permit<'_> {
    /// Notes what came of it: 0, or the errno the kernel gave.
    pub fn done(mut self, errno: i32) {
        self.end(Ended::Errno(errno));
        if errno == 0 {
            self.line.later.note(std::mem::take(&mut self.later));
        }
    }

    /// Another act of the same call was refused, so nothing of it is done.
    fn void(mut self) {
        self.end(Ended::Refused);
    }

    fn end(&mut self, ended: Ended) {
        for record in std::mem::take(&mut self.records) {
            self.line.recorder.effect(record, ended);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.end(Ended::Unknown);
    }
}

/// Something that should not have happened, and ended in a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unforeseen {
    /// The door's code panicked.
    Panic,
    /// The kernel took no answer (errno).
    Unanswerable(i32),
    /// Nobody answered it.
    Unanswered,
}

/// What the session works on, as the other plane told it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Context {
    pub parent: Option<String>,
    pub trace: Option<Value>,
}

/// The line of one session.
pub struct Line {
    session: String,
    agent: Option<Value>,
    /// The policy, and what it compiles to here.
    pub judge: Judge,
    recorder: Box<dyn Recorder>,
    routine: Routine,
    pub(crate) questions: Questions,
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
            routine: Routine::default(),
            questions: Questions::default(),
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
    pub(crate) fn settle(&self, around: &dyn Around, call: &Call, observed: Vec<Observed>) -> Settled<'_> {
        if observed.is_empty() || self.poisoned.load(Ordering::Acquire) {
            return Settled::Denied;
        }
        if self.rehearsing.load(Ordering::Acquire) {
            return self.rehearsed(&observed);
        }
        let later: Vec<Changed> = observed.iter().flat_map(|act| self.later.of(act)).collect();
        let mut judged = Vec::with_capacity(observed.len());
        for act in observed {
            let (origin, origin_to) = (act.origin, act.origin_to);
            let action = self.action(call, act);
            let found = self.judge.first(&action, |needs| {
                let (origin, origin_to) = if needs.origin { (origin, origin_to) } else { (None, None) };
                Facts { origin, origin_to, ..around.facts(&action, needs) }
            });
            if found.whatever {
                self.note_routine(&action, &found.decision);
            }
            judged.push((action, found));
        }
        if let Some(index) = judged.iter().position(|(_, found)| !may_pass(&found.decision)) {
            let (action, found) = judged.swap_remove(index);
            let _told = self.deny(around, call, action, &found);
            return Settled::Denied;
        }
        let mut permit = Permit { line: self, records: Vec::new(), later };
        for (action, found) in judged {
            match self.pass(around, call, &action, &found) {
                Ok(number) => permit.records.extend(number),
                Err(refused) => {
                    if refused == Refused::Full {
                        let _told = self.deny_unrecorded(action);
                    }
                    permit.void();
                    return Settled::Denied;
                }
            }
        }
        Settled::Allowed(permit)
    }

    /// The leave to read what was found to be routine before: allowed whatever the Facts, and only counted.
    pub(crate) fn routine(&self, path: &[u8], object: Inode) -> Option<Permit<'_>> {
        let rule = self.routine.rule(path, object)?;
        if self.poisoned.load(Ordering::Acquire) || self.rehearsing.load(Ordering::Acquire) {
            return None;
        }
        self.count_routine(Verb::FileRead.name(), &rule);
        Some(Permit { line: self, records: Vec::new(), later: Vec::new() })
    }

    fn note_routine(&self, action: &Action, decision: &Decision) {
        let routine = decision.decision == Outcome::Allow && decision.obligations.record == Record::Routine;
        if let (true, Verb::FileRead, Target::File(FileEnd { path, inode: Some(object), .. })) = (routine, action.verb, &action.target) {
            self.routine.note(&path.0, *object, first_rule(decision));
        }
    }

    fn count_routine(&self, verb: &'static str, rule: &str) {
        self.totals.count(verb, "allow");
        self.recorder.count(verb, "allow", rule);
    }

    /// Before the command runs, the self-test's script stands for policy: one read is allowed, nothing else, and nothing of it is recorded.
    fn rehearsed(&self, observed: &[Observed]) -> Settled<'_> {
        match observed {
            [Observed { verb: Verb::FileRead, target: Target::File(end), .. }] if end.path.0 == crate::rehearsal::OPENED.as_bytes() => {
                Settled::Allowed(Permit { line: self, records: Vec::new(), later: Vec::new() })
            }
            _ => Settled::Denied,
        }
    }

    /// The self-test is over: from now on policy decides.
    pub(crate) fn begin(&self) {
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

    /// Records an allowed act, or asks about it first. The number of its record, if it has one.
    fn pass(&self, around: &dyn Around, call: &Call, action: &Action, found: &Judged) -> Result<Option<u64>, Refused> {
        match found.decision.decision {
            Outcome::Allow => self.allow(around, call, action, found),
            Outcome::Approve => self.ask(around, call, action.clone(), found),
            Outcome::Steer | Outcome::Deny => Err(self.deny(around, call, action.clone(), found)),
        }
    }

    fn allow(&self, around: &dyn Around, call: &Call, action: &Action, found: &Judged) -> Result<Option<u64>, Refused> {
        let Judged { decision, facts, .. } = found;
        if !may_pass(decision) {
            return Err(self.deny(around, call, action.clone(), found));
        }
        let class = class_of(&decision.obligations, facts);
        if class == Record::Routine {
            self.count_routine(action.verb.name(), first_rule(decision));
            return Ok(None);
        }
        self.totals.count(action.verb.name(), "allow");
        self.decided(action, decision, facts, class).map(Some)
    }

    fn decided(&self, action: &Action, decision: &Decision, facts: &Facts, class: Record) -> Result<u64, Refused> {
        let mut action = action.clone();
        if let Some(process) = &mut action.subject.process {
            process.program = process.program.take().or_else(|| program_of(process.id));
        }
        let context = self.context();
        let record = json!({
            "type": "action.decided", "phase": "decided", "action": action, "decision": decision, "facts": facts,
            "policy": self.judge.digest(), "agent": self.agent, "parent": context.parent, "trace": context.trace,
        });
        self.record(class, record)
    }

    /// Appends a record of this session.
    ///
    /// # Errors
    /// The line is poisoned.
    pub(crate) fn record(&self, class: Record, record: Value) -> Result<u64, Refused> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Refused::Poisoned);
        }
        self.recorder.append(class, record).map_err(|failure| match failure {
            Failure::Full => Refused::Full,
            Failure::Broken(why) => {
                self.poison(&format!("the ledger refused a record: {why}"));
                Refused::Poisoned
            }
        })
    }

    /// Denies everything from now on and ends the tree with code 123.
    pub(crate) fn poison(&self, reason: &str) {
        self.poisoned.store(true, Ordering::Release);
        self.questions.close("interlock failed");
        self.ending.failed(reason);
    }

    /// A log that failed by itself (a sync between two records) poisons the line as a refused record does.
    pub(crate) fn check_log(&self) {
        if !self.poisoned.load(Ordering::Acquire) && !self.recorder.sound() {
            self.poison("the ledger failed");
        }
    }

    /// Records a fault of our own that ended in a denial.
    pub(crate) fn unforeseen(&self, call: &Call, what: Unforeseen) {
        let reason = format!("call {} of thread {}: {what:?}", call.number, call.thread);
        let _poisoned = self.record(Record::Ordered, json!({"type": "gap", "lost": 1, "reason": reason}));
    }

    pub(crate) fn context(&self) -> Context {
        self.context.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_context(&self, context: Context) {
        let _poisoned = self.record(Record::Ordered, json!({"type": "context.changed", "parent": context.parent, "trace": context.trace}));
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = context;
    }

    /// Closes the log with this record; its last checkpoint, or why there is none.
    pub(crate) fn close(&self, closing: Value) -> Result<Value, String> {
        self.recorder.close(closing)
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

/// Whether it may be let through, after a question at most. No enactor of this plane honours a steer, or an obligation but the record's class.
fn may_pass(decision: &Decision) -> bool {
    let Obligations { record: _, limit, mask, inject } = &decision.obligations;
    matches!(decision.decision, Outcome::Allow | Outcome::Approve) && limit.is_empty() && mask.is_empty() && inject.is_none()
}

fn first_rule(decision: &Decision) -> &str {
    decision.rules.first().map_or("", String::as_str)
}

/// As the engine says; whatever a human let through is durable.
fn class_of(obligations: &Obligations, facts: &Facts) -> Record {
    if facts.grants.is_empty() { obligations.record } else { Record::Durable }
}

fn program_of(process: i32) -> Option<Bytes> {
    use std::os::unix::ffi::OsStringExt;
    let path = std::fs::read_link(format!("/proc/{process}/exe")).ok()?;
    Some(Bytes(path.into_os_string().into_vec()))
}

pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
