//! Running: the command is what its program makes of it. Watched until the tree is empty or is to be ended.

use super::tree::Tree;
use crate::door::copies::Copy;
use crate::door::file::copy::given_up;
use crate::door::session::Session;
use crate::journal::Journal;
use crate::outside::control;
use crate::tree::ending::{Ending, Reason};
use crate::tree::guardian::Word;
use crate::wire::ending::Telling;
use crate::wire::messages::End;
use interlock_core::decision::RecordClass;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long calls that are being answered when the tree is gone may take to be recorded.
const ANSWERS: Duration = Duration::from_secs(1);

/// A tree whose command runs.
#[must_use = "dropped, the tree ends"]
pub struct Running {
    end: End,
    tree: Tree,
    session: Arc<Session>,
    ending: Arc<Ending>,
    status: Option<Value>,
}

impl Running {
    pub(super) fn new(end: End, tree: Tree, session: Arc<Session>, ending: Arc<Ending>) -> Self {
        Self { end, tree, session, ending, status: None }
    }

    /// Watches until the tree is empty or is to be ended; the supervisor's exit code.
    #[must_use]
    pub fn watch(mut self) -> i32 {
        loop {
            if self.tree.wait_besides(self.ending.announced()) {
                return self.end();
            }
            match self.tree.word() {
                Some(Word::Exited { code, signal }) => self.exited(code, signal),
                Some(Word::Empty) => return self.end(),
                // At once: the command's end, which follows, is the other sentinel's doing.
                Some(Word::SentinelLost) => {
                    self.ending.failed("a sentinel ended");
                    return self.end();
                }
                Some(Word::Born { .. }) => {}
                None => {
                    self.ending.failed("the guardian ended");
                    return self.end();
                }
            }
        }
    }

    fn exited(&mut self, code: i32, signal: Option<i32>) {
        self.status = Some(json!({"code": code, "signal": signal}));
        self.session.copies.settle(Copy::is_awaited, &self.session.handovers);
        let running = self.session.members.all();
        self.session.line.uplink.tell_suppressed();
        let _gone = self.session.line.uplink.send(json!({"type": "exited", "code": code, "signal": signal, "running": running}));
        if self.end == End::Kill && !running.is_empty() {
            self.ending.told("the command ended");
        }
    }

    /// Ends what still runs, closes the log, says the last word.
    fn end(self) -> i32 {
        let Self { tree, session, ending, status, .. } = self;
        let telling = Telling::begin(&session.line.uplink);
        session.line.questions.close("the session ended");
        tree.end(&session.members.sentinels, || session.resolver.iter().for_each(|resolver| resolver.maker.end()));
        session.settle_down(ANSWERS);
        session.copies.finish(ANSWERS).iter().for_each(|copy| given_up(&session, copy));
        session.objects.close();
        control::tell_unkept(&session);
        session.journal.iter().for_each(Journal::end);
        let (reason, code) = match ending.reason() {
            Some(Reason::Failed(reason)) => (reason, 123),
            Some(Reason::Told(reason)) => (reason, 0),
            None => ("the last process ended".to_owned(), 0),
        };
        let counts = session.line.totals.json();
        let later = session.line.later.left();
        let (listed, rest) = later.in_records();
        for more in rest {
            // Should it not be taken, the counts of the closing record still say how many there were.
            let _poisoned = session.line.record(RecordClass::Ordered, json!({"type": "session.changed", "runs_later": more}));
        }
        let mut closing = json!({"type": "session.closed", "status": status, "counts": counts, "reason": reason});
        later.tell(&mut closing, &listed);
        let checkpoint = session.line.close(closing);
        let code = if checkpoint.is_err() { 123 } else { code };
        let reason = match (&checkpoint, code) {
            (Err(error), _) => format!("{reason}; the ledger could not be closed: {error}"),
            (Ok(_), 123) => format!("interlock failed: {reason}"),
            _ => reason,
        };
        let mut message = json!({"type": "ended", "code": code, "counts": counts, "checkpoint": checkpoint.ok(), "reason": reason});
        later.tell(&mut message, &later.in_message());
        session.line.uplink.tell_suppressed();
        drop(telling);
        let _gone = session.line.uplink.send(message);
        code
    }
}
