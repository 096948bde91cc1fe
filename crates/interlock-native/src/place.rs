//! Placing a compiled policy, for Python: in a thread of its own, since Python has other things to do meanwhile.

use crate::error::Fault;
use interlock_place::{Begun, Ground, place, place_walked};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex};
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
    place: Mutex<Option<Place>>,
}

type PlacedOrWhy = Result<interlock_place::Placed, String>;

enum Place {
    Begun(JoinHandle<PlacedOrWhy>),
    /// No thread was to be had: it is placed when it is asked for.
    Asked(Arc<(String, Ground)>, usize),
}

#[pymethods]
impl Placing {
    /// Waits until it is placed. Asked once.
    fn placed(&self, py: Python<'_>) -> Result<Placed, Fault> {
        let outcome = match self.place.lock().ok().and_then(|mut place| place.take()) {
            Some(Place::Begun(thread)) => py.detach(|| thread.join()).unwrap_or_else(|_| Err("the policy was not placed".into())),
            Some(Place::Asked(asked, count)) => py.detach(|| place(&asked.0, count, &asked.1)),
            None => Err("what was placed was taken already".into()),
        };
        let placed = outcome.map_err(Fault::Policy)?;
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
) -> Placing {
    let Lists { own, unsearched, worked_in, missing } = lists;
    let ground = Ground { root: root.into(), stand_ins, own, unsearched, worked_in, missing, kept: kept.into() };
    let begun = walk.and_then(|walk| walk.get().begun.lock().ok()?.take());
    let asked = Arc::new((layers, ground));
    let theirs = Arc::clone(&asked);
    let thread = Builder::new().name("placing".into()).spawn(move || place_walked(&theirs.0, count, &theirs.1, begun));
    let place = thread.map_or(Place::Asked(asked, count), Place::Begun);
    Placing { place: Mutex::new(Some(place)) }
}
