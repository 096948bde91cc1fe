//! Placing a compiled policy, for Python.

use crate::error::Fault;
use interlock_place::{Ground, place};
use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(place_policy, module)?)
}

/// What is left of a policy's load: text, digest, names of the layers, layers aside, warnings.
type Placed = (String, String, Vec<String>, String, Vec<String>);

/// Places the first `count` layers of a JSON list as a policy, and what follows beside it.
#[pyfunction]
#[pyo3(signature = (layers, count, *, root, stand_ins, own, unsearched))]
fn place_policy(
    py: Python<'_>,
    layers: &str,
    count: usize,
    root: &str,
    stand_ins: Vec<(String, String)>,
    own: Vec<String>,
    unsearched: Vec<String>,
) -> Result<Placed, Fault> {
    let ground = Ground { root: root.into(), stand_ins, own, unsearched };
    let placed = py.detach(|| place(layers, count, &ground)).map_err(Fault::Policy)?;
    Ok((placed.policy, placed.digest, placed.names, placed.aside, placed.warnings))
}
