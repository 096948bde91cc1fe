//! Python face of the engine, of placing a policy, of the ledger writer and of one call to the kernel, `interlock._native`: conversions and one error map, nothing else.
//!
//! `src/interlock/_native.pyi` mirrors it.

mod engine;
mod error;
mod ledger;
mod orphans;
mod place;

use pyo3::prelude::*;

/// The module. Each part registers its own names.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::register(module)?;
    engine::register(module)?;
    ledger::register(module)?;
    place::register(module)?;
    orphans::register(module)
}
