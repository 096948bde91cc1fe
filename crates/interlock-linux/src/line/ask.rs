//! Asking a human: the question, its answer, and the same `decide` once more with the grant among the Facts.
//!
//! INVARIANT: an answer never edits a decision. Whatever is not a yes that covers this very act ends in a denial of its own record.

use super::judge::Judged;
use super::ports::Around;
use super::questions::{Reply, TIMEOUT_MS};
use super::recording::program_of;
use super::{Act, Enactor, Line, Refused};
use crate::sys::notify::Call;
use crate::sys::process;
use interlock_core::action::{Action, Process};
use interlock_core::decision::{Decision, RecordClass, Says};
use interlock_core::digest::action_digest;
use interlock_core::facts::Facts;
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
        let needs = self.judge.plan.needs(&act.action);
        // The objects are held, so they are still what they were.
        let Facts { origin, origin_to, history, history_to, .. } = act.judged.facts;
        let mut facts = Facts { origin, origin_to, history, history_to, ..around.facts(&act.action, &needs) };
        facts.grants.extend(reply.grant().cloned());
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
        let opened = self.questions.open(call, timeout_ms);
        let id = opened.as_ref().map(|question| question.id.clone());
        self.record(RecordClass::Ordered, json!({"type": "approval.asked", "action": action.id, "digest": digest, "question": id}))?;
        let Some(question) = opened else { return Ok(Reply::Nobody("too many questions are open")) };
        let message =
            json!({"type": "question", "id": id, "action": action, "digest": digest, "decision": decision, "timeout_ms": timeout_ms});
        if !self.uplink.send(message) {
            return Ok(Reply::Nobody("nobody is there to be asked"));
        }
        let reply = around.wait(call, &question);
        if let Reply::Withdrawn(reason) | Reply::Timeout(reason) = &reply {
            let _sent = self.uplink.send(json!({"type": "withdrawn", "id": id, "reason": reason}));
        }
        Ok(reply)
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
