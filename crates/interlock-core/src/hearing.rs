//! One act before a Plan: the rules that touch it, found once, and what is read off them: an answer without Facts, the Facts they ask for, the decision.
//!
//! Left out: how they are found (`index`), and what a layer makes of its rules (`voice`).

use crate::action::Action;
use crate::decide;
use crate::decision::{Decision, Says};
use crate::facts::{Facts, Needs};
use crate::policy::Policy;
use crate::rules::{Layer, Rule};
use crate::voice::{Touched, Voice};
use std::collections::BTreeSet;

/// What a Plan says: exactly what `decide` says whatever the Facts, or that Facts matter.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // returned once and taken apart at once; a box would cost the hot path an allocation
pub enum PlanAnswer {
    /// `decide`'s answer, whatever the Facts.
    Answer(Decision),
    /// Facts are needed: gather them and decide.
    Ask,
}

/// An act, and the rules of a policy that touch it.
#[derive(Clone, Debug)]
pub struct Hearing<'a> {
    policy: &'a Policy,
    action: &'a Action,
    /// Each rule with the number of its layer. INVARIANT: none that touches the act is missing, whatever the Facts.
    touching: Vec<(usize, &'a Rule, Touched)>,
}

impl<'a> Hearing<'a> {
    pub(crate) fn new(policy: &'a Policy, action: &'a Action, touching: Vec<(usize, &'a Rule, Touched)>) -> Self {
        Self { policy, action, touching }
    }

    /// `decide`'s answer whatever the Facts, or [`PlanAnswer::Ask`]: that is so when a rule that touches the act asks, or has a `when`, and where Rego has to be heard.
    pub fn answer(&self) -> PlanAnswer {
        let depends = |rule: &Rule| rule.when.is_some() || rule.says == Says::Approve;
        let depends = self.consulted().next().is_some() || self.touching.iter().any(|(_, rule, _)| depends(rule));
        if self.action.target.fits(self.action.verb) && depends {
            return PlanAnswer::Ask;
        }
        PlanAnswer::Answer(self.decide(&Facts::default()))
    }

    /// The Facts that these rules ask for.
    pub fn needs(&self) -> Needs {
        let findings: BTreeSet<String> = self.consulted().map(|layer| layer.name.clone()).collect();
        let mut needs = Needs { grants: !findings.is_empty(), findings, ..Needs::default() };
        for (_, rule, _) in &self.touching {
            needs.grants |= rule.says == Says::Approve;
            if let Some(when) = &rule.when {
                needs.risk |= when.risk_at_least.is_some();
                needs.origin |= when.origin.is_some();
                needs.history |= when.history.is_some();
                needs.labels.extend(when.labels_any.iter().flatten().map(|(place, _)| place.clone()));
            }
        }
        needs
    }

    /// The layers whose Rego has to be heard.
    fn consulted(&self) -> impl Iterator<Item = &Layer> {
        self.policy.layers().iter().filter(|layer| layer.consults_about(self.action.verb))
    }

    /// Exactly what [`decide::decide`] says.
    pub fn decide(&self, facts: &Facts) -> Decision {
        if !self.action.target.fits(self.action.verb) {
            return decide::misshapen(self.action);
        }
        let mut voices: Vec<Voice<'_>> = self.policy.layers().iter().map(|layer| Voice::found(layer, self.action, facts)).collect();
        for (layer, rule, touched) in &self.touching {
            if let Some(voice) = voices.get_mut(*layer) {
                voice.hear(rule, touched.clone(), facts);
            }
        }
        decide::combine(&voices, self.action, decide::granted(self.action, facts))
    }
}
