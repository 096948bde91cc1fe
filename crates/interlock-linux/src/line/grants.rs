//! Yeses for the session: kept from their records until they end, are used up or are taken back.
//!
//! They are Facts like any other yes: the same `decide` runs with them, so none lifts a denial or a steer. INVARIANT: what is kept covers the place that was asked
//! about in this session, as the Action that was shown says it, whatever the answer claims.

use interlock_core::action::Action;
use interlock_core::grant::{Grant, Reach};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Kept at one time. Past it a yes is good once.
const KEPT_MAX: usize = 1024;

/// The yeses of one session.
#[derive(Default)]
pub(crate) struct Grants(Mutex<Vec<Grant>>);

impl Grants {
    /// Keeps a yes that was given for the session to a question about this act. Whether it is kept.
    pub(super) fn keep(&self, grant: &Grant, asked: &Action) -> bool {
        let mut kept = self.kept();
        let is_meant = grant.reach.is_some() && grant.reach == Reach::of(asked);
        if is_meant && kept.len() < KEPT_MAX {
            kept.push(grant.clone());
        }
        is_meant
    }

    /// Those that are about this act, at this time.
    pub(super) fn about(&self, action: &Action, now_ms: u64) -> Vec<Grant> {
        let reaches = |grant: &&Grant| grant.reach.as_ref().is_some_and(|reach| reach.covers(action));
        self.kept().iter().filter(|grant| grant.uses > 0 && grant.expires_ms > now_ms).filter(reaches).cloned().collect()
    }

    /// Notes that an act was let through by these.
    pub(super) fn used(&self, grants: &[Grant]) {
        for grant in self.kept().iter_mut().filter(|kept| grants.iter().any(|used| used.id == kept.id)) {
            grant.uses = grant.uses.saturating_sub(1);
        }
    }

    /// Takes back every yes to the place of this one; those that were.
    pub(super) fn take_back(&self, id: &str) -> Vec<Grant> {
        let mut kept = self.kept();
        let Some(reach) = kept.iter().find(|grant| grant.id == id).map(|grant| grant.reach.clone()) else { return Vec::new() };
        let (gone, left) = kept.drain(..).partition(|grant| grant.reach == reach);
        *kept = left;
        gone
    }

    /// All that are in force.
    pub(crate) fn all(&self, now_ms: u64) -> Vec<Grant> {
        self.kept().iter().filter(|grant| grant.uses > 0 && grant.expires_ms > now_ms).cloned().collect()
    }

    /// Whether a yes for the session lets connections to this name through.
    pub(crate) fn opens(&self, name: &str, now_ms: u64) -> bool {
        let names = |grant: &Grant| grant.reach.as_ref().is_some_and(|reach| reach.host.as_deref() == Some(name));
        self.kept().iter().any(|grant| names(grant) && grant.uses > 0 && grant.expires_ms > now_ms)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Grant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
