//! The one map from Rust's errors to Python's exceptions. Each kind says what was refused; the message says why.

use interlock_ledger::Error;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(interlock._native, NativeError, PyException, "What the native side refused or could not do.");
create_exception!(interlock._native, PolicyError, NativeError, "A compiled policy that is not one.");
create_exception!(interlock._native, ActionError, NativeError, "An Action that is not one.");
create_exception!(interlock._native, FactsError, NativeError, "Facts that are not such.");
create_exception!(interlock._native, PatternError, NativeError, "A pattern that is not one.");
create_exception!(interlock._native, LedgerError, NativeError, "The ledger did not take it: the action is denied.");
create_exception!(interlock._native, LedgerFull, LedgerError, "The disk is full; denials are still taken.");
create_exception!(interlock._native, LedgerDamaged, LedgerError, "The log is not what its writer left.");

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let python = module.py();
    module.add("NativeError", python.get_type::<NativeError>())?;
    module.add("PolicyError", python.get_type::<PolicyError>())?;
    module.add("ActionError", python.get_type::<ActionError>())?;
    module.add("FactsError", python.get_type::<FactsError>())?;
    module.add("PatternError", python.get_type::<PatternError>())?;
    module.add("LedgerError", python.get_type::<LedgerError>())?;
    module.add("LedgerFull", python.get_type::<LedgerFull>())?;
    module.add("LedgerDamaged", python.get_type::<LedgerDamaged>())
}

/// What the ledger's writer said, as Python hears it.
pub(crate) fn raised(error: &Error) -> PyErr {
    match error {
        Error::Full => LedgerFull::new_err(error.to_string()),
        Error::Damaged { .. } | Error::Inconsistent(_) => LedgerDamaged::new_err(error.to_string()),
        _ => LedgerError::new_err(error.to_string()),
    }
}
