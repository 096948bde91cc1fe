//! Messages up to `interlock run`: queued, written by one thread, so that a reader who stops reading holds up nobody's system call.

use super::tally::Tally;
use interlock_core::action::{Action, Target};
use interlock_core::decision::Decision;
use interlock_core::steer::Steer;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Messages that may wait to be written.
const QUEUE_MAX: usize = 1024;
/// Denial notices a second; the rest are counted.
const NOTICES_PER_SECOND: u32 = 20;
/// Files whose view is told of.
const VIEWS_MAX: usize = 64;

/// The sending side.
pub struct Uplink {
    queue: Mutex<Option<SyncSender<Value>>>,
    written: Mutex<Receiver<()>>,
    open: Arc<AtomicBool>,
    notices: Mutex<(Instant, u32)>,
    views: Mutex<HashSet<Vec<u8>>>,
    tally: Mutex<Tally>,
}

impl Uplink {
    /// Starts the writer thread over the control socket.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(socket: UnixStream) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let open = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&open);
        let (done, written) = sync_channel(1);
        let write = move || {
            write_all(socket, &receiver, &state);
            let _nobody = done.send(());
        };
        std::thread::Builder::new().name("uplink".into()).spawn(write)?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            written: Mutex::new(written),
            open,
            notices: Mutex::new((Instant::now(), 0)),
            views: Mutex::default(),
            tally: Mutex::default(),
        })
    }

    /// Queues a message. `false`: nobody reads any more, or the queue is full.
    #[must_use]
    pub fn send(&self, message: Value) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_open() && queue.as_ref().is_some_and(|queue| queue.try_send(message).is_ok())
    }

    /// Whether somebody reads.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Nobody reads from now on: `run` has left.
    pub fn leave(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Queues the notice of a denial. Counted instead: what programs try by the hundred and take a no for, what their own permissions refuse as
    /// well, and what comes too fast.
    pub fn denied(&self, action: &Action, decision: &Decision, natively: bool, record: Option<u64>) {
        let counted = natively || Tally::is_probe(action, decision);
        let message = || json!({"type": "denied", "action": action, "decision": decision, "record": record});
        if counted || !self.within_rate() || !self.send(message()) {
            self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(action, decision, natively);
        }
    }

    /// Queues the notice that something else was done than was asked for. That a file is read as a view is news once: clients read theirs at each start.
    pub fn steered(&self, (action, decision): &(Action, Decision), record: Option<u64>) {
        let is_news = decision.steer != Some(Steer::Masked) || self.is_first_view(action);
        if is_news && self.within_rate() {
            let _nobody_reads = self.send(json!({"type": "steered", "action": action, "decision": decision, "record": record}));
        }
    }

    /// Whether a file is shown as a view for the first time. What there is no room to remember is not told.
    fn is_first_view(&self, action: &Action) -> bool {
        let Target::File(end) = &action.target else { return true };
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.len() < VIEWS_MAX && views.insert(end.path.0.clone())
    }

    /// Queues the notice of a call that the table refuses, by its name.
    pub fn denied_call(&self, name: &str, decision: &Decision, record: Option<u64>) {
        let action = json!({"verb": "call", "target": {"call": name}});
        if self.within_rate() {
            let _nobody_reads = self.send(json!({"type": "denied", "action": action, "decision": decision, "record": record}));
        }
    }

    fn within_rate(&self) -> bool {
        let mut window = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed().as_secs() >= 1 {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        window.1 <= NOTICES_PER_SECOND
    }

    /// Tells which denials were counted since last asked.
    pub fn tell_suppressed(&self) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let told = tally.message().is_some_and(|message| self.send(message) || !self.is_open());
        if told {
            *tally = Tally::default();
        }
    }

    /// Lets what is queued be written, for at most this long: a reader who never reads again does not keep the process.
    pub fn finish(&self, at_most: Duration) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _late = self.written.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(at_most);
    }
}

fn write_all(mut socket: UnixStream, messages: &Receiver<Value>, open: &AtomicBool) {
    for message in messages {
        let mut line = message.to_string();
        line.push('\n');
        if open.load(Ordering::Acquire) && socket.write_all(line.as_bytes()).is_err() {
            open.store(false, Ordering::Release);
        }
    }
}
