//! Questions put to a human and waited for: each holds one caller's thread, ends with its answer, its deadline or its caller.
//!
//! No answer is a no. Showing and answering is the inbox's, above the control socket.

use crate::sys::notify::Call;
use interlock_core::action::Action;
use interlock_core::grant::Grant;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Questions open at one time; past it an approval is a denial.
const OPEN_MAX: usize = 64;
/// Hexadecimal digits of a question's name: the inbox of all sessions knows it by that.
const ID_DIGITS: usize = 8;
/// How long is waited when the rule does not say, in milliseconds.
pub const TIMEOUT_MS: u64 = 120_000;
/// The longest wait, in milliseconds.
const TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A human said yes.
    Yes(Grant),
    /// A yes for the session, given to another question meanwhile, is about this act as well.
    Covered(Grant),
    /// A human said no, and why.
    No(String),
    /// The deadline passed.
    Timeout(&'static str),
    /// Nobody could be asked.
    Nobody(&'static str),
    /// The caller died or the session ended while it was open.
    Withdrawn(&'static str),
}

impl Reply {
    /// The yes, if it is one.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Reply::Yes(grant) | Reply::Covered(grant) => Some(grant),
            _ => None,
        }
    }

    /// As `approval.answered` says it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Reply::Yes(_) | Reply::Covered(_) => "yes",
            Reply::No(_) => "no",
            Reply::Timeout(_) => "timeout",
            Reply::Nobody(_) => "nobody",
            Reply::Withdrawn(_) => "withdrawn",
        }
    }

    /// Why, for the denial that follows anything but a yes.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Reply::Yes(_) | Reply::Covered(_) => "the grant does not cover it",
            Reply::No(reason) => reason,
            Reply::Timeout(reason) | Reply::Nobody(reason) | Reply::Withdrawn(reason) => reason,
        }
    }
}

#[derive(Default)]
struct State {
    open: HashMap<String, Slot>,
    closed: bool,
}

struct Slot {
    call: u64,
    action: Action,
    reply: Option<Reply>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open questions of a session.
#[derive(Default)]
pub struct Questions(Arc<Shared>);

/// One open question; closed when dropped.
pub struct Question {
    /// `q-…`
    pub id: String,
    deadline: Instant,
    shared: Arc<Shared>,
}

impl Questions {
    /// Opens a question about an act of a call, unless too many are open or none are taken any more.
    #[must_use]
    pub fn open(&self, call: &Call, action: &Action, timeout_ms: u64) -> Option<Question> {
        let mut state = self.0.state();
        if state.closed || state.open.len() >= OPEN_MAX {
            return None;
        }
        let id = format!("q-{}", crate::sys::process::random_hex().get(..ID_DIGITS)?);
        if state.open.contains_key(&id) {
            return None;
        }
        state.open.insert(id.clone(), Slot { call: call.id, action: action.clone(), reply: None });
        let deadline = Instant::now() + Duration::from_millis(timeout_ms.min(TIMEOUT_MS_MAX));
        Some(Question { id, deadline, shared: Arc::clone(&self.0) })
    }

    /// Delivers an answer from above. An answer to a question that is not open is ignored: it was withdrawn.
    pub fn answer(&self, id: &str, reply: Reply) {
        self.settle(|name, _| name == id, &reply);
    }

    /// Delivers a yes for the session to every open question about its place.
    pub fn cover(&self, grant: &Grant) {
        let is_about = |_: &str, slot: &Slot| grant.reach.as_ref().is_some_and(|reach| reach.covers(&slot.action));
        self.settle(is_about, &Reply::Covered(grant.clone()));
    }

    /// The calls that questions are open for.
    #[must_use]
    pub fn calls(&self) -> Vec<u64> {
        self.0.state().open.values().map(|slot| slot.call).collect()
    }

    /// Withdraws the question of a call whose caller is gone.
    pub fn withdraw(&self, call: u64) {
        self.settle(|_, slot| slot.call == call, &Reply::Withdrawn("the caller is gone"));
    }

    /// Withdraws all and takes no more: `run` has left, or the session ends.
    pub fn close(&self, reason: &'static str) {
        self.0.state().closed = true;
        self.settle(|_, _| true, &Reply::Withdrawn(reason));
    }

    fn settle(&self, which: impl Fn(&str, &Slot) -> bool, reply: &Reply) {
        let mut state = self.0.state();
        for (name, slot) in &mut state.open {
            if slot.reply.is_none() && which(name, slot) {
                slot.reply = Some(reply.clone());
            }
        }
        self.0.changed.notify_all();
    }
}

impl Question {
    /// Waits for the answer, to the deadline at most.
    #[must_use]
    pub fn wait(&self) -> Reply {
        loop {
            if let Some(reply) = self.wait_for(Duration::from_millis(TIMEOUT_MS_MAX)) {
                return reply;
            }
        }
    }

    /// The same for a while at most: nothing where the question is still open then.
    #[must_use]
    pub fn wait_for(&self, span: Duration) -> Option<Reply> {
        let (mut state, until) = (self.shared.state(), Instant::now() + span);
        loop {
            if let Some(reply) = state.open.get(&self.id).and_then(|slot| slot.reply.clone()) {
                return Some(reply);
            }
            let left = |end: Instant| end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
            let Some(to_deadline) = left(self.deadline) else { return Some(Reply::Timeout("nobody answered in time")) };
            let to_end = left(until)?;
            state = self.shared.changed.wait_timeout(state, to_deadline.min(to_end)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.shared.state().open.remove(&self.id);
    }
}
