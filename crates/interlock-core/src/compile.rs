//! From the compiled policy's JSON shapes to typed rules, refusing whatever could not mean what it says.

use crate::bytes::Bytes;
use crate::command::{Command, Program};
use crate::condition::{Condition, Test};
use crate::decision::{Obligations, Says};
use crate::excepted::Excepted;
use crate::glob::Glob;
use crate::host::{HostPattern, Hosts};
use crate::json;
use crate::keys::Keys;
use crate::network::Block;
use crate::pattern::Pattern;
use crate::patterns::Patterns;
use crate::rules::{LAYERS_MAX, Layer, LayerOrigin, PATTERNS_MAX, PolicyError, RULES_MAX, Rule, TIMEOUT_MS_DEFAULT};
use crate::selector::Selectors;
use crate::statements::Statements;
use crate::target::{Protocol, SIGNAL_MAX};
use crate::verb::Verb;
use crate::{facts, wire};
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn layers(policy: wire::Policy) -> Result<Vec<Layer>, PolicyError> {
    if policy.interlock != 1 {
        return Err(PolicyError::new(format!("`interlock: {}` is not a version this engine reads; it reads 1", policy.interlock)));
    }
    check_limits(&policy)?;
    let mut names = BTreeSet::new();
    let mut layers = Vec::with_capacity(policy.layers.len());
    for layer in policy.layers {
        if !names.insert(layer.name.clone()) {
            return Err(PolicyError::at(&layer.name, "two layers have this name"));
        }
        layers.push(one_layer(layer)?);
    }
    Ok(layers)
}

fn check_limits(policy: &wire::Policy) -> Result<(), PolicyError> {
    let rules = || policy.layers.iter().flat_map(|layer| &layer.rules);
    let patterns = |rule: &wire::Rule| {
        [&rule.selectors.path, &rule.selectors.except, &rule.selectors.except_within].into_iter().flatten().map(Vec::len).sum::<usize>()
    };
    limit("layers", policy.layers.len(), LAYERS_MAX)?;
    limit("rules", rules().count(), RULES_MAX)?;
    limit("patterns", rules().map(patterns).sum(), PATTERNS_MAX)
}

fn limit(what: &str, count: usize, max: usize) -> Result<(), PolicyError> {
    if count > max { Err(PolicyError::new(format!("{count} {what}, of which at most {max} are read"))) } else { Ok(()) }
}

fn one_layer(layer: wire::Layer) -> Result<Layer, PolicyError> {
    check_name(&layer.name)?;
    let mut ids = BTreeSet::new();
    let mut rules = Vec::with_capacity(layer.rules.len());
    for rule in layer.rules {
        check_name(&rule.id)?;
        let name = format!("{}/{}", layer.name, rule.id);
        if !ids.insert(rule.id.clone()) {
            return Err(PolicyError::at(&name, "two rules of this layer have this id"));
        }
        rules.push(one_rule(&name, layer.origin, rule).map_err(|message| PolicyError::at(&name, message))?);
    }
    Ok(Layer {
        name: layer.name,
        origin: layer.origin,
        closed: layer.closed,
        consults: layer.rego.is_some() || layer.flows.is_some(),
        rules,
    })
}

/// `[a-z0-9][a-z0-9-]*`
fn check_name(name: &str) -> Result<(), PolicyError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !name.is_empty() && !name.starts_with('-') && name.bytes().all(|byte| plain(byte) || byte == b'-') {
        Ok(())
    } else {
        Err(PolicyError::new(format!("`{name}` is not a name; names are made of a-z, 0-9 and `-`")))
    }
}

fn one_rule(name: &str, origin: LayerOrigin, rule: wire::Rule) -> Result<Rule, String> {
    if rule.verbs.is_empty() {
        return Err("no verbs, so the rule can never match".into());
    }
    check_meaning(origin, &rule)?;
    let selectors = selectors(rule.selectors)?;
    if rule.decision == Says::Allow && !selectors.inodes.is_empty() {
        return Err("`inodes` on an allow; an object is allowed by its name only".into());
    }
    if matches!(rule.decision, Says::Allow | Says::Steer) && selectors.keys.is_some() {
        return Err("`keys` on a rule that lets something through; name the keys that may not change on a `deny` or an `approve`".into());
    }
    if selectors.keys.is_some() && selectors.path.is_none() {
        return Err("`keys` without `path`; name the files whose keys are meant".into());
    }
    if rule.decision == Says::Deny && selectors.host.as_ref().is_some_and(|hosts| hosts.private) {
        return Err("`private` on a deny, which lets no name lead anywhere".into());
    }
    if rule.decision == Says::Allow && rule.verbs.contains(&Verb::KeyUse) && selectors.host.is_none() {
        return Err("an allow of `key.use` without `host`; what is signed for nobody in particular is good for anybody".into());
    }
    if rule.decision == Says::Allow && selectors.sql.as_ref().is_some_and(Statements::leaves_tables_open) {
        return Err("`sql` on an allow names columns or what is changed without `tables`; name all that may be used".into());
    }
    check_within(rule.decision, &selectors)?;
    for verb in &rule.verbs {
        if let Some(key) = selectors.foreign_to(*verb) {
            return Err(format!("`{key}` does not apply to `{verb}`"));
        }
        rule.steer.as_ref().map_or(Ok(()), |steer| steer.check(*verb))?;
    }
    Ok(Rule {
        name: name.to_owned(),
        says: rule.decision,
        verbs: rule.verbs.into_iter().collect(),
        because: rule.because.filter(|text| !text.is_empty()),
        selectors,
        when: rule.when,
        timeout_ms: rule.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT),
        steer: rule.steer,
        obligations: rule.obligations,
        unless_allowed: rule.unless_allowed,
        best_effort: rule.best_effort,
        source: rule.source,
    })
}

/// What a rule's own keys must be to each other.
fn check_meaning(origin: LayerOrigin, rule: &wire::Rule) -> Result<(), String> {
    let may_loosen = matches!(rule.decision, Says::Allow | Says::Steer);
    if origin == LayerOrigin::Workspace && may_loosen {
        return Err("a layer found in the workspace may only deny and approve".into());
    }
    if (rule.decision == Says::Steer) != rule.steer.is_some() {
        return Err("`steer` says what to do instead, on a rule that steers and on no other".into());
    }
    if rule.decision != Says::Approve && rule.timeout_ms.is_some() {
        return Err("`timeout_ms` on a rule that asks nobody".into());
    }
    if rule.timeout_ms == Some(0) {
        return Err("`timeout_ms` of 0, in which nobody can answer".into());
    }
    let may_stand_in = |verb: &Verb| verb.is_net() || *verb == Verb::KeyUse;
    if rule.unless_allowed && (rule.decision != Says::Approve || !rule.verbs.iter().all(may_stand_in)) {
        return Err("`unless_allowed` is about questions for the network and keys: an `approve` of `net.*` or `key.use`".into());
    }
    if rule.decision == Says::Deny && rule.obligations != Obligations::default() {
        return Err("`obligations` on a deny, which lets nothing through".into());
    }
    rule.when.as_ref().map_or(Ok(()), |when| check_when(rule.decision, when))
}

/// Where a match begins matters to a rule that keeps something. An allow is about a name, wherever its match begins.
fn check_within(says: Says, selectors: &Selectors) -> Result<(), String> {
    if selectors.except.within.is_empty() {
        return Ok(());
    }
    if says == Says::Allow {
        return Err("`except_within` on an allow; take names away with `except`".into());
    }
    if selectors.path.is_none() { Err("`except_within` without `path`".into()) } else { Ok(()) }
}

fn check_when(says: Says, when: &wire::When) -> Result<(), String> {
    if when.risk_at_least.is_none() && when.labels_any.is_none() && when.origin.is_none() && when.history.is_none() {
        return Err("`when` names no Fact".into());
    }
    if says == Says::Allow && when.risk_at_least.is_some() {
        return Err("`risk_at_least` on an allow; a score can only tighten".into());
    }
    if says == Says::Allow && when.labels_any.is_some() {
        return Err("`labels_any` on an allow; labels can only tighten".into());
    }
    if when.risk_at_least.is_some_and(|risk| risk > facts::RISK_MAX) {
        return Err(format!("`risk_at_least` over {}, which no score reaches", facts::RISK_MAX));
    }
    if when.history.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err("`history` without a word, which nothing has".into());
    }
    if when.labels_any.as_ref().is_some_and(|labels| labels.is_empty() || labels.values().any(BTreeSet::is_empty)) {
        return Err("`labels_any` without labels, which nothing has".into());
    }
    Ok(())
}

fn selectors(wire: wire::Selectors) -> Result<Selectors, String> {
    Ok(Selectors {
        path: each("path", wire.path, |text| Pattern::compile(&text))?.map(Patterns::from),
        except: Excepted { names: listed(wire.except)?, within: listed(wire.except_within)? },
        inodes: wire.inodes.unwrap_or_default(),
        keys: wire.keys.map(Keys::compile).transpose()?,
        address: each("address", wire.address, |text| Block::parse(&text))?,
        host: hosts(wire.host, wire.private)?,
        port: each("port", wire.port, port)?,
        user: each("user", wire.user, |text| text_glob(&text))?,
        protocol: each("protocol", wire.protocol, protocol)?,
        to: wire.to,
        signal: each("signal", wire.signal, signal)?,
        command: wire.command.map(command).transpose()?,
        connector: each("connector", wire.connector, |text| text_glob(&text))?,
        tool: each("tool", wire.tool, |text| text_glob(&text))?,
        operation: each("operation", wire.operation, |text| text_glob(&text))?,
        arguments: conditions(wire.arguments)?,
        answers: conditions(wire.answers)?,
        sql: wire.sql.map(statements).transpose()?,
    })
}

fn statements(wire: wire::Statements) -> Result<Statements, String> {
    let found = Statements {
        verb: each("verb", wire.verb, |text| text_glob(&text))?,
        tables: each("tables", wire.tables, |text| text_glob(&text))?,
        changed: each("changed", wire.changed, |text| text_glob(&text))?,
        columns: each("columns", wire.columns, |text| text_glob(&text))?,
        functions: each("functions", wire.functions, |text| text_glob(&text))?,
        r#where: wire.r#where,
    };
    if found.is_empty() { Err("`sql` names nothing".into()) } else { Ok(found) }
}

fn conditions(listed: Option<Vec<wire::Condition>>) -> Result<Vec<Condition>, String> {
    listed.unwrap_or_default().into_iter().map(condition).collect()
}

/// Patterns that may be none.
fn listed(texts: Option<Vec<Bytes>>) -> Result<Patterns, String> {
    texts.unwrap_or_default().iter().map(Pattern::compile).collect::<Result<Vec<_>, _>>().map(Patterns::from)
}

/// Every value of a selector, typed. A selector without values could never match.
fn each<T, U>(key: &str, values: Option<Vec<T>>, typed: impl Fn(T) -> Result<U, String>) -> Result<Option<Vec<U>>, String> {
    match values {
        None => Ok(None),
        Some(values) if values.is_empty() => Err(format!("`{key}` without values, so the rule can never match")),
        Some(values) => values.into_iter().map(typed).collect::<Result<_, _>>().map(Some),
    }
}

fn protocol(named: Protocol) -> Result<Protocol, String> {
    if named == Protocol::Other { Err("`other` is not a protocol that a rule can name".into()) } else { Ok(named) }
}

fn hosts(names: Option<Vec<String>>, private: Option<bool>) -> Result<Option<Hosts>, String> {
    match each("host", names, |text| HostPattern::compile(&text))? {
        Some(names) => Hosts::compile(names, private == Some(true)).map(Some),
        None if private.is_some() => Err("`private` without `host`".into()),
        None => Ok(None),
    }
}

fn port((low, high): (u16, u16)) -> Result<(u16, u16), String> {
    if low <= high { Ok((low, high)) } else { Err(format!("the ports `{low}-{high}` run backwards")) }
}

fn signal(number: i32) -> Result<i32, String> {
    if (0..=SIGNAL_MAX).contains(&number) { Ok(number) } else { Err(format!("`{number}` is not a signal")) }
}

fn text_glob(text: &str) -> Result<Glob, String> {
    if text.is_empty() {
        return Err("an empty pattern".into());
    }
    Glob::compile(text.as_bytes()).map_err(|why| format!("the pattern `{text}` has {why}"))
}

fn command(wire: wire::Command) -> Result<Command, String> {
    if wire.program.is_none() && wire.words.is_none() && wire.any_flag.is_none() {
        return Err("`command` names nothing".into());
    }
    let any_flag = each("any_flag", wire.any_flag, |flag| {
        if flag.0.len() > 1 && flag.0.starts_with(b"-") { Ok(flag) } else { Err(format!("`{}` is not a flag", flag.lossy())) }
    })?;
    let words = wire.words.map_or(Ok(None), |words| each("words", Some(words), Ok))?.unwrap_or_default();
    Ok(Command { program: each("program", wire.program, |text| program(&text))?, words, any_flag })
}

fn program(text: &Bytes) -> Result<Program, String> {
    if text.0.contains(&b'/') {
        return Pattern::compile(text).map(Program::Path);
    }
    if text.0.is_empty() {
        return Err("`program` with an empty name".into());
    }
    Glob::compile(&text.0).map(Program::Name).map_err(|why| format!("the pattern `{}` has {why}", text.lossy()))
}

fn condition(wire: wire::Condition) -> Result<Condition, String> {
    check_pointer(&wire.at)?;
    let test = test(&wire.test, wire.value.0).map_err(|why| format!("the condition at `{}`: {why}", wire.at))?;
    Ok(Condition { at: wire.at, test })
}

/// RFC 6901 section 3: empty, or beginning with `/`; `~` only in `~0` and `~1`.
fn check_pointer(at: &str) -> Result<(), String> {
    let escapes = at.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if escapes && (at.is_empty() || at.starts_with('/')) { Ok(()) } else { Err(format!("`{at}` is not a JSON pointer")) }
}

fn test(name: &str, value: Value) -> Result<Test, String> {
    match (name, value) {
        ("equals", value) => Ok(Test::Equals(json::canonical(&value))),
        ("in", Value::Array(values)) if !values.is_empty() => Ok(Test::In(values.iter().map(json::canonical).collect())),
        ("in", _) => Err("`in` takes a list that is not empty".into()),
        ("matches", Value::String(text)) => {
            let of = if text.contains('/') { Test::MatchesPath } else { Test::Matches };
            Glob::compile(text.as_bytes()).map(of).map_err(|why| format!("`{text}` has {why}"))
        }
        ("matches", _) => Err("`matches` takes a pattern".into()),
        ("at_most", Value::Number(bound)) => Ok(Test::AtMost(bound)),
        ("at_least", Value::Number(bound)) => Ok(Test::AtLeast(bound)),
        ("at_most" | "at_least", _) => Err(format!("`{name}` takes a number")),
        ("present", Value::Bool(wanted)) => Ok(Test::Present(wanted)),
        ("present", _) => Err("`present` takes true or false".into()),
        _ => Err(format!("`{name}` is not a test")),
    }
}
