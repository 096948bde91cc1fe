//! A log that many threads write to: classes of records, group commit, the clockwork of syncs and checkpoints.
//!
//! `ordered` returns when write(2) has; `durable` when fdatasync(2) has; `routine` at once. One thread (the flusher) syncs within 50 ms,
//! signs within 200 ms, and signs every 10 s when nothing happens. A failed write or sync poisons the log: nothing is acknowledged after it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::bounds::{finish, first_checkpoint};
use crate::clock::rfc3339;
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::index::Registration;
use crate::note::Checkpoint;
use crate::options::Options;
use crate::tally::{Ended, Tally};
use crate::tree::Hash;
use crate::writer::Writer;
use crate::{tiles, writer};

/// From a record that waits to its sync, at most 50 ms with the sync itself.
const FLUSH_AFTER: Duration = Duration::from_millis(40);
/// From a record to the checkpoint that covers it.
const SIGN_AFTER: Duration = Duration::from_millis(200);
/// From a checkpoint to the next when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What must have happened to a record before its append returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing: it is written with the next batch.
    Routine,
    /// It is in the log's file, where no process's death can lose it.
    Ordered,
    /// It is on the disk.
    Durable,
}

/// A record that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its number in the log.
    pub record: u64,
}

struct State {
    writer: Writer,
    /// Records that are durable.
    synced: u64,
    /// Someone is in fdatasync.
    syncing: bool,
    /// Something was written since the last sync.
    dirty: bool,
    /// Something but a checkpoint was written since the last checkpoint.
    unsigned: bool,
    poisoned: Option<Error>,
    stopping: bool,
    closed: bool,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    /// Woken when a sync has ended.
    synced: Condvar,
    /// Wakes the flusher.
    wake: Condvar,
    tally: Tally,
}

/// A log open for writing.
pub struct Log {
    shared: Arc<Shared>,
    flusher: Mutex<Option<JoinHandle<()>>>,
    registration: Option<Registration>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({})", self.shared.options.directory.display())
    }
}

impl Log {
    /// Opens a log by itself; `open_session` also enters it into the user's index. `opening` holds further keys of `log.opened`.
    ///
    /// # Errors
    /// As `Writer::open`.
    pub fn open(options: Options, mut opening: Map<String, Value>) -> Result<Self> {
        opening.entry("type").or_insert("log.opened".into());
        let mut writer = Writer::open(options, opening, &mut |_| {})?;
        first_checkpoint(&mut writer)?;
        Self::around(writer, None)
    }

    pub(crate) fn around(writer: Writer, registration: Option<Registration>) -> Result<Self> {
        let options = writer.options().clone();
        let synced = writer.head().0;
        let state = State { writer, synced, syncing: false, dirty: false, unsigned: false, poisoned: None, stopping: false, closed: false };
        let shared =
            Arc::new(Shared { options, state: Mutex::new(state), synced: Condvar::new(), wake: Condvar::new(), tally: Tally::new() });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ledger-flusher".into()).spawn(move || theirs.run());
        let flusher = thread.map_err(|e| Error::Io { what: "start the flusher".into(), why: e.to_string(), errno: e.raw_os_error() })?;
        Ok(Self { shared, flusher: Mutex::new(Some(flusher)), registration })
    }

    /// Appends a record: a JSON object with `type`, without `record`, `session`, `tick`, `time` and `v`.
    ///
    /// # Errors
    /// Whatever the error, the record must be taken as not written and the action denied. After `Full`, records that
    /// permit nothing (a denial, an end) are still taken, from the reserve.
    pub fn append(&self, record: Value, class: Class) -> Result<Written> {
        let written = self.begin(record, class)?;
        if class == Class::Durable {
            self.shared.sync_through(written.record + 1)?;
        }
        Ok(written)
    }

    /// As `append`, but a durable record is only written: `sync` makes it durable, together with others.
    ///
    /// # Errors
    /// As `append`.
    pub fn begin(&self, record: Value, class: Class) -> Result<Written> {
        let draft = Draft::new(record, &self.shared.options.session)?;
        let mut state = self.shared.lock()?;
        state.usable()?;
        let record = state.writer.push(&draft).map_err(|error| state.poison(error))?;
        if class != Class::Routine || state.writer.batch_is_large() {
            state.writer.commit().map_err(|error| state.poison(error))?;
        }
        self.shared.touch(&mut state);
        Ok(Written { record })
    }

    /// As `begin`, for records that came together: they share one write, and one commit mark behind all of them.
    ///
    /// # Errors
    /// As `begin`, for each of them. Where the write fails none of them was taken.
    pub fn begin_all(&self, records: Vec<Result<Value>>) -> Vec<Result<Written>> {
        let drafted = |record: Result<Value>| record.and_then(|record| Draft::new(record, &self.shared.options.session));
        let drafts: Vec<Result<Draft>> = records.into_iter().map(drafted).collect();
        let mut state = match self.shared.lock().and_then(|state| state.usable().map(|()| state)) {
            Ok(state) => state,
            Err(why) => return drafts.into_iter().map(|draft| draft.and(Err(why.clone()))).collect(),
        };
        let written: Vec<Result<Written>> = drafts.into_iter().map(|draft| state.push(&draft?)).collect();
        if let Err(why) = state.writer.commit().map_err(|error| state.poison(error)) {
            return written.into_iter().map(|written| written.and(Err(why.clone()))).collect();
        }
        self.shared.touch(&mut state);
        written
    }

    /// Waits until the records up to and including `record` are on the disk.
    ///
    /// # Errors
    /// The sync failed, now or earlier.
    pub fn sync(&self, record: u64) -> Result<()> {
        self.shared.sync_through(record + 1)
    }

    /// Counts a routine act; the counts become a `routine` record within 50 ms.
    pub fn count(&self, verb: &str, decision: &str, rule: &str) {
        if self.shared.tally.count(verb, decision, rule, || self.now()) {
            self.shared.wake();
        }
    }

    /// Notes how the action of `record` ended, to be written with the next `routine` record.
    pub fn effect(&self, record: u64, ended: Ended) {
        let (first, full) = self.shared.tally.effect(record, ended, || self.now());
        if first {
            self.shared.wake();
        }
        if full {
            let _ = self.shared.flush_tally();
        }
    }

    fn now(&self) -> String {
        rfc3339((self.shared.options.clock)().time_us)
    }

    /// Records taken so far and their root.
    ///
    /// # Errors
    /// A thread died while it held the log.
    pub fn head(&self) -> Result<(u64, Hash)> {
        Ok(self.shared.lock()?.writer.head())
    }

    /// The last checkpoint signed.
    ///
    /// # Errors
    /// A thread died while it held the log.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        Ok(self.shared.lock()?.writer.last_checkpoint().cloned())
    }

    /// Why nothing is taken any more, if so.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.shared.lock().map_or_else(Some, |state| state.poisoned.clone())
    }

    /// Closes the log: counts, `closing` (usually `session.closed`), a last checkpoint, its tiles, and the index. Later appends err.
    ///
    /// # Errors
    /// It was closed before; or something could not be written. The log is then as a killed writer leaves it.
    pub fn close(&self, closing: Option<Value>) -> Result<Checkpoint> {
        self.stop_flusher();
        self.shared.flush_tally()?;
        let draft = closing.map(|record| Draft::new(record, &self.shared.options.session)).transpose()?;
        let mut state = self.shared.lock()?;
        state.usable()?;
        if let Some(draft) = draft {
            state.writer.push(&draft).map_err(|error| state.poison(error))?;
        }
        let checkpoint = finish(&mut state.writer).map_err(|error| state.poison(error))?;
        state.closed = true;
        drop(state);
        if let Some(registration) = &self.registration {
            registration.closed(&checkpoint)?;
        }
        Ok(checkpoint)
    }

    fn stop_flusher(&self) {
        if let Ok(mut state) = self.shared.state.lock() {
            state.stopping = true;
        }
        self.shared.wake.notify_all();
        let handle = self.flusher.lock().ok().and_then(|mut flusher| flusher.take());
        if let Some(handle) = handle {
            let _ = handle.join();
        }
    }
}

impl Drop for Log {
    /// A log that is dropped without `close` keeps what it was given, but says nothing of an end.
    fn drop(&mut self) {
        self.stop_flusher();
        let _ = self.shared.flush_tally();
        let _ = self.shared.flush();
    }
}

impl State {
    fn usable(&self) -> Result<()> {
        match &self.poisoned {
            Some(error) => Err(error.clone()),
            None if self.closed => Err(Error::Closed),
            None => Ok(()),
        }
    }

    /// Takes a record into the batch, which is written out when it is large enough.
    fn push(&mut self, draft: &Draft) -> Result<Written> {
        self.usable()?;
        let pushed = self.writer.push(draft).and_then(|record| {
            let full = self.writer.batch_is_large();
            if full { self.writer.commit().map(|()| Written { record }) } else { Ok(Written { record }) }
        });
        pushed.map_err(|error| self.poison(error))
    }

    /// After a failure that leaves the file in doubt nothing more is taken. A full disk and a bad record leave it as it was.
    fn poison(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Full | Error::Record(_)) {
            let first = Error::Poisoned(error.to_string());
            self.poisoned.get_or_insert(if matches!(error, Error::Poisoned(_)) { error.clone() } else { first });
        }
        error
    }
}

impl Shared {
    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| Error::Poisoned("a thread died while it wrote the log".into()))
    }

    fn wake(&self) {
        // The lock orders this with the flusher's look at what waits, so that the wake is not lost.
        drop(self.state.lock());
        self.wake.notify_one();
    }

    fn touch(&self, state: &mut State) {
        state.unsigned = true;
        if !state.dirty {
            state.dirty = true;
            self.wake.notify_one();
        }
    }

    /// Waits until `records` are durable; syncs itself if nobody does, so that those who come meanwhile share the next sync.
    fn sync_through(&self, records: u64) -> Result<()> {
        let mut state = self.lock()?;
        loop {
            if state.synced >= records {
                return Ok(());
            }
            state.usable_for_sync()?;
            if state.syncing {
                state = self.synced.wait(state).map_err(|_| Error::Poisoned("a thread died while it wrote the log".into()))?;
                continue;
            }
            state = self.sync_once(state)?;
        }
    }

    /// One fdatasync of all that is written, without the lock.
    fn sync_once<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        state.writer.commit().map_err(|error| state.poison(error))?;
        let (file, target) = state.writer.unsynced();
        state.syncing = true;
        state.dirty = false;
        drop(state);
        let result = self.options.storage.sync(&file);
        let mut state = self.lock()?;
        state.syncing = false;
        match result.map_err(|error| Error::Poisoned(format!("syncing the log failed: {error}"))).and_then(|()| state.writer.in_place()) {
            Ok(()) => state.synced = state.synced.max(target),
            Err(error) => drop(state.poison(error)),
        }
        self.synced.notify_all();
        state.usable_for_sync()?;
        Ok(state)
    }

    fn flush_tally(&self) -> Result<()> {
        let now = rfc3339((self.options.clock)().time_us);
        let Some(record) = self.tally.take(now) else { return Ok(()) };
        let draft = Draft::new(record, &self.options.session)?;
        let mut state = self.lock()?;
        state.usable()?;
        if let Err(error) = state.writer.push(&draft) {
            state.writer.lose();
            return Err(state.poison(error));
        }
        self.touch(&mut state);
        Ok(())
    }

    /// Writes and syncs all that waits.
    fn flush(&self) -> Result<()> {
        let mut state = self.lock()?;
        state.usable()?;
        while state.syncing {
            state = self.synced.wait(state).map_err(|_| Error::Poisoned("a thread died while it wrote the log".into()))?;
        }
        self.sync_once(state).map(drop)
    }

    /// The flusher.
    fn run(&self) {
        let mut signed = Instant::now();
        while let Some(work) = self.wait(signed) {
            if matches!(work, Work::Flush) && !self.pause(FLUSH_AFTER) {
                return;
            }
            let _ = self.flush_tally();
            if self.flush().is_err() && self.failed() {
                return;
            }
            self.write_tiles();
            if signed.elapsed() >= SIGN_AFTER && self.sign(matches!(work, Work::Heartbeat)) {
                signed = Instant::now();
            }
        }
    }

    fn failed(&self) -> bool {
        self.lock().map_or(true, |state| state.poisoned.is_some() || state.closed)
    }

    /// Waits for something to do; none when the log is closing.
    fn wait(&self, signed: Instant) -> Option<Work> {
        let mut state = self.state.lock().ok()?;
        loop {
            if state.stopping || state.poisoned.is_some() {
                return None;
            }
            if state.dirty || self.tally.is_waiting() {
                return Some(Work::Flush);
            }
            let (limit, work) = if state.unsigned { (SIGN_AFTER, Work::Sign) } else { (HEARTBEAT, Work::Heartbeat) };
            let left = limit.saturating_sub(signed.elapsed());
            if left.is_zero() {
                return Some(work);
            }
            state = self.wake.wait_timeout(state, left).ok()?.0;
        }
    }

    /// Lets a batch gather. False when the log is closing.
    fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let Ok(mut state) = self.state.lock() else { return false };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.stopping || left.is_zero() {
                return !state.stopping;
            }
            state = match self.wake.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(_) => return false,
            };
        }
    }

    fn write_tiles(&self) {
        let Ok(mut state) = self.lock() else { return };
        let full = state.writer.take_full_tiles();
        drop(state);
        let Err(error) = tiles::write(&self.options.directory, &full) else { return };
        let Ok(mut state) = self.lock() else { return };
        if matches!(error, Error::Damaged { .. }) {
            drop(state.poison(error));
        } else {
            // A full disk: they are written when there is room again, at the latest when the log is closed.
            state.writer.put_back(full);
        }
    }

    /// Signs, syncs, publishes. True if it was done or there was nothing to do.
    fn sign(&self, heartbeat: bool) -> bool {
        let Ok(mut state) = self.lock() else { return true };
        if state.usable().is_err() || !(state.unsigned || heartbeat) {
            return true;
        }
        let checkpoint = match state.writer.checkpoint().map_err(|error| state.poison(error)) {
            Ok(checkpoint) => checkpoint,
            Err(_) => return true,
        };
        state.unsigned = false;
        drop(state);
        if self.flush().is_ok() {
            // A full disk keeps the old note in place; the log holds the new one.
            let _ = writer::Writer::publish(&self.options, &checkpoint);
        }
        true
    }
}

enum Work {
    Flush,
    Sign,
    Heartbeat,
}

impl State {
    fn usable_for_sync(&self) -> Result<()> {
        self.poisoned.clone().map_or(Ok(()), Err)
    }
}
