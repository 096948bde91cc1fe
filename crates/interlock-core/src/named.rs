//! What of a policy is about names of hosts: whether any rule needs them, and which of them may be asked for.
//!
//! A question carries its name out of the machine, whatever becomes of the answer. So a name may be asked for only where some rule could let through what
//! follows. INVARIANT: a rule that asks a person opens the names that it writes and no others, so that no name leaves before the yes.

use crate::decision::Says;
use crate::network::Block;
use crate::policy::{Layer, LayerOrigin, Policy, Rule};
use crate::target::Side;
use crate::verb::Verb;

/// Whether any rule names hosts that are to be reached.
#[must_use]
pub fn are_needed(policy: &Policy) -> bool {
    rules(policy).any(|rule| rule.selectors.host.is_some())
}

/// The rules that do.
pub fn rules(policy: &Policy) -> impl Iterator<Item = &Rule> {
    let leads = |rule: &&Rule| rule.verbs.contains(Verb::NetConnect) || rule.verbs.contains(Verb::NetSend);
    policy.layers().iter().flat_map(|layer| &layer.rules).filter(leads).filter(|rule| rule.selectors.host.is_some())
}

/// Whether a name (in its one spelling) may be asked for. Where an act upon what it leads to is refused in any case, it may not.
#[must_use]
pub fn may_be_asked(policy: &Policy, name: &str) -> bool {
    let layers = policy.layers();
    let open = |layer: &Layer| layer.rules.iter().any(|rule| opens(rule, name));
    let shut = layers.iter().flat_map(|layer| &layer.rules).any(|rule| shuts(rule, name));
    !shut
        && layers.iter().filter(|layer| layer.closed).all(open)
        && layers.iter().filter(|layer| layer.origin != LayerOrigin::Workspace).any(open)
}

/// Whether a rule might let through what goes to this name. One that names no host speaks of addresses, and then of names only if it speaks of the
/// internet at large: an allowed server on this machine is no reason to ask the world for any name, and nothing is at port 0.
fn opens(rule: &Rule, name: &str) -> bool {
    let goes_out = rule.verbs.contains(Verb::NetConnect) || rule.verbs.contains(Verb::NetSend);
    let named = || match &rule.selectors.host {
        Some(hosts) => hosts.name(Some(name)),
        None => rule.says == Says::Allow && rule.selectors.address.as_ref().is_none_or(|blocks| blocks.iter().any(Block::is_wide)),
    };
    let somewhere = || rule.selectors.port.as_ref().is_none_or(|ports| ports.iter().any(|(_, high)| *high > 0));
    rule.says != Says::Deny && goes_out && rule.selectors.to != Some(Side::Inside) && somewhere() && named()
}

/// Whether a rule denies every connection to this name.
fn shuts(rule: &Rule, name: &str) -> bool {
    let selectors = &rule.selectors;
    let narrowed = selectors.address.is_some() || selectors.port.is_some() || selectors.protocol.is_some() || selectors.to.is_some();
    let named = || selectors.host.as_ref().is_some_and(|hosts| hosts.name(Some(name)));
    rule.says == Says::Deny && rule.verbs.contains(Verb::NetConnect) && rule.when.is_none() && !narrowed && named()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn layer(name: &str, closed: bool, rules: &[Value]) -> Value {
        let whole = |(number, rule): (usize, &Value)| {
            let (decision, matched) = (rule.get("decision").unwrap(), rule.get("match").unwrap());
            json!({"id": format!("r{number}"), "decision": decision, "verbs": ["net.connect"], "match": matched, "when": null,
                "because": null, "timeout_ms": null, "steer": null, "obligations": {}, "best_effort": false, "source": null})
        };
        json!({"name": name, "origin": "user", "closed": closed, "rules": rules.iter().enumerate().map(whole).collect::<Vec<_>>()})
    }

    fn asked(layers: Vec<Value>, name: &str) -> bool {
        let policy = Policy::from_value(json!({"interlock": 1, "layers": layers})).unwrap();
        assert!(are_needed(&policy));
        may_be_asked(&policy, name)
    }

    fn rule(decision: &str, matched: Value) -> Value {
        json!({"decision": decision, "match": matched})
    }

    #[test]
    fn a_name_is_asked_for_only_where_a_rule_could_let_through_what_follows() {
        let named = rule("allow", json!({"host": ["*.example.com"], "port": [[443, 443]]}));
        let here = rule("allow", json!({"address": ["127.0.0.0/8", "10.0.0.0/8"]}));
        let base = layer("base", false, &[named.clone(), here]);
        assert!(asked(vec![base.clone()], "a.example.com"));
        for other in ["example.com", "a.b.example.com", "secret.evil.org"] {
            assert!(!asked(vec![base.clone()], other), "{other}");
        }
        let denied = layer("denied", false, &[rule("deny", json!({"host": ["a.example.com"]}))]);
        assert!(!asked(vec![base.clone(), denied.clone()], "a.example.com"));
        assert!(asked(vec![base.clone(), denied], "b.example.com"));
        let port = layer("port", false, &[rule("deny", json!({"host": ["a.example.com"], "port": [[80, 80]]}))]);
        assert!(asked(vec![base.clone(), port], "a.example.com"));
        let task = layer("task", true, &[rule("allow", json!({"host": ["b.example.com"]}))]);
        assert!(!asked(vec![base.clone(), task.clone()], "a.example.com"));
        assert!(asked(vec![base, task], "b.example.com"));
    }

    #[test]
    fn a_rule_without_a_host_opens_names_if_it_allows_the_internet_and_a_question_opens_what_it_writes() {
        let named = rule("approve", json!({"host": ["a.example.com"]}));
        let with = |more: Value| vec![layer("base", false, &[named.clone(), more])];
        assert!(asked(with(rule("allow", json!({"port": [[443, 443]]}))), "any.example.org"));
        assert!(asked(with(rule("allow", json!({"address": ["128.0.0.0/2"]}))), "any.example.org"));
        assert!(!asked(with(rule("allow", json!({"address": ["10.0.0.0/8"]}))), "any.example.org"));
        assert!(!asked(with(rule("allow", json!({"to": "inside"}))), "any.example.org"));
        assert!(!asked(with(rule("allow", json!({"port": [[0, 0]], "protocol": ["udp"]}))), "any.example.org"));
        assert!(!asked(with(rule("approve", json!({}))), "any.example.org"));
        assert!(asked(with(rule("approve", json!({}))), "a.example.com"));
    }
}
