//! `decide`: what a policy says of an Action, given Facts. Pure and total; every fault is a denial.
//!
//! Each layer collects what its matching rules say as sets, then reads off one answer ([`crate::voice`]); here the layers' answers are
//! combined. Nothing depends on the order or repetition of rules or layers.

use crate::action::Action;
use crate::decision::{Decision, Obligations, RecordClass, Says};
use crate::digest::action_digest;
use crate::facts::Facts;
use crate::finding::{Finding, Finds};
use crate::policy::{Policy, Rule, TIMEOUT_MS_DEFAULT};
use crate::verb::Verb;
use crate::voice::{LayerAnswer, Voice};

/// Why an act is denied that no rule speaks of.
pub const NO_RULE: &str = "no rule allows it";

/// What the policy says of the action. Arguments: the policy, the act, and all that is known.
pub fn decide(policy: &Policy, action: &Action, facts: &Facts) -> Decision {
    if !action.target.fits(action.verb) {
        return misshapen(action);
    }
    let voices: Vec<Voice<'_>> = policy.layers().iter().map(|layer| Voice::collect(layer, action, facts)).collect();
    combine(&voices, action, granted(action, facts))
}

/// An Action that no edge should have built.
pub(crate) fn misshapen(action: &Action) -> Decision {
    let why = "the target is not of the verb's shape";
    denial(action, why, vec![why.to_owned()])
}

/// Whether a grant in force answers the question this Action would be. The digest is only taken when there are grants at all.
pub(crate) fn granted(action: &Action, facts: &Facts) -> bool {
    if facts.grants.is_empty() {
        return false;
    }
    let digest = action_digest(action);
    facts.grants.iter().any(|grant| grant.covers(action, &digest, facts.now_ms))
}

/// Reads one decision off what all layers said; where that lets nothing through and denies nothing, off what they say otherwise.
pub(crate) fn combine(voices: &[Voice<'_>], action: &Action, granted: bool) -> Decision {
    let decision = combined(voices, action, granted);
    if decision.spoke || !voices.iter().any(Voice::has_otherwise) {
        return decision;
    }
    let voices: Vec<Voice<'_>> = voices.iter().map(Voice::otherwise).collect();
    let asked = combined(&voices, action, granted);
    // It stands in the place of the default denial, so another layer may still decide the act. A rule that errs has decided it.
    Decision { spoke: asked.decision == Says::Deny && asked.spoke, ..asked }
}

fn combined(voices: &[Voice<'_>], action: &Action, granted: bool) -> Decision {
    let answers: Vec<LayerAnswer> = voices.iter().map(|voice| voice.answer(granted)).collect();
    let strictest = answers.iter().filter_map(|answer| answer.says()).max();
    let lifted = voices.iter().any(Voice::lifts);
    match strictest {
        Some(Says::Deny) => said_no(voices, &answers, action),
        Some(_) if steers_conflict(voices) => {
            conflict(action, voices, |voice| voice.steers.iter().copied().map(named).collect(), "two rules steer it differently")
        }
        Some(says) if lifted => let_through(voices, action, says, granted),
        _ => denial(action, NO_RULE, Vec::new()),
    }
}

fn steers_conflict(voices: &[Voice<'_>]) -> bool {
    let mut steers = voices.iter().flat_map(|voice| &voice.steers).map(|rule| &rule.steer);
    steers.next().is_some_and(|first| steers.any(|other| other != first))
}

fn said_no(voices: &[Voice<'_>], answers: &[LayerAnswer], action: &Action) -> Decision {
    let mut decision = denial(action, "", Vec::new());
    let mut denies = Vec::new();
    let mut closed = Vec::new();
    for (voice, answer) in voices.iter().zip(answers) {
        match answer {
            LayerAnswer::Denied => {
                denies.extend(voice.denies.iter().map(|rule| (rule.name.clone(), rule.because.clone())));
                for (name, finding) in voice.found_so(Says::Deny) {
                    match finding.finds {
                        Finds::Error => decision.errors.push(format!("{name}: {}", finding.because.as_deref().unwrap_or("no reason"))),
                        Finds::Deny | Finds::Approve => denies.push((name.clone(), finding.because.clone())),
                    }
                    decision.rules.push(name);
                }
                if voice.unheard {
                    decision.errors.push(format!("{}: what it finds beside its rules was not heard", voice.layer.name));
                }
                decision.rules.extend(voice.denies.iter().map(|rule| rule.name.clone()));
                decision.rules.extend(voice.errors.iter().map(|(rule, _)| rule.name.clone()));
                decision.errors.extend(voice.errors.iter().map(|(rule, why)| format!("{}: {why}", rule.name)));
            }
            LayerAnswer::Conflict => decision.rules.extend(voice.steers.iter().map(|rule| rule.name.clone())),
            LayerAnswer::Closed => closed.push(voice.layer.name.as_str()),
            LayerAnswer::Silent | LayerAnswer::Said(_) => continue,
        }
        decision.layers.push(voice.layer.name.clone());
    }
    tidy(&mut decision);
    closed.sort_unstable();
    decision.spoke = true;
    decision.because = reason(denies)
        .or_else(|| decision.errors.first().map(|error| format!("a rule could not be evaluated: {error}")))
        .or_else(|| (!decision.rules.is_empty()).then(|| "two rules steer it differently".to_owned()))
        .or_else(|| closed.first().map(|name| format!("`{name}` is closed and allows nothing like it")))
        .unwrap_or_default();
    decision
}

/// The reason of the first rule, by name, that gives one; else of the first rule.
fn reason(said: Vec<(String, Option<String>)>) -> Option<String> {
    let (name, because) = said.into_iter().min_by(|one, other| (one.1.is_none(), &one.0).cmp(&(other.1.is_none(), &other.0)))?;
    Some(because.unwrap_or_else(|| format!("rule `{name}` says so")))
}

fn named(rule: &Rule) -> String {
    rule.name.clone()
}

/// A denial because what these rules say cannot all be honoured.
fn conflict(action: &Action, voices: &[Voice<'_>], said: impl Fn(&Voice<'_>) -> Vec<String>, because: &str) -> Decision {
    let mut decision = denial(action, because, Vec::new());
    decision.spoke = true;
    for voice in voices {
        let rules = said(voice);
        if !rules.is_empty() {
            decision.layers.push(voice.layer.name.clone());
        }
        decision.rules.extend(rules);
    }
    tidy(&mut decision);
    decision
}

fn let_through(voices: &[Voice<'_>], action: &Action, says: Says, granted: bool) -> Decision {
    let mut obligations = Obligations { record: record_class(action.verb, says, granted, voices), ..Obligations::default() };
    let bearing = voices.iter().flat_map(Voice::permitting);
    let mut honoured = true;
    for rule in bearing {
        honoured &= obligations.join(&rule.obligations);
    }
    if !honoured {
        let injecting = |voice: &Voice<'_>| voice.permitting().filter(|rule| rule.obligations.inject.is_some()).map(named).collect();
        return conflict(action, voices, injecting, "two rules inject different credentials");
    }
    let said: Vec<&Rule> = voices.iter().flat_map(|voice| voice.said(says)).collect();
    let found: Vec<(String, &Finding)> = voices.iter().flat_map(|voice| voice.found_so(says)).collect();
    let by_rules = said.iter().map(|rule| (rule.name.clone(), rule.because.clone()));
    let reasons = by_rules.chain(found.iter().map(|(name, finding)| (name.clone(), finding.because.clone()))).collect();
    let spoke = |voice: &&Voice<'_>| voice.said(says).next().is_some() || voice.found_so(says).next().is_some();
    let mut decision = Decision {
        decision: says,
        rules: said.iter().map(|rule| rule.name.clone()).chain(found.iter().map(|(name, _)| name.clone())).collect(),
        layers: voices.iter().filter(spoke).map(|voice| voice.layer.name.clone()).collect(),
        because: reason(reasons).unwrap_or_default(),
        timeout_ms: None,
        steer: None,
        obligations,
        spoke: true,
        errors: Vec::new(),
    };
    match says {
        Says::Approve => {
            let of_findings = found.iter().map(|(_, finding)| finding.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT));
            decision.timeout_ms = said.iter().map(|rule| rule.timeout_ms).chain(of_findings).min();
        }
        Says::Steer => decision.steer = said.iter().find_map(|rule| rule.steer.clone()),
        Says::Allow | Says::Deny => {}
    }
    tidy(&mut decision);
    decision
}

/// The three record classes: reads that are simply allowed are routine, tool calls and whatever a human or a steer let
/// through durable, the rest ordered.
fn record_class(verb: Verb, says: Says, granted: bool, voices: &[Voice<'_>]) -> RecordClass {
    let approved = granted && voices.iter().any(Voice::asks);
    match says {
        _ if verb == Verb::ToolCall => RecordClass::Durable,
        Says::Steer | Says::Approve => RecordClass::Durable,
        Says::Allow if approved || verb == Verb::KeyUse => RecordClass::Durable,
        Says::Allow if verb == Verb::FileRead => RecordClass::Routine,
        Says::Allow | Says::Deny => RecordClass::Ordered,
    }
}

fn denial(action: &Action, because: &str, errors: Vec<String>) -> Decision {
    let obligations = Obligations { record: record_class(action.verb, Says::Deny, false, &[]), ..Obligations::default() };
    Decision { obligations, errors, ..Decision::denial(because) }
}

fn tidy(decision: &mut Decision) {
    for names in [&mut decision.rules, &mut decision.layers, &mut decision.errors] {
        names.sort_unstable();
        names.dedup();
    }
}
