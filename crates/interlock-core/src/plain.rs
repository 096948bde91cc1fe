//! Verbs that a policy allows plainly: each act with such a verb is allowed, whatever its target and whatever the Facts, and no rule wants
//! anything of it. A call that can mean nothing else need not be looked at (`docs/adr/0025`).
//!
//! In doubt a verb is not plain: a rule that denies, asks or steers counts however narrow it is, and so does one with a condition or obligations.

use crate::decision::{Obligations, Says};
use crate::plan::concerns;
use crate::policy::{Layer, LayerOrigin, Policy, Rule};
use crate::verb::Verb;

/// The layer by which Interlock protects itself.
const GUARD: &str = "guard";

/// Whether every act with this verb is allowed, and no rule wants anything of it.
#[must_use]
pub fn is_plain(policy: &Policy, verb: Verb) -> bool {
    is_plain_but(policy, verb, |_, _| false)
}

/// Whether nothing that a message is sent to can matter. A message may carry the name of a datagram socket, of the internet or of a path;
/// who sends from an internet socket that has no port yet gets one, at which others answer as inside, so connects must not matter either.
///
/// `guard`'s own words on local sockets are about Interlock's, all of them stream sockets: the kernel takes no message with a name to one
/// (EPROTOTYPE), and nobody in a session can make another socket in the folders it names.
#[must_use]
pub fn sends_are_plain(policy: &Policy) -> bool {
    let of_guard = |layer: &Layer, rule: &Rule| {
        let own = layer.origin == LayerOrigin::Builtin && layer.name == GUARD;
        own && rule.selectors.path.is_some() && rule.when.is_none()
    };
    is_plain(policy, Verb::NetSend) && is_plain(policy, Verb::NetConnect) && is_plain_but(policy, Verb::UnixConnect, of_guard)
}

fn is_plain_but(policy: &Policy, verb: Verb, aside: impl Fn(&Layer, &Rule) -> bool) -> bool {
    let concerned =
        |layer: &Layer| -> Vec<Rule> { layer.rules.iter().filter(|rule| concerns(rule, verb) && !aside(layer, rule)).cloned().collect() };
    let layers: Vec<(&Layer, Vec<Rule>)> = policy.layers().iter().map(|layer| (layer, concerned(layer))).collect();
    let speaks = |rules: &[Rule]| rules.iter().any(|rule| rule.verbs.contains(verb) && !rule.selectors.narrows());
    let wants_nothing = layers.iter().flat_map(|(_, rules)| rules).all(wants_nothing);
    // A closed layer's silence is a denial, and one found in the workspace lets nothing through.
    let no_silence = layers.iter().all(|(layer, rules)| !layer.closed || speaks(rules));
    let lifted = layers.iter().any(|(layer, rules)| layer.origin != LayerOrigin::Workspace && speaks(rules));
    let unheard = policy.layers().iter().any(|layer| layer.consults_about(verb));
    wants_nothing && no_silence && lifted && !unheard
}

fn wants_nothing(rule: &Rule) -> bool {
    let selectors = &rule.selectors;
    let unconditional = rule.when.is_none() && selectors.arguments.is_empty() && selectors.answers.is_empty() && selectors.sql.is_none();
    rule.says == Says::Allow && unconditional && rule.obligations == Obligations::default()
}
