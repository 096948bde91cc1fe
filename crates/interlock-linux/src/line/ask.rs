//! Asking a human: the question, its answer, and the same `decide` once more with the grant among the Facts.
//!
//! INVARIANT: an answer never edits a decision. Whatever is not a yes that covers this very act ends in a denial of its own record.

use super::judge::Judged;
use super::ports::Around;
use super::questions::{Reply, TIMEOUT_MS};
use super::recording::program_of;
use super::{Act, Enactor, Line, Observed, Refused, now_us};
use crate::sys::notify::Call;
use crate::sys::process;
use interlock_core::action::{Action, Process};
use interlock_core::decision::{Decision, RecordClass, Says};
use interlock_core::digest::action_digest;
use interlock_core::facts::Facts;
use interlock_core::grant::Grant;
use serde_json::json;

impl Line {
    /// Puts the question, waits for its answer, and decides again. The number of the record that allows, if it comes to that.
    pub(super) fn ask(&self, around: &dyn Around, call: &Call, enactor: &Enactor, act: &mut Act) -> Result<Option<u64>, Refused> {
        act.action.nonce = Some(process::random_hex());
        act.action.subject.process = Some(Process { id: call.thread, program: program_of(call.thread) });
        self.decided(&act.action, &act.judged.decision, &act.judged.facts, RecordClass::Ordered)?;
        let digest = action_digest(&act.action);
        let reply = self.put(around, call, &act.action, &digest, &act.judged.decision)?;
        self.answered(&act.action, &digest, &reply)?;
        self.hold(&act.action, &reply);
        let needs = self.judge.plan.needs(&act.action);
        // The objects are held, so they are still what they were.
        let Facts { origin, origin_to, history, history_to, .. } = act.judged.facts;
        let mut facts = Facts { origin, origin_to, history, history_to, ..around.facts(&act.action, &needs) };
        facts.grants = reply.grant().cloned().into_iter().collect();
        let decision = self.judge.decide(&act.action, &facts);
        act.judged = Judged { decision, facts };
        if act.judged.decision.decision == Says::Approve {
            return Err(self.deny_ungranted(act.action.clone(), &act.judged, reply.reason()));
        }
        self.pass(around, call, enactor, act)
    }

    /// Records that it is asked, asks, and waits.
    fn put(&self, around: &dyn Around, call: &Call, action: &Action, digest: &str, decision: &Decision) -> Result<Reply, Refused> {
        let timeout_ms = decision.timeout_ms.unwrap_or(TIMEOUT_MS);
        let opened = self.questions.open(call, action, timeout_ms);
        let id = opened.as_ref().map(|question| question.id.clone());
        self.record(RecordClass::Ordered, json!({"type": "approval.asked", "action": action.id, "digest": digest, "question": id}))?;
        let Some(question) = opened else { return Ok(Reply::Nobody("too many questions are open")) };
        // It is open by now, so a yes for the session that came in between is kept already or will be delivered to it.
        if let Some(grant) = self.grants.about(action, now_us() / 1000).first() {
            return Ok(Reply::Covered(grant.clone()));
        }
        let message =
            json!({"type": "question", "id": id, "action": action, "digest": digest, "decision": decision, "timeout_ms": timeout_ms});
        if !self.uplink.send(message) {
            return Ok(Reply::Nobody("nobody is there to be asked"));
        }
        let reply = around.wait(call, &question);
        let unneeded = match &reply {
            Reply::Withdrawn(reason) | Reply::Timeout(reason) => Some(*reason),
            Reply::Covered(_) => Some("a yes for the session covers it"),
            Reply::Yes(_) | Reply::No(_) | Reply::Nobody(_) => None,
        };
        if let Some(reason) = unneeded {
            let _sent = self.uplink.send(json!({"type": "withdrawn", "id": id, "reason": reason}));
        }
        Ok(reply)
    }

    /// Keeps a yes for the session, now that it is recorded, and gives it to whoever waits for one to the same place.
    fn hold(&self, asked: &Action, reply: &Reply) {
        if let Reply::Yes(grant) = reply {
            if self.grants.keep(grant, asked) {
                self.questions.cover(grant);
            }
        }
    }

    /// What policy would say of an act after a yes to it, whoever asks. Nothing of it is recorded.
    pub(crate) fn after_a_yes(&self, around: &dyn Around, call: &Call, observed: Observed) -> Says {
        let action = self.action(call, observed);
        let mut facts = around.facts(&action, &self.judge.plan.needs(&action));
        let (digest, expires_ms) = (action_digest(&action), u64::MAX);
        facts.grants = vec![Grant { id: String::new(), digest, approver: "anybody".to_owned(), expires_ms, uses: 1, reach: None }];
        self.judge.decide(&action, &facts).decision
    }

    /// Takes back a yes for the session, and every other to the same place. Whether there was one.
    pub(crate) fn take_back(&self, id: &str) -> bool {
        let gone = self.grants.take_back(id);
        let known = !gone.is_empty();
        for grant in gone {
            let _poisoned = self.record(RecordClass::Durable, json!({"type": "grant.revoked", "grant": grant}));
        }
        known
    }

    fn answered(&self, action: &Action, digest: &str, reply: &Reply) -> Result<(), Refused> {
        let grant = reply.grant();
        let record = json!({
            "type": "approval.answered", "action": action.id, "digest": digest, "answer": reply.word(),
            "approver": grant.map(|grant| grant.approver.clone()), "grant": grant,
        });
        self.record(RecordClass::Durable, record).map(|_| ())
    }
}
