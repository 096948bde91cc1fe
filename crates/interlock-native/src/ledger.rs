//! The ledger's writer for Python: records as JSON text, waiting without the interpreter's lock, and an eventfd for an event loop.

use crate::error::Fault;
use interlock_ledger::{Class, Ended, Error, Index, Keys, Log as Writer, Written, open_session, recover, verifier_key};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyDict;
use serde_json::Value;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Records taken from the queue at once, so that they share one sync.
const TOGETHER_MAX: usize = 512;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Log>()?;
    module.add_function(wrap_pyfunction!(ensure_keys, module)?)?;
    module.add_function(wrap_pyfunction!(index_head, module)?)?;
    module.add_function(wrap_pyfunction!(recover_ledger, module)?)
}

fn class(name: &str) -> Result<Class, Fault> {
    match name {
        "routine" => Ok(Class::Routine),
        "ordered" => Ok(Class::Ordered),
        "durable" => Ok(Class::Durable),
        other => Err(Fault::Class(other.into())),
    }
}

fn parsed(json: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(json).map_err(|error| Error::Record(error.to_string()))
}

/// A record on its way, as text, and how it ended: its number, or why not.
type Submitted = (u64, Vec<u8>, Class);
type Completed = (u64, Result<u64, Error>);

/// A log open for writing.
#[pyclass(frozen, module = "interlock._native")]
struct Log {
    writer: Arc<Writer>,
    queue: Mutex<Option<(Sender<Vec<Submitted>>, u64)>>,
    done: Arc<Mutex<Vec<Completed>>>,
    event: Arc<OwnedFd>,
}

#[pymethods]
impl Log {
    /// Opens a fresh log and enters it into the index.
    #[staticmethod]
    fn open(py: Python<'_>, directory: PathBuf, name: &str, index: PathBuf, keys: PathBuf) -> Result<Self, Fault> {
        let opened = py.detach(|| {
            let keys = Keys::ensure(&keys, Some(&index))?;
            open_session(&directory, name, &index, &keys)
        });
        let writer = Arc::new(opened?);
        let (sender, receiver) = channel();
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK)
            .map_err(std::io::Error::from)?;
        let (event, done) = (Arc::new(event), Arc::new(Mutex::new(Vec::new())));
        let worker = Worker { writer: Arc::clone(&writer), done: Arc::clone(&done), event: Arc::clone(&event) };
        std::thread::Builder::new().name("ledger-submit".into()).spawn(move || worker.run(&receiver))?;
        Ok(Self { writer, queue: Mutex::new(Some((sender, 0))), done, event })
    }

    /// Appends and waits as the class says. Returns the record's number.
    fn append(&self, py: Python<'_>, json: &str, class_name: &str) -> Result<u64, Fault> {
        let class = class(class_name)?;
        let written = py.detach(|| self.writer.append(parsed(json.as_bytes())?, class));
        Ok(written?.record)
    }

    /// Queues records, each with the name of its class, which share one sync. Returns the ticket of the first; the others have those that
    /// follow. `completed` tells how they ended once `fileno` is readable.
    fn submit(&self, records: Vec<(PyBackedBytes, PyBackedStr)>) -> Result<u64, Fault> {
        let classes = records.iter().map(|(_, name)| class(name)).collect::<Result<Vec<Class>, Fault>>()?;
        let mut guard = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((sender, last)) = guard.as_mut() else { return Err(Error::Closed.into()) };
        let first = *last + 1;
        let numbered = (first..).zip(records.iter().zip(classes)).map(|(ticket, ((json, _), class))| (ticket, json.to_vec(), class));
        let together: Vec<Submitted> = numbered.collect();
        *last += together.len() as u64;
        sender.send(together).map_err(|_| Error::Closed)?;
        Ok(first)
    }

    /// The eventfd that is readable when something has completed.
    fn fileno(&self) -> i32 {
        self.event.as_raw_fd()
    }

    /// What has completed since the last call: ticket, then the record's number or an error.
    fn completed(&self, py: Python<'_>) -> Vec<(u64, Py<PyAny>)> {
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
        let done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        let told = |result: Result<u64, Error>| match result {
            Ok(record) => record.into_pyobject(py).map(|number| number.into_any().unbind()).map_err(PyErr::from),
            Err(error) => Ok(PyErr::from(Fault::from(error)).into_value(py).into_any()),
        };
        done.into_iter().filter_map(|(ticket, result)| told(result).ok().map(|value| (ticket, value))).collect()
    }

    /// Counts a routine act.
    fn count(&self, verb: &str, decision: &str, rule: &str) {
        self.writer.count(verb, decision, rule);
    }

    /// Notes how a recorded action ended.
    fn effect(&self, record: u64, errno: i32) {
        self.writer.effect(record, Ended::Errno(errno));
    }

    /// Size and root (hex) now.
    fn head(&self) -> Result<(u64, String), Fault> {
        let (size, root) = self.writer.head()?;
        Ok((size, hex(&root)))
    }

    /// Closes the log, with a last record if given, and enters its end into the index. Returns the size and root (hex) signed.
    #[pyo3(signature = (closing=None))]
    fn close(&self, py: Python<'_>, closing: Option<&str>) -> Result<(u64, String), Fault> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let checkpoint = py.detach(|| self.writer.close(closing.map(|json| parsed(json.as_bytes())).transpose()?))?;
        Ok((checkpoint.size, hex(&checkpoint.root)))
    }
}

/// Takes what is queued, writes all of it, and syncs once.
struct Worker {
    writer: Arc<Writer>,
    done: Arc<Mutex<Vec<Completed>>>,
    event: Arc<OwnedFd>,
}

impl Worker {
    fn run(&self, receiver: &Receiver<Vec<Submitted>>) {
        while let Ok(mut batch) = receiver.recv() {
            while batch.len() < TOGETHER_MAX {
                let Ok(more) = receiver.try_recv() else { break };
                batch.extend(more);
            }
            let ended = self.write(batch);
            self.done.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    fn write(&self, batch: Vec<Submitted>) -> Vec<Completed> {
        let (tickets, texts): (Vec<(u64, Class)>, Vec<Vec<u8>>) =
            batch.into_iter().map(|(ticket, text, class)| ((ticket, class), text)).unzip();
        let written = self.writer.begin_all(texts.iter().map(|text| parsed(text)).collect());
        let each = || tickets.iter().zip(&written);
        let last = each().filter(|((_, class), _)| *class == Class::Durable).filter_map(|(_, written)| written.as_ref().ok()).next_back();
        let synced = last.map_or(Ok(()), |written| self.writer.sync(written.record));
        let outcome = |((ticket, class), written): (&(u64, Class), &Result<Written, Error>)| match &synced {
            Err(why) if *class == Class::Durable && written.is_ok() => (*ticket, Err(why.clone())),
            _ => (*ticket, written.clone().map(|written| written.record)),
        };
        each().map(outcome).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the keys if there never were any. Returns their ids and the verifier key of `name`.
#[pyfunction]
#[pyo3(signature = (directory, index=None, name="index"))]
fn ensure_keys<'py>(py: Python<'py>, directory: PathBuf, index: Option<PathBuf>, name: &str) -> Result<Bound<'py, PyDict>, Fault> {
    let keys = py.detach(|| Keys::ensure(&directory, index.as_deref()))?;
    let found = PyDict::new(py);
    found.set_item("key", keys.id())?;
    found.set_item("auditor", keys.auditor_id())?;
    found.set_item("origin", keys.origin(name))?;
    found.set_item("verifier_key", verifier_key(&keys.origin(name), &keys.signing.verifying_key()))?;
    Ok(found)
}

/// Size and root of the index, as JSON.
#[pyfunction]
fn index_head(py: Python<'_>, index: PathBuf, keys: PathBuf) -> Result<String, Fault> {
    py.detach(|| Ok(Index::lock(&index, &Keys::ensure(&keys, Some(&index))?)?.head().to_string()))
}

/// Completes the logs whose writer is gone. Returns (log, orphaned decisions completed, error or None) for each.
#[pyfunction]
fn recover_ledger(py: Python<'_>, ledger: PathBuf, keys: PathBuf) -> Result<Vec<(String, u64, Option<String>)>, Fault> {
    let found = py.detach(|| recover(&ledger, &Keys::ensure(&keys, Some(&ledger.join("index")))?))?;
    let told = found.into_iter().map(|log| match log.outcome {
        Ok(orphans) => (log.name, orphans, None),
        Err(error) => (log.name, 0, Some(error.to_string())),
    });
    Ok(told.collect())
}
