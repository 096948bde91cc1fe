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

/// Why the native side did not do it. Every function of the module fails with one of these, and nothing else becomes an exception.
pub(crate) enum Fault {
    Policy(String),
    Action(String),
    Facts(String),
    Pattern(String),
    /// What the engine answered cannot be written as JSON, or a text that is no kind of the above is not JSON.
    Text(String),
    Ledger(Error),
    /// Not a class of records.
    Class(String),
    Host(std::io::Error),
    /// Python itself, while a result was made.
    Python(PyErr),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ledger(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Host(error)
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Policy(why) => PolicyError::new_err(why),
            Fault::Action(why) => ActionError::new_err(why),
            Fault::Facts(why) => FactsError::new_err(why),
            Fault::Pattern(why) => PatternError::new_err(why),
            Fault::Text(why) => NativeError::new_err(why),
            Fault::Class(name) => LedgerError::new_err(format!("`{name}` is not a record class")),
            Fault::Ledger(error @ Error::Full) => LedgerFull::new_err(error.to_string()),
            Fault::Ledger(error @ (Error::Damaged { .. } | Error::Inconsistent(_))) => LedgerDamaged::new_err(error.to_string()),
            Fault::Ledger(error) => LedgerError::new_err(error.to_string()),
            Fault::Host(error) => error.into(),
            Fault::Python(error) => error,
        }
    }
}
