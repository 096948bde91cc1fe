//! A voice: what one layer says of one Action. Collected as sets first, read off once.

use crate::action::Action;
use crate::decision::Says;
use crate::facts::Facts;
use crate::finding::{Finding, Finds};
use crate::instead;
use crate::rules::{Layer, LayerOrigin, Rule, When};
use crate::selector::Touch;
use crate::verb::Verb;

/// Everything the matching rules of a layer say.
#[derive(Clone)]
pub(crate) struct Voice<'a> {
    pub layer: &'a Layer,
    pub denies: Vec<&'a Rule>,
    pub errors: Vec<(&'a Rule, String)>,
    pub approvals: Vec<&'a Rule>,
    pub steers: Vec<&'a Rule>,
    pub findings: &'a [Finding],
    /// Whether its Rego or its flows should have been heard and were not.
    pub unheard: bool,
    /// What asks, or errs, if nothing else lets the act through.
    otherwise: Vec<(&'a Rule, Option<String>)>,
    allows: Vec<&'a Rule>,
    covered: Touch,
}

/// A layer's answer, read off its voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerAnswer {
    /// Nothing matched.
    Silent,
    /// Nothing matched in a layer where that is a denial.
    Closed,
    /// A rule denied, or could not be evaluated.
    Denied,
    /// Two rules steered it differently.
    Conflict,
    /// Anything but a denial.
    Said(Says),
}

impl LayerAnswer {
    /// What it stands for; `None` for an abstention.
    pub fn says(self) -> Option<Says> {
        match self {
            Self::Silent => None,
            Self::Closed | Self::Denied | Self::Conflict => Some(Says::Deny),
            Self::Said(says) => Some(says),
        }
    }
}

impl<'a> Voice<'a> {
    /// Hears all rules of a layer.
    pub fn collect(layer: &'a Layer, action: &Action, facts: &'a Facts) -> Self {
        let mut voice = Self::found(layer, action, facts);
        for rule in &layer.rules {
            if let Some(touched) = touch(rule, action) {
                voice.hear(rule, touched, facts);
            }
        }
        voice
    }

    /// A layer of which no rule was heard yet, only what it found beside them.
    pub fn found(layer: &'a Layer, action: &Action, facts: &'a Facts) -> Self {
        let consults = layer.consults_about(action.verb);
        let heard = facts.findings.as_ref().filter(|_| consults).and_then(|findings| findings.get(&layer.name));
        Self {
            layer,
            findings: heard.map(Vec::as_slice).unwrap_or_default(),
            unheard: consults && heard.is_none(),
            denies: Vec::new(),
            errors: Vec::new(),
            approvals: Vec::new(),
            steers: Vec::new(),
            otherwise: Vec::new(),
            allows: Vec::new(),
            covered: Touch::NONE,
        }
    }

    /// Hears a rule that touches the action.
    pub fn hear(&mut self, rule: &'a Rule, (touch, doubt): Touched, facts: &Facts) {
        let held = rule.when.as_ref().map_or(Ok(touch), |when| holds(when, touch, facts));
        // A closed layer denies what it does not let through by itself, so in one it asks in any case.
        let waits = rule.unless_allowed && !self.layer.closed;
        match (doubt, held) {
            (None, Ok(held)) if held.any() && waits => self.otherwise.push((rule, None)),
            (None, Ok(held)) if held.any() => self.say(rule, held),
            (None, Ok(_)) => {}
            (doubt, held) if waits => self.otherwise.extend(doubt.into_iter().chain(held.err()).map(|why| (rule, Some(why)))),
            (doubt, held) => self.errors.extend(doubt.into_iter().chain(held.err()).map(|why| (rule, why))),
        }
    }

    /// Whether rules wait for that nothing else lets the act through.
    pub fn has_otherwise(&self) -> bool {
        !self.otherwise.is_empty()
    }

    /// The voice once nothing else did.
    pub fn otherwise(&self) -> Self {
        let asking = self.otherwise.iter().filter(|(_, why)| why.is_none()).map(|(rule, _)| *rule);
        let erring = self.otherwise.iter().filter_map(|(rule, why)| Some((*rule, why.clone()?)));
        let mut voice = self.clone();
        voice.approvals.extend(asking);
        voice.errors.extend(erring);
        voice.otherwise.clear();
        voice
    }

    fn say(&mut self, rule: &'a Rule, touch: Touch) {
        match rule.says {
            Says::Deny => self.denies.push(rule),
            Says::Approve => self.approvals.push(rule),
            Says::Steer => self.steers.push(rule),
            Says::Allow => {
                self.covered.source |= touch.source;
                self.covered.destination |= touch.destination;
                self.allows.push(rule);
            }
        }
    }

    fn allows(&self) -> bool {
        self.covered.source && self.covered.destination
    }

    /// The layer's answer, once.
    pub fn answer(&self, granted: bool) -> LayerAnswer {
        if !self.denies.is_empty() || !self.errors.is_empty() || self.unheard || self.findings.iter().any(refuses) {
            return LayerAnswer::Denied;
        }
        if self.layer.closed && !self.has_base() {
            return LayerAnswer::Closed;
        }
        if self.steers.windows(2).any(|pair| matches!(pair, [first, second] if first.steer != second.steer)) {
            return LayerAnswer::Conflict;
        }
        match () {
            () if self.asks() && !granted => LayerAnswer::Said(Says::Approve),
            () if !self.steers.is_empty() => LayerAnswer::Said(Says::Steer),
            () if self.allows() || self.asks() => LayerAnswer::Said(Says::Allow),
            () => LayerAnswer::Silent,
        }
    }

    /// Whether a rule or a finding wants a human's yes.
    pub fn asks(&self) -> bool {
        !self.approvals.is_empty() || self.findings.iter().any(|finding| finding.finds == Finds::Approve)
    }

    /// The findings that say this (with a grant, one that asks says Allow), by the names that decisions cite.
    pub fn found_so(&self, says: Says) -> impl Iterator<Item = (String, &'a Finding)> {
        let name = &self.layer.name;
        let fitting = move |finding: &&Finding| match says {
            Says::Deny => refuses(finding),
            Says::Approve | Says::Allow => finding.finds == Finds::Approve,
            Says::Steer => false,
        };
        self.findings.iter().filter(fitting).map(move |finding| (format!("{name}/{}", finding.id), finding))
    }

    /// Whether it would let something through without any score.
    fn has_base(&self) -> bool {
        self.allows() || self.approvals.iter().chain(&self.steers).any(|rule| !rule.is_scored())
    }

    /// Whether it may turn the default denial into something milder. Scores, and layers found in the workspace, can only tighten.
    pub fn lifts(&self) -> bool {
        self.layer.origin != LayerOrigin::Workspace && self.has_base()
    }

    /// The rules that say this (with a grant, an approval's rule says Allow), in a layer that answers so.
    pub fn said(&self, says: Says) -> impl Iterator<Item = &'a Rule> {
        let allows = if self.allows() { self.allows.as_slice() } else { &[] };
        let (first, second): (&[&'a Rule], &[&'a Rule]) = match says {
            Says::Allow => (allows, &self.approvals),
            Says::Steer => (&self.steers, &[]),
            Says::Approve => (&self.approvals, &[]),
            Says::Deny => (&self.denies, &[]),
        };
        first.iter().chain(second).copied().collect::<Vec<_>>().into_iter()
    }

    /// Every rule whose obligations bind when the act is let through.
    pub fn permitting(&self) -> impl Iterator<Item = &'a Rule> {
        let allows = if self.allows() { self.allows.as_slice() } else { &[] };
        allows.iter().chain(&self.approvals).chain(&self.steers).copied().collect::<Vec<_>>().into_iter()
    }
}

/// Whether a finding is a denial.
fn refuses(finding: &Finding) -> bool {
    matches!(finding.finds, Finds::Deny | Finds::Error)
}

/// What a rule touches, and what kept its selectors from being sure.
pub(crate) type Touched = (Touch, Option<String>);

/// What of the action the rule touches, if anything.
pub(crate) fn touch(rule: &Rule, action: &Action) -> Option<Touched> {
    if rule.verbs.contains(action.verb) {
        let (touch, doubt) = rule.selectors.touch(rule.says, action);
        if touch.any() {
            return match rule.steer.as_ref().map_or(Ok(false), |steer| instead::is_done(steer, &action.target)) {
                Ok(true) => None,
                Ok(false) => Some((touch, doubt)),
                Err(why) => Some((touch, doubt.or(Some(why)))),
            };
        }
    }
    if action.verb.is_pair() && guards_reading(rule) {
        let touch = rule.selectors.touch_as_read(rule.says, action);
        return touch.any().then_some((touch, None));
    }
    None
}

/// Whether the rule denies or asks about reading, so that it also guards against moving what it names to where it could be read.
pub(crate) fn guards_reading(rule: &Rule) -> bool {
    matches!(rule.says, Says::Deny | Says::Approve) && rule.verbs.contains(Verb::FileRead)
}

/// The ends touched for which the Facts are as the rule wants them. An error for a Fact it names that is not known.
fn holds(when: &When, touch: Touch, facts: &Facts) -> Result<Touch, String> {
    let unknown = |fact: &str| format!("needs `{fact}`, which is not known");
    let mut held = true;
    if let Some(bound) = when.risk_at_least {
        held &= facts.risk.ok_or_else(|| unknown("risk"))? >= bound;
    }
    for (place, wanted) in when.labels_any.iter().flatten() {
        let labels = facts.labels.as_ref().and_then(|labels| labels.get(place));
        held &= !labels.ok_or_else(|| unknown(&format!("labels.{place}")))?.is_disjoint(wanted);
    }
    let mut touch = touch;
    if let Some(wanted) = when.origin {
        touch = ends(touch, |origin| origin == wanted, (facts.origin, facts.origin_to)).ok_or_else(|| unknown("origin"))?;
    }
    if let Some(wanted) = &when.history {
        touch = ends(touch, |history| wanted.contains(&history), (facts.history, facts.history_to)).ok_or_else(|| unknown("history"))?;
    }
    Ok(if held { touch } else { Touch::NONE })
}

/// The touched ends at which a Fact is as wanted; nothing where it is not known of one of them.
fn ends<T: Copy>(touch: Touch, wanted: impl Fn(T) -> bool, (here, there): (Option<T>, Option<T>)) -> Option<Touch> {
    let there = if touch.paired { there } else { here };
    let is = |touched: bool, known: Option<T>| if touched { known.map(&wanted) } else { Some(false) };
    Some(Touch { source: is(touch.source, here)?, destination: is(touch.destination, there)?, ..touch })
}
