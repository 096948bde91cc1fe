//! The policy language as one table: verbs, the groups that stand for several, the selectors with what they take and which verbs they narrow,
//! and what may be said where one of a few words must stand.
//!
//! The engine refuses a selector by this table (`compile`); the loader's checks, the editor's schema and the reference page are made from what
//! [`table`] prints. Left out: what a selector matches (`selector`), and what only the loader knows (sets, variables, layers).

use crate::action::{Plane, Protocol, Side};
use crate::condition;
use crate::content::Format;
use crate::decision::{RecordClass, Says};
use crate::facts::{History, Origin};
use crate::verb::Verb;
use crate::{statements, steer};
use serde::Serialize;
use serde_json::{Value, json};

/// What a selector takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Takes {
    Patterns,
    /// Made by placing a policy on a machine; nobody writes it.
    Inodes,
    Addresses,
    Hosts,
    Flag,
    Ports,
    Protocols,
    Side,
    Signals,
    Command,
    Globs,
    Operations,
    Conditions,
    Sql,
    Keys,
}

/// A key that narrows a rule.
#[derive(Clone, Copy, Debug)]
pub struct Selector {
    /// As it is written.
    pub name: &'static str,
    /// What stands behind it.
    pub takes: Takes,
    narrows: fn(Verb) -> bool,
}

impl Selector {
    /// Whether acts with this verb have what it is held against.
    #[must_use]
    pub fn narrows(&self, verb: Verb) -> bool {
        (self.narrows)(verb)
    }
}

/// Every selector, in the order in which they are told.
pub const SELECTORS: &[Selector] = &[
    Selector { name: "path", takes: Takes::Patterns, narrows: has_path },
    Selector { name: "except", takes: Takes::Patterns, narrows: has_path },
    Selector { name: "except_within", takes: Takes::Patterns, narrows: has_path },
    Selector { name: "inodes", takes: Takes::Inodes, narrows: |verb| verb.is_file() || verb == Verb::ProcessExec },
    Selector { name: "keys", takes: Takes::Keys, narrows: |verb| verb.is_file() && verb != Verb::FileRead },
    Selector { name: "address", takes: Takes::Addresses, narrows: Verb::is_net },
    Selector { name: "host", takes: Takes::Hosts, narrows: has_host },
    Selector { name: "private", takes: Takes::Flag, narrows: leads },
    Selector { name: "port", takes: Takes::Ports, narrows: |verb| verb.is_net() || verb == Verb::KeyUse },
    Selector { name: "user", takes: Takes::Globs, narrows: |verb| verb == Verb::KeyUse },
    Selector { name: "protocol", takes: Takes::Protocols, narrows: Verb::is_net },
    Selector { name: "to", takes: Takes::Side, narrows: has_peer },
    Selector { name: "signal", takes: Takes::Signals, narrows: |verb| verb == Verb::ProcessSignal },
    Selector { name: "command", takes: Takes::Command, narrows: |verb| verb == Verb::ProcessExec },
    Selector { name: "connector", takes: Takes::Globs, narrows: Verb::is_gateway },
    Selector { name: "tool", takes: Takes::Globs, narrows: Verb::is_gateway },
    Selector { name: "operation", takes: Takes::Operations, narrows: |verb| verb == Verb::ToolCall },
    Selector { name: "arguments", takes: Takes::Conditions, narrows: |verb| verb == Verb::ToolCall },
    Selector { name: "answers", takes: Takes::Conditions, narrows: has_answers },
    Selector { name: "sql", takes: Takes::Sql, narrows: |verb| verb == Verb::ToolCall },
];

/// Whether acts with this verb are upon an object that was made by somebody (`when: {origin: …}`).
fn has_origin(verb: Verb) -> bool {
    has_path(verb)
}

fn has_path(verb: Verb) -> bool {
    verb.is_file() || matches!(verb, Verb::ProcessExec | Verb::UnixConnect)
}

/// A server may ask its client on the way to an answer.
fn has_answers(verb: Verb) -> bool {
    matches!(verb, Verb::ToolCall | Verb::ResourceRead | Verb::PromptGet)
}

/// A name is asked for on the way to somewhere; what is bound or listened on has none. A key is used at a host.
fn has_host(verb: Verb) -> bool {
    leads(verb) || verb == Verb::KeyUse
}

/// Whether a name leads to an address.
fn leads(verb: Verb) -> bool {
    matches!(verb, Verb::NetConnect | Verb::NetSend)
}

/// What is bound or listened on is always told as outside, so `to` would say nothing there.
fn has_peer(verb: Verb) -> bool {
    matches!(verb, Verb::ProcessSignal | Verb::ProcessPtrace | Verb::NetConnect | Verb::NetSend | Verb::UnixConnect)
}

/// The classes of operation that a tool may have.
pub const OPERATIONS: &[&str] = &["read", "write", "delete", "export", "execute", "admin"];

/// The keys of `command`.
const COMMAND_KEYS: &[&str] = &["program", "words", "any_flag"];

/// Words that stand for several verbs, and which.
fn groups() -> Value {
    let of = |belongs: fn(Verb) -> bool| json!(Verb::ALL.iter().filter(|verb| belongs(**verb)).collect::<Vec<_>>());
    json!({
        "file.*": of(Verb::is_file),
        "file.change": of(|verb| verb.is_file() && verb != Verb::FileRead),
        "process.*": of(|verb| verb.name().starts_with("process.")),
        "net.*": of(Verb::is_net),
        "unix.*": of(|verb| verb.name().starts_with("unix.")),
        "key.*": of(|verb| verb == Verb::KeyUse),
        "tool.*": of(|verb| verb.name().starts_with("tool.")),
        "resource.*": of(|verb| verb == Verb::ResourceRead),
        "prompt.*": of(|verb| verb == Verb::PromptGet),
        "log.*": of(|verb| verb == Verb::LogLevel),
    })
}

/// The whole table, for whoever reads or writes policies.
#[must_use]
pub fn table() -> Value {
    let on = |plane: Plane| Verb::ALL.iter().filter(|verb| verb.plane() == plane).collect::<Vec<_>>();
    let narrowed = |selector: &Selector| Verb::ALL.iter().filter(|verb| selector.narrows(**verb)).collect::<Vec<_>>();
    let selectors = SELECTORS.iter().map(|selector| json!({"name": selector.name, "takes": selector.takes, "verbs": narrowed(selector)}));
    let steers = steer::KINDS.iter().map(|kind| json!({"name": kind.name, "verbs": kind.verbs().collect::<Vec<_>>()}));
    json!({
        "decisions": [Says::Allow, Says::Deny, Says::Approve, Says::Steer],
        "verbs": {"host": on(Plane::Host), "gateway": on(Plane::Gateway)},
        "groups": groups(),
        "selectors": selectors.collect::<Vec<_>>(),
        "steers": steers.collect::<Vec<_>>(),
        "changes": steer::CHANGES,
        "masks": [steer::CREDENTIALS],
        "records": [RecordClass::Routine, RecordClass::Ordered, RecordClass::Durable],
        "protocols": [Protocol::Tcp, Protocol::Udp],
        "sides": [Side::Inside, Side::Outside],
        "origins": {"words": [Origin::Before, Origin::Session], "verbs": Verb::ALL.iter().filter(|verb| has_origin(**verb)).collect::<Vec<_>>()},
        "histories": {
            "words": [History::Tracked, History::Session, History::None],
            "verbs": Verb::ALL.iter().filter(|verb| verb.is_file()).collect::<Vec<_>>(),
        },
        "operations": OPERATIONS,
        "command_keys": COMMAND_KEYS,
        "condition_tests": condition::TESTS,
        "sql_keys": statements::KEYS,
        "formats": Format::ALL,
    })
}
