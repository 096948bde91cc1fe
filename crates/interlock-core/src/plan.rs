//! A Plan: a policy compiled for one enforcement point that answers without Facts where it can (law 8).

pub use crate::hearing::{Hearing, PlanAnswer};

use crate::action::{Action, Bytes, FileEnd};
use crate::beneath;
use crate::decision::{Decision, Says};
use crate::facts::{Facts, Needs};
use crate::index::{Index, Place};
use crate::keys::Keys;
use crate::pattern::Pattern;
use crate::patterns::Patterns;
use crate::policy::{Layer, LayerOrigin, Policy, Rule};
use crate::samples::{Folder, Samples};
use crate::verb::Verb;
use crate::voice;
use std::collections::HashMap;
use std::sync::Arc;

/// A policy compiled for the supervisor.
#[derive(Clone, Debug)]
pub struct Plan {
    policy: Policy,
    /// Layer and rule of each place the indices name, in the policy's order.
    places: Vec<(usize, usize)>,
    /// One for each verb, in the order of [`Verb::ALL`]; verbs that the same rules concern share theirs.
    indices: Vec<Arc<Index>>,
    /// The rules that guard keys.
    keyed: Vec<Place>,
    /// What the patterns of each rule ask for below a folder, in the policy's order.
    samples: Vec<Samples>,
}

impl Plan {
    /// Compiles the policy.
    pub fn compile(policy: &Policy) -> Self {
        let numbered = |(number, layer): (usize, &Layer)| (0..layer.rules.len()).map(move |rule| (number, rule)).collect::<Vec<_>>();
        let places = policy.layers().iter().enumerate().flat_map(numbered).collect();
        let rules: Vec<(Place, &Rule)> = (0..).zip(policy.layers().iter().flat_map(|layer| &layer.rules)).collect();
        let mut shared: HashMap<Vec<Place>, Arc<Index>> = HashMap::new();
        let index = |verb: &Verb| {
            let concerned: Vec<(Place, &Rule)> = rules.iter().copied().filter(|(_, rule)| concerns(rule, *verb)).collect();
            let named = concerned.iter().map(|(place, _)| *place).collect();
            Arc::clone(shared.entry(named).or_insert_with(|| Arc::new(Index::of(&concerned))))
        };
        let keyed = rules.iter().filter(|(_, rule)| rule.selectors.keys.is_some()).map(|(place, _)| *place).collect();
        let samples = rules.iter().map(|(_, rule)| Samples::of(rule)).collect();
        Self { policy: policy.clone(), places, indices: Verb::ALL.iter().map(index).collect(), keyed, samples }
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.policy.layers().iter().flat_map(|layer| &layer.rules)
    }

    fn rule(&self, place: Place) -> Option<(usize, &Rule)> {
        let (layer, rule) = self.places.get(usize::try_from(place).ok()?)?;
        Some((*layer, self.policy.layers().get(*layer)?.rules.get(*rule)?))
    }

    /// The act, with the rules that touch it.
    pub fn hear<'a>(&'a self, action: &'a Action) -> Hearing<'a> {
        let candidates = self.indices.get(action.verb.index()).map(|index| index.candidates(&action.target)).unwrap_or_default();
        let touching = candidates.into_iter().filter_map(|place| {
            let (layer, rule) = self.rule(place)?;
            Some((layer, rule, voice::touch(rule, action)?))
        });
        Hearing::new(&self.policy, action, touching.collect())
    }

    /// As [`Hearing::answer`].
    pub fn answer(&self, action: &Action) -> PlanAnswer {
        self.hear(action).answer()
    }

    /// Whether any rule asks where an object comes from.
    pub fn asks_origin(&self) -> bool {
        self.rules().any(|rule| rule.when.as_ref().is_some_and(|when| when.origin.is_some()))
    }

    /// Whether any rule guards keys of structured files.
    pub fn guards_keys(&self) -> bool {
        !self.keyed.is_empty()
    }

    /// The keys that rules guard at this end of an act, whatever the act.
    pub fn keys_at(&self, end: &FileEnd) -> Vec<&Keys> {
        let rules = self.keyed.iter().filter_map(|place| self.rule(*place));
        rules.filter(|(_, rule)| rule.selectors.names_end(rule.says, end)).filter_map(|(_, rule)| rule.selectors.keys.as_ref()).collect()
    }

    /// As [`Hearing::needs`].
    pub fn needs(&self, action: &Action) -> Needs {
        self.hear(action).needs()
    }

    /// As [`Hearing::decide`].
    pub fn decide(&self, action: &Action, facts: &Facts) -> Decision {
        self.hear(action).decide(facts)
    }

    /// Directories and files that hold every program some rule might let run, none below another. `/` when a rule names no path.
    pub fn exec_roots(&self) -> Vec<Bytes> {
        let mut roots: Vec<Vec<u8>> = Vec::new();
        for layer in self.policy.layers().iter().filter(|layer| layer.origin != LayerOrigin::Workspace) {
            for rule in layer.rules.iter().filter(|rule| rule.says != Says::Deny && rule.verbs.contains(Verb::ProcessExec)) {
                match &rule.selectors.path {
                    None => roots.push(Vec::new()),
                    Some(patterns) => roots.extend(patterns.iter().map(|pattern| pattern.prefix().to_vec())),
                }
            }
        }
        minimal(roots)
    }

    /// Whether a rule other than an allow could match some name strictly below this directory, for any of these verbs. When it cannot,
    /// a directory may be renamed without deciding each entry, provided [`Plan::allows_below`]. An object that a rule lists besides its names
    /// is held by it wherever its directory goes, and none of those names is below: only a rule of objects alone looks for them.
    pub fn could_match_below(&self, verbs: &[Verb], directory: &[u8]) -> bool {
        let moves = verbs.iter().any(|verb| verb.is_pair());
        let concerns = |rule: &&Rule| {
            let reading = moves && rule.says != Says::Steer && rule.verbs.contains(Verb::FileRead);
            rule.says != Says::Allow && (reading || verbs.iter().any(|verb| rule.verbs.contains(*verb)))
        };
        self.rules().filter(concerns).any(|rule| {
            let by_name = |patterns: &Patterns| patterns.iter().any(|pattern| pattern.could_match_below(directory));
            rule.selectors.path.as_ref().is_none_or(by_name)
        })
    }

    /// Whether a rule other than an allow speaks of `verb` and not of `other`.
    pub fn guards(&self, verb: Verb, other: Verb) -> bool {
        self.rules().any(|rule| rule.says != Says::Allow && rule.verbs.contains(verb) && !rule.verbs.contains(other))
    }

    /// The same of rules that guard keys.
    pub fn guards_content(&self, verb: Verb, other: Verb) -> bool {
        let guards = |rule: &Rule| rule.selectors.keys.is_some() && rule.verbs.contains(verb) && !rule.verbs.contains(other);
        self.rules().any(guards)
    }

    /// Names below `name` that rules other than an allow care for, and would not if they were below `target`, be it that a rule excepts
    /// them there: what a symlink made at `name` stands for. One for each pattern, as plain as the pattern admits.
    pub fn stands_for(&self, verb: Verb, name: &[u8], target: &[u8]) -> Vec<Vec<u8>> {
        let lost = self.caring(verb).filter_map(|(_, pattern)| beneath::lost(pattern, name, target));
        sorted(lost.chain(self.excused_at(verb, name, target)).collect())
    }

    /// Those of them that rules would care for below `target` too, and except there.
    pub fn excused_at(&self, verb: Verb, name: &[u8], target: &[u8]) -> Vec<Vec<u8>> {
        let excused = |(rule, samples): (&Rule, &Samples)| {
            let (here, there) = (Folder::of(rule, name), Folder::of(rule, target));
            let asked = samples.asked(rule, &here).into_iter().filter(|asked| there.leaves_out(asked) && !here.leaves_out(asked));
            asked.map(|asked| here.name_of(&asked)).collect::<Vec<_>>()
        };
        sorted(self.caring_rules(verb).filter(|(rule, _)| !rule.selectors.except.is_empty()).flat_map(excused).collect())
    }

    /// The same of rules that ask for a history, where that is another below the target.
    pub fn stands_for_known(&self, verb: Verb, name: &[u8]) -> Vec<Vec<u8>> {
        let asked = |(rule, samples): (&Rule, &Samples)| {
            let here = Folder::of(rule, name);
            let asked = samples.asked(rule, &here).into_iter().filter(|asked| !here.leaves_out(asked));
            asked.map(|asked| here.name_of(&asked)).collect::<Vec<_>>()
        };
        sorted(self.caring_rules(verb).filter(|(rule, _)| asks_history(rule)).flat_map(asked).collect())
    }

    /// Whether rules ask for this very name, by the texts of its parts: one that only a wildcard matches stands for others as well.
    pub fn is_spelled(&self, verb: Verb, name: &[u8]) -> bool {
        self.caring(verb).filter(|(_, pattern)| pattern.matches(name)).all(|(_, pattern)| pattern.is_spelled())
    }

    /// Whether nothing can come to this name by being made, moved or linked there: rules deny all three by the name alone, whatever the Facts.
    pub fn shuts(&self, name: &[u8]) -> bool {
        let end = FileEnd { path: Bytes(name.to_vec()), aliases: Vec::new(), inode: None, content: None };
        let denies = |rule: &Rule, verb: Verb| {
            let by_name = rule.when.is_none() && rule.selectors.keys.is_none() && rule.selectors.names_end(rule.says, &end);
            rule.says == Says::Deny && rule.verbs.contains(verb) && by_name
        };
        [Verb::FileCreate, Verb::FileRename, Verb::FileLink].into_iter().all(|verb| self.rules().any(|rule| denies(rule, verb)))
    }

    /// Whether the directory `name` is one whose own name a rule other than an allow asks for.
    pub fn leads_to(&self, verb: Verb, name: &[u8]) -> bool {
        self.caring(verb).any(|(_, pattern)| beneath::lost(pattern, name, b"/").is_some())
    }

    /// The patterns of rules other than an allow that speak of `verb`.
    fn caring(&self, verb: Verb) -> impl Iterator<Item = (&Rule, &Pattern)> {
        self.caring_rules(verb)
            .flat_map(|(rule, _)| rule.selectors.path.iter().flat_map(Patterns::iter).map(move |pattern| (rule, pattern)))
    }

    /// These rules, each with what its patterns ask for.
    fn caring_rules(&self, verb: Verb) -> impl Iterator<Item = (&Rule, &Samples)> {
        let cares = move |(rule, _): &(&Rule, &Samples)| rule.says != Says::Allow && rule.verbs.contains(verb);
        self.rules().zip(&self.samples).filter(cares)
    }

    /// Whether, in every layer that allows this verb on the directory itself, the same rule allows it on every name below.
    pub fn allows_below(&self, verb: Verb, directory: &[u8]) -> bool {
        let covers = |rule: &Rule| {
            let tree = |pattern: &Pattern| pattern.is_tree() && pattern.matches(directory);
            let excepted = |pattern: &Pattern| pattern.could_match_below(directory);
            rule.says == Says::Allow
                && rule.when.is_none()
                && rule.verbs.contains(verb)
                && rule.selectors.path.as_ref().is_none_or(|patterns| patterns.iter().any(tree))
                && !rule.selectors.except.names.iter().any(excepted)
        };
        let allows = |rule: &Rule| rule.says == Says::Allow && rule.verbs.contains(verb);
        self.policy
            .layers()
            .iter()
            .filter(|layer| layer.closed || layer.rules.iter().any(allows))
            .all(|layer| layer.rules.iter().any(covers))
            && self.rules().any(allows)
    }
}

fn sorted(mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    names.sort();
    names.dedup();
    names
}

fn asks_history(rule: &Rule) -> bool {
    rule.when.as_ref().is_some_and(|when| when.history.is_some())
}

/// Whether a rule can touch an act with this verb: by naming it, or by guarding what a rename or link would move.
pub(crate) fn concerns(rule: &Rule, verb: Verb) -> bool {
    rule.verbs.contains(verb) || (verb.is_pair() && voice::guards_reading(rule))
}

fn minimal(mut roots: Vec<Vec<u8>>) -> Vec<Bytes> {
    roots.sort();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for root in roots {
        let below = |above: &Vec<u8>| matches!(root.strip_prefix(above.as_slice()), Some([] | [b'/', ..]));
        if !kept.iter().any(below) {
            kept.push(root);
        }
    }
    kept.into_iter().map(|root| Bytes(if root.is_empty() { b"/".to_vec() } else { root })).collect()
}
