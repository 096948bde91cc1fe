//! Rego for Python, by regorus' interpreter. A module of its own, loaded by the process that evaluates and by nothing else: whatever goes
//! wrong in here (a panic, a stack that overflows, memory that runs out) ends that process, and who asked it denies.
//!
//! Held here: errors of builtins are errors, the time of one evaluation, panics. Left out: memory and processor time (the process's own
//! limits), which builtins a policy may use (`src/interlock/rego/builtins.py`), and what an answer means (`findings.py`).
#![forbid(unsafe_code)]

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

create_exception!(_rego, RegoError, PyException, "It could not be loaded or evaluated; the message says why.");

/// Work units between two looks at the clock.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::MIN;

/// Modules, ready to be evaluated.
#[pyclass(unsendable, module = "interlock._rego")]
struct Rego {
    engine: Engine,
}

#[pymethods]
impl Rego {
    /// Modules as (name, text), the data document as JSON, and the time of one evaluation. `v0`: Rego as before OPA 1.0.
    #[new]
    #[pyo3(signature = (modules, *, data, time_ms, v0))]
    fn new(modules: Vec<(String, String)>, data: &str, time_ms: u64, v0: bool) -> PyResult<Self> {
        caught(|| {
            let mut engine = Engine::new();
            engine.set_rego_v0(v0);
            engine.set_strict_builtin_errors(true);
            engine.set_execution_timer_config(ExecutionTimerConfig { limit: Duration::from_millis(time_ms), check_interval: CHECK_EVERY });
            for (name, text) in modules {
                engine.add_policy(name, text).map_err(|error| error.to_string())?;
            }
            engine.add_data_json(data).map_err(|error| error.to_string())?;
            Ok(Self { engine })
        })
    }

    /// The value of one rule for an input, as JSON; None where it is undefined.
    fn value(&mut self, rule: &str, input: &str) -> PyResult<Option<String>> {
        caught(|| {
            self.engine.set_input(Value::from_json_str(input).map_err(|error| error.to_string())?);
            let value = self.engine.eval_rule(rule.to_owned()).map_err(|error| error.to_string())?;
            if value == Value::Undefined {
                return Ok(None);
            }
            serde_json::to_string(&value).map(Some).map_err(|error| error.to_string())
        })
    }

    /// The syntax trees of its modules, as JSON.
    fn trees(&self) -> PyResult<String> {
        caught(|| self.engine.get_ast_as_json().map_err(|error| error.to_string()))
    }
}

/// What the work gives. A panic is an error as well: the process that holds this is then thrown away.
fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(why)) => Err(RegoError::new_err(why)),
        Err(_) => Err(RegoError::new_err("the evaluator failed")),
    }
}

/// Registers the class and its error.
#[pymodule]
fn _rego(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Rego>()?;
    module.add("RegoError", module.py().get_type::<RegoError>())
}
