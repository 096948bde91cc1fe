//! A steer, decided again: what is done in the place of an act is an act of its own, and must be allowed as that.
//!
//! Left out: what an enactor does in the place of what (`Enactor`).

use super::judge::Judged;
use super::ports::Around;
use super::{Act, Enactor, Line, Observed, Refused, Verdict};
use crate::sys::notify::Call;
use interlock_core::action::Action;
use interlock_core::decision::{RecordClass, Says};
use interlock_core::facts::Facts;

impl Line {
    /// Decides the act that a steer leads to, once: anything but an allow of it, as it stands, is a denial. The number of the record that allows.
    pub(super) fn steer(&self, around: &dyn Around, call: &Call, enactor: &Enactor, act: &mut Act) -> Result<Option<u64>, Refused> {
        let said = &act.judged.decision;
        let led_to = said.steer.clone().and_then(|steer| Some(((enactor.steered)(&act.action, &steer)?, steer)));
        let Some((Observed { verb, target, origin, origin_to, history: _ }, steer)) = led_to else {
            return Err(self.deny_for(around, call, act.action.clone(), &act.judged, "the steer leads nowhere: the act cannot be done so"));
        };
        self.decided(&act.action, said, &act.judged.facts, RecordClass::Ordered)?;
        let asked = (act.action.clone(), said.clone());
        let action = Action { verb, target, ..act.action.clone() };
        let needs = self.judge.plan.needs(&action);
        let (origin, origin_to) = if needs.origin { (origin, origin_to) } else { (None, None) };
        let mut facts = Facts { origin, origin_to, ..around.facts(&action, &needs) };
        facts.grants.clone_from(&act.judged.facts.grants);
        let mut decision = self.judge.decide(&action, &facts);
        let kept = decision.obligations.join(&said.obligations) && (enactor.honours)(&decision.obligations);
        *act = Act { action, judged: Judged { decision, facts }, verdict: Verdict::Steer(steer) };
        match act.judged.decision.decision {
            Says::Allow if kept => {
                let record = self.allow(act)?;
                self.uplink.steered(&asked, record);
                Ok(record)
            }
            Says::Deny => Err(self.deny(around, call, act.action.clone(), &act.judged)),
            _ => Err(self.deny_for(around, call, act.action.clone(), &act.judged, "what it is steered to is not allowed as it stands")),
        }
    }
}
