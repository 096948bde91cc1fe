//! The line: observed acts become Actions, are decided, asked about where policy says so, and recorded before their effect.
//!
//! INVARIANT: a [`Permit`] exists only after the records of all its acts were acknowledged. A record that cannot be written denies, poisons
//! the line (everything is denied from then on) and ends the tree.

use crate::answer::Call;
use crate::denials::{Denials, Told};
use crate::ending::Ending;
use crate::questions::{Questions, Reply};
use crate::record::{Batch, Recorder};
use crate::session::Session;
use crate::sys::process;
use crate::uplink::Uplink;
use interlock_core::action::{Action, Bytes, Plane, Process, Subject};
use interlock_core::decision::{Decision, Obligations, Outcome, Record};
use interlock_core::digest::action_digest;
use interlock_core::facts::Facts;
use interlock_core::target::{Side, Target};
use interlock_core::verb::Verb;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One act as the door observed it: resolved, not yet decided.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Observed {
    pub verb: Verb,
    pub target: Target,
}

/// What the line says to a call.
#[must_use]
pub enum Settled<'a> {
    /// Every act of the call is allowed and recorded: enact, then say what came of it.
    Allowed(Permit<'a>),
    /// Refused, recorded and told. Which errno the call gives for a refusal is the door's to know.
    Denied,
}

/// The leave to enact. Dropped without [`Permit::done`], the effect is `unknown`.
#[must_use]
pub struct Permit<'a> {
    line: &'a Line,
    records: Vec<u64>,
}

impl Permit<'_> {
    /// Notes what came of it: 0, or the errno the kernel gave.
    pub fn done(self, errno: i32) {
        for record in &self.records {
            if self.line.batch.effect(*record, errno) {
                self.line.flush();
            }
        }
    }
}

/// What says of an Action what policy says. The engine's plan stands behind it.
pub trait Judge: Send + Sync {
    /// Pure and total.
    fn decide(&self, action: &Action, facts: &Facts) -> Decision;
    /// Which rules would have to change for a denied Action to pass.
    fn allowed_by(&self, action: &Action, decision: &Decision) -> Vec<String>;
    /// Digest of the policy.
    fn digest(&self) -> &str;
}

/// Something that should not have happened, and ended in a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unforeseen {
    /// The door's code panicked.
    Panic,
    /// The kernel took no answer (errno).
    Unanswerable(i32),
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
    judge: Box<dyn Judge>,
    recorder: Box<dyn Recorder>,
    pub(crate) questions: Questions,
    pub(crate) denials: Denials,
    pub(crate) uplink: Arc<Uplink>,
    pub(crate) batch: Batch,
    ending: Arc<Ending>,
    context: Mutex<Context>,
    next: AtomicU64,
    poisoned: AtomicBool,
}

impl Line {
    /// A line for session `session`. `agent`: as given at launch, `{"name", "assurance"}`.
    #[must_use]
    pub fn new(
        session: String,
        agent: Option<Value>,
        judge: Box<dyn Judge>,
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
            denials: Denials::default(),
            uplink,
            batch: Batch::default(),
            ending,
            context: Mutex::new(Context::default()),
            next: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
        }
    }

    pub(crate) fn settle(&self, session: &Session, call: &Call, observed: Vec<Observed>) -> Settled<'_> {
        if observed.is_empty() || self.poisoned.load(Ordering::Acquire) {
            return Settled::Denied;
        }
        let mut judged = Vec::with_capacity(observed.len());
        for act in observed {
            let action = self.action(call, act);
            let decision = self.judge.decide(&action, &facts(session, &action));
            judged.push((action, decision));
        }
        if let Some(index) = judged.iter().position(|(_, decision)| matches!(decision.decision, Outcome::Deny | Outcome::Steer)) {
            let (action, decision) = judged.swap_remove(index);
            return self.deny(action, decision);
        }
        let mut records = Vec::new();
        for (action, decision) in judged {
            match self.pass(session, call, action, decision) {
                Ok(number) => records.extend(number),
                Err(Refused) => return Settled::Denied,
            }
        }
        Settled::Allowed(Permit { line: self, records })
    }

    /// Records and tells a denial that no rule spoke: the door goes no further on its own account.
    pub(crate) fn refuse(&self, call: &Call, act: Observed, because: &str) {
        let decision = Decision {
            decision: Outcome::Deny,
            rules: Vec::new(),
            layers: Vec::new(),
            because: because.to_owned(),
            timeout_ms: None,
            steer: None,
            obligations: Obligations { record: Record::Ordered, ..Obligations::default() },
            spoke: false,
            errors: Vec::new(),
        };
        let _denied = self.deny(self.action(call, act), decision);
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
    fn pass(&self, session: &Session, call: &Call, action: Action, decision: Decision) -> Result<Option<u64>, Refused> {
        match decision.decision {
            Outcome::Allow => self.allow(&action, &decision, &Facts::default()),
            Outcome::Approve => self.ask(session, call, action, decision),
            Outcome::Steer | Outcome::Deny => {
                let _told = self.deny(action, decision);
                Err(Refused)
            }
        }
    }

    fn allow(&self, action: &Action, decision: &Decision, facts: &Facts) -> Result<Option<u64>, Refused> {
        let verb = action.verb.to_string();
        let class = class_of(action, &decision.obligations, facts);
        if class == Record::Routine {
            let rule = decision.rules.first().map_or("", String::as_str);
            if self.batch.count(&verb, "allow", rule) {
                self.flush();
            }
            return Ok(None);
        }
        self.batch.total(&verb, "allow");
        self.decided(action, decision, facts, class).map(Some)
    }

    /// Puts the question, waits for its answer, and decides again with the grant among the facts.
    fn ask(&self, session: &Session, call: &Call, mut action: Action, decision: Decision) -> Result<Option<u64>, Refused> {
        action.nonce = Some(process::random_hex());
        action.subject.process = Some(Process { id: call.thread, program: program_of(call.thread) });
        let digest = action_digest(&action);
        let timeout_ms = decision.timeout_ms.unwrap_or(crate::questions::TIMEOUT_MS);
        let asked = self.questions.open(call, timeout_ms);
        let question = asked.as_ref().map_or_else(|| "none".to_owned(), |question| question.id.clone());
        self.record(Record::Ordered, json!({"type": "approval.asked", "action": action.id, "digest": digest, "question": question}))?;
        let reply = asked.map_or(Reply::Nobody("too many questions are open"), |question| {
            let message = json!({"type": "question", "id": question.id, "action": action, "digest": digest, "decision": decision, "timeout_ms": timeout_ms});
            if !self.uplink.send(message) {
                return Reply::Nobody("nobody is there to be asked");
            }
            session.blocking(call, || question.wait()).unwrap_or(Reply::Nobody("too many calls wait"))
        });
        if let Reply::Withdrawn(reason) | Reply::Timeout(reason) = &reply {
            let _sent = self.uplink.send(json!({"type": "withdrawn", "id": question, "reason": reason}));
        }
        self.answered(&action, &digest, &reply)?;
        let mut facts = facts(session, &action);
        facts.grants.extend(reply.grant().cloned());
        let again = self.judge.decide(&action, &facts);
        match again.decision {
            Outcome::Allow => self.allow(&action, &again, &facts),
            _ => {
                let _told = self.deny(action, Decision { because: format!("{} ({})", again.because, reply.reason()), ..again });
                Err(Refused)
            }
        }
    }

    fn answered(&self, action: &Action, digest: &str, reply: &Reply) -> Result<(), Refused> {
        let grant = reply.grant();
        let record = json!({
            "type": "approval.answered", "action": action.id, "digest": digest, "answer": reply.word(),
            "approver": grant.map(|grant| grant.approver.clone()), "grant": grant,
        });
        self.record(Record::Durable, record).map(|_| ())
    }

    fn deny(&self, mut action: Action, mut decision: Decision) -> Settled<'_> {
        if decision.decision == Outcome::Steer {
            "a steer is not enforced here".clone_into(&mut decision.because);
        }
        if let Some(process) = &mut action.subject.process {
            process.program = program_of(process.id);
        }
        self.batch.total(&action.verb.to_string(), "deny");
        if let Ok(number) = self.decided(&action, &decision, &Facts::default(), Record::Ordered) {
            let allowed_by = self.judge.allowed_by(&action, &decision);
            self.uplink.notice(json!({"type": "denied", "action": action, "decision": decision, "record": number}));
            self.denials.tell(Told { time_us: now_us(), action, decision, allowed_by, record: number });
        }
        Settled::Denied
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
    pub(crate) fn record(&self, class: Record, mut record: Value) -> Result<u64, Refused> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Refused);
        }
        record["session"] = json!(self.session);
        self.recorder.append(class, record).map_err(|error| {
            self.poison(&format!("the ledger refused a record: {error}"));
            Refused
        })
    }

    /// Writes what was counted since the last batch.
    pub(crate) fn flush(&self) {
        for mut record in self.batch.take() {
            record["type"] = json!("routine");
            let _poisoned = self.record(Record::Ordered, record);
        }
    }

    /// Denies everything from now on and ends the tree with code 123.
    pub(crate) fn poison(&self, reason: &str) {
        self.poisoned.store(true, Ordering::Release);
        self.questions.close();
        self.ending.failed(reason);
    }

    /// Records a fault of our own that ended in a denial.
    pub(crate) fn unforeseen(&self, _session: &Session, call: &Call, what: Unforeseen) {
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

    /// Closes the log; its last checkpoint, or why there is none.
    pub(crate) fn close(&self) -> Result<String, String> {
        self.flush();
        self.recorder.close()
    }
}

/// Decided against; recorded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Reads and signals within the tree are routine; changes are ordered; what a human or a rule wants surer is durable.
fn class_of(action: &Action, obligations: &Obligations, facts: &Facts) -> Record {
    let own = match (&action.verb, &action.target) {
        _ if !facts.grants.is_empty() => Record::Durable,
        (Verb::FileRead, _) | (Verb::ProcessSignal, Target::Signal { to: Side::Inside, .. }) => Record::Routine,
        _ => Record::Ordered,
    };
    own.max(obligations.record)
}

fn facts(session: &Session, action: &Action) -> Facts {
    let object = match &action.target {
        Target::File(end) => end.inode,
        Target::Pair { inode, .. } => *inode,
        _ => None,
    };
    Facts { now_ms: now_us() / 1000, origin: object.map(|object| session.made.origin(object)), ..Facts::default() }
}

fn program_of(process: i32) -> Option<Bytes> {
    use std::os::unix::ffi::OsStringExt;
    let path = std::fs::read_link(format!("/proc/{process}/exe")).ok()?;
    Some(Bytes(path.into_os_string().into_vec()))
}

pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
