//! Adopting what is left of a session, for `interlock run`.

use crate::error::Fault;
use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(adopt_orphans, module)?)
}

/// From now on the kernel gives descendants whose parents ended to this process (PR_SET_CHILD_SUBREAPER, prctl(2)).
#[pyfunction]
fn adopt_orphans() -> Result<(), Fault> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(std::io::Error::from)?)
}
