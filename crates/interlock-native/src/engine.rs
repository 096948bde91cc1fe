//! The engine for Python: JSON in, JSON out, as `spec/action.md` and `spec/policy.md` have it.

use crate::error::Fault;
use interlock_core::action::{Action, Bytes};
use interlock_core::decide::decide;
use interlock_core::decision::Decision;
use interlock_core::facts::Facts;
use interlock_core::host::{self, HostPattern};
use interlock_core::pattern::Pattern;
use interlock_core::peer_text::{self, Bounds, EXACT_MAX};
use interlock_core::plan::{Plan, PlanAnswer};
use interlock_core::verb::Verb;
use interlock_core::{digest, json, language, plain, policy};
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::net::IpAddr;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Policy>()?;
    module.add_function(wrap_pyfunction!(action_digest, module)?)?;
    module.add_function(wrap_pyfunction!(canonical, module)?)?;
    module.add_function(wrap_pyfunction!(policy_language, module)?)?;
    module.add_function(wrap_pyfunction!(match_pattern, module)?)?;
    module.add_function(wrap_pyfunction!(host_name, module)?)?;
    module.add_function(wrap_pyfunction!(host_pattern, module)?)?;
    module.add_function(wrap_pyfunction!(is_public, module)?)?;
    module.add_function(wrap_pyfunction!(peer_text_fault, module)?)
}

/// Grants, risk, places of labels, origin, layers whose Rego is heard.
type Asked = (bool, bool, Vec<String>, bool, Vec<String>);

/// A compiled policy.
#[pyclass(frozen, module = "interlock._native")]
struct Policy {
    policy: policy::Policy,
    plan: Plan,
}

#[pymethods]
impl Policy {
    #[new]
    fn new(py: Python<'_>, json: &str) -> Result<Self, Fault> {
        py.detach(|| {
            let policy = policy::Policy::from_json(json).map_err(|error| Fault::Policy(error.to_string()))?;
            if let Some(key) = policy.resources().asked() {
                return Err(Fault::Policy(format!("`{key}` is not enforced here")));
            }
            Ok(Self { plan: Plan::compile(&policy), policy })
        })
    }

    /// `sha256:…`
    #[getter]
    fn digest(&self) -> &str {
        self.policy.digest()
    }

    /// Whether every act with this verb is allowed, and no rule wants anything of it.
    fn is_plain(&self, verb: &str) -> Result<bool, Fault> {
        let verb = Verb::parse(verb).ok_or_else(|| Fault::Action(format!("unknown verb `{verb}`")))?;
        Ok(plain::is_plain(&self.policy, verb))
    }

    /// Whether nothing that a message is sent to can matter: then sendmsg and sendmmsg are not trapped.
    #[getter]
    fn sends_are_plain(&self) -> bool {
        plain::sends_are_plain(&self.policy)
    }

    /// The Decision on one Action, as JSON.
    #[pyo3(signature = (action_json, facts_json=None))]
    fn decide(&self, py: Python<'_>, action_json: &str, facts_json: Option<&str>) -> Result<String, Fault> {
        py.detach(|| {
            let facts = facts_json.map_or(Ok(Facts::default()), facts)?;
            written(&decide(&self.policy, &action(action_json)?, &facts))
        })
    }

    /// Which Facts the rules that touch one Action ask for: grants (and with them the clock), risk, places of labels, origin, layers whose Rego is heard. Without any,
    /// no Fact can change the answer.
    fn needs(&self, py: Python<'_>, action_json: &str) -> Result<Asked, Fault> {
        py.detach(|| {
            let needs = self.plan.needs(&action(action_json)?);
            Ok((needs.grants, needs.risk, needs.labels.into_iter().collect(), needs.origin, needs.findings.into_iter().collect()))
        })
    }

    /// Found by the index, which `decide` does without: one Decision a line for one `{"action": …, "facts": …}` a line. The first line that is not one is an error.
    fn decide_many(&self, py: Python<'_>, lines: Vec<String>) -> Result<Vec<String>, Fault> {
        py.detach(|| lines.iter().map(|line| self.decide_line(line)).collect())
    }

    /// What the Plan says of one Action: a Decision as JSON, or None when Facts are needed.
    fn plan_answer(&self, py: Python<'_>, action_json: &str) -> Result<Option<String>, Fault> {
        py.detach(|| match self.plan.answer(&action(action_json)?) {
            PlanAnswer::Answer(decision) => written(&decision).map(Some),
            PlanAnswer::Ask => Ok(None),
        })
    }
}

impl Policy {
    fn decide_line(&self, line: &str) -> Result<String, Fault> {
        let (action, facts) = request(line)?;
        written(&self.plan.decide(&action, &facts))
    }
}

fn request(line: &str) -> Result<(Action, Facts), Fault> {
    let value = json::parse(line).map_err(Fault::Action)?;
    let Value::Object(mut object) = value else { return Err(Fault::Action("a line is an object with `action` and `facts`".into())) };
    let action = object.remove("action").ok_or_else(|| Fault::Action("a line without `action`".into()))?;
    let facts = object.remove("facts").unwrap_or(json!({}));
    if let Some((key, _)) = object.iter().next() {
        return Err(Fault::Action(format!("unknown key `{key}`; a line has `action` and `facts`")));
    }
    Ok((Action::from_value(action).map_err(Fault::Action)?, Facts::from_value(facts).map_err(Fault::Facts)?))
}

fn action(json: &str) -> Result<Action, Fault> {
    Action::from_json(json).map_err(Fault::Action)
}

fn facts(json: &str) -> Result<Facts, Fault> {
    Facts::from_json(json).map_err(Fault::Facts)
}

fn written(decision: &Decision) -> Result<String, Fault> {
    serde_json::to_string(decision).map_err(|error| Fault::Text(error.to_string()))
}

/// The digest of an Action, as a Grant names it.
#[pyfunction]
fn action_digest(json: &str) -> Result<String, Fault> {
    Ok(digest::action_digest(&action(json)?))
}

/// The RFC 8785 form of a JSON text.
#[pyfunction]
fn canonical(json: &str) -> Result<String, Fault> {
    json::parse(json).map(|value| json::canonical(&value)).map_err(Fault::Text)
}

/// The table of the policy language, as JSON.
#[pyfunction]
fn policy_language() -> String {
    language::table().to_string()
}

/// Whether a path pattern matches an absolute clean path.
#[pyfunction]
fn match_pattern(pattern: &str, path: &[u8]) -> Result<bool, Fault> {
    let pattern = Pattern::compile(&Bytes::from(pattern)).map_err(Fault::Pattern)?;
    Ok(pattern.matches(path))
}

/// A host's name in its one spelling.
#[pyfunction]
fn host_name(name: &str) -> Result<String, Fault> {
    host::canonical(name).map_err(|why| Fault::Pattern(why.to_owned()))
}

/// A pattern of host names in its one spelling.
#[pyfunction]
fn host_pattern(pattern: &str) -> Result<String, Fault> {
    HostPattern::parse(pattern).map(|pattern| pattern.text()).map_err(|why| Fault::Pattern(why.to_owned()))
}

/// Whether a name may lead to this address without a rule that says `private: true`.
#[pyfunction]
fn is_public(address: IpAddr) -> bool {
    host::is_public(address)
}

/// Why a JSON text of a peer is not read, or None; `exact` where its integers have to be such as every reader holds.
#[pyfunction]
#[pyo3(signature = (text, *, depth_max, items_max, exact))]
fn peer_text_fault(text: &[u8], depth_max: usize, items_max: usize, exact: bool) -> Option<String> {
    peer_text::fault(text, Bounds { depth_max, items_max, integer_max: exact.then_some(EXACT_MAX) })
}
