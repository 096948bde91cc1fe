//! Placing a compiled policy, for Python.

use crate::error::Fault;
use interlock_place::{Ground, place};
use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
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

/// Places the first `count` layers of a JSON list as a policy, and what follows beside it.
#[pyfunction]
#[pyo3(signature = (layers, count, *, root, stand_ins, lists, kept))]
fn place_policy(
    py: Python<'_>,
    layers: &str,
    count: usize,
    root: &str,
    stand_ins: Vec<(String, String)>,
    lists: Lists,
    kept: &str,
) -> Result<Placed, Fault> {
    let Lists { own, unsearched, worked_in, missing } = lists;
    let ground = Ground { root: root.into(), stand_ins, own, unsearched, worked_in, missing, kept: kept.into() };
    let placed = py.detach(|| place(layers, count, &ground)).map_err(Fault::Policy)?;
    Ok((placed.policy, placed.digest, placed.names, placed.aside, placed.warnings, placed.short))
}
