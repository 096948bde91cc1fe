//! Placing a compiled policy, for Python: in a thread of its own, since Python has other things to do meanwhile.

use crate::error::Fault;
use interlock_place::{Begun, Ground, place_walked};
use pyo3::prelude::*;
use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Walk>()?;
    module.add_class::<Placing>()?;
    module.add_function(wrap_pyfunction!(begin_walk, module)?)?;
    module.add_function(wrap_pyfunction!(place_policy, module)?)
}

/// What is left of a policy's load: text, digest, names of the layers, layers aside, warnings, rules not enforced whole.
type Placed = (String, String, Vec<String>, String, Vec<String>, String);

/// Lists of folders and names, as `interlock_place::Ground` has them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Lists {
    own: Vec<String>,
    unsearched: Vec<String>,
    worked_in: Vec<String>,
    missing: Vec<String>,
}

/// A walk of a workspace that was begun. Given to one placing.
#[pyclass(frozen, module = "interlock._native")]
struct Walk {
    begun: Mutex<Option<Begun>>,
}

/// Begins to walk a workspace, before it is known which policy is to be placed there.
#[pyfunction]
#[pyo3(signature = (workspace, *, root, kept))]
fn begin_walk(workspace: &str, root: &str, kept: &str) -> Walk {
    Walk { begun: Mutex::new(Begun::of(workspace, root.as_ref(), kept.as_ref())) }
}

/// A policy that is being placed.
#[pyclass(frozen, module = "interlock._native")]
struct Placing {
    thread: Mutex<Option<JoinHandle<Result<interlock_place::Placed, String>>>>,
}

#[pymethods]
impl Placing {
    /// Waits until it is placed. Asked once.
    fn placed(&self, py: Python<'_>) -> Result<Placed, Fault> {
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        let thread = thread.ok_or_else(|| Fault::Policy("what was placed was taken already".into()))?;
        let ended = py.detach(|| thread.join()).map_err(|_| Fault::Policy("the policy was not placed".into()))?;
        let placed = ended.map_err(Fault::Policy)?;
        Ok((placed.policy, placed.digest, placed.names, placed.aside, placed.warnings, placed.short))
    }
}

/// Begins to place the first `count` layers of a JSON list as a policy, and what follows beside it.
#[pyfunction]
#[pyo3(signature = (layers, count, *, root, stand_ins, lists, kept, walk))]
fn place_policy(
    layers: String,
    count: usize,
    root: &str,
    stand_ins: Vec<(String, String)>,
    lists: Lists,
    kept: &str,
    walk: Option<&Bound<'_, Walk>>,
) -> Result<Placing, Fault> {
    let Lists { own, unsearched, worked_in, missing } = lists;
    let ground = Ground { root: root.into(), stand_ins, own, unsearched, worked_in, missing, kept: kept.into() };
    let begun = walk.and_then(|walk| walk.get().begun.lock().ok()?.take());
    let thread = Builder::new().name("placing".into()).spawn(move || place_walked(&layers, count, &ground, begun))?;
    Ok(Placing { thread: Mutex::new(Some(thread)) })
}
