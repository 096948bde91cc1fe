//! A Grant: a human's yes to one question, as a Fact. It never edits a decision; the same `decide` runs again with it.

use crate::action::{Action, Protocol, Side, Target, Verb};
use crate::host;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A yes to one question (`spec/action.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `g-…`
    pub id: String,
    /// Digest of the Action it was given for.
    pub digest: String,
    /// Who said yes, for example `uid:1000`.
    pub approver: String,
    /// Milliseconds since 1970; at and after this time it is no grant.
    pub expires_ms: u64,
    /// Uses left.
    pub uses: u64,
    /// The place that it covers besides, in the session that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// One place of the network, for one session: what a yes for the session is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Reach {
    pub session: String,
    pub verb: Verb,
    pub protocol: Protocol,
    /// The name that was asked for; without one, the address alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The address that was asked about.
    pub address: IpAddr,
    pub port: u16,
}

impl Grant {
    /// Whether it answers the question that this Action, with this digest, would be at this time. An agent is never its own approver.
    pub fn covers(&self, action: &Action, digest: &str, now_ms: u64) -> bool {
        let is_meant = self.digest == digest || self.reach.as_ref().is_some_and(|reach| reach.covers(action));
        is_meant && self.uses > 0 && self.expires_ms > now_ms && self.by_another(action.subject.agent.as_deref())
    }

    fn by_another(&self, agent: Option<&str>) -> bool {
        let approver = self.approver.strip_prefix("agent:").unwrap_or(&self.approver);
        !approver.is_empty() && agent != Some(approver)
    }
}

impl Reach {
    /// What a yes for the session to this act would be about; nothing where it can be said about this act alone.
    #[must_use]
    pub fn of(action: &Action) -> Option<Self> {
        let (Verb::NetConnect | Verb::NetSend, Some(session)) = (action.verb, &action.subject.session) else { return None };
        match &action.target {
            Target::Net { protocol: Protocol::Tcp | Protocol::Udp, to: Side::Outside, .. } => Self::at(session, action),
            _ => None,
        }
    }

    fn at(session: &str, action: &Action) -> Option<Self> {
        let Target::Net { protocol, address, port, ref host, .. } = action.target else { return None };
        Some(Self { session: session.to_owned(), verb: action.verb, protocol, host: host.clone(), address, port })
    }

    /// Whether an act goes to this place. A name leads to the address that was shown, and to public ones: wherever else it leads to is asked about again.
    #[must_use]
    pub fn covers(&self, action: &Action) -> bool {
        let Some(Self { session, verb, protocol, host, address, port }) = Self::of(action) else { return false };
        let same = (&session, verb, protocol, &host, port) == (&self.session, self.verb, self.protocol, &self.host, self.port);
        same && (address == self.address || host.is_some() && host::is_public(address))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn act(changes: &Value) -> Action {
        let mut target = json!({"protocol": "tcp", "address": "198.19.0.1", "port": 443, "to": "outside", "host": "new.example.org"});
        let mut subject = json!({"session": "s-1"});
        let mut verb = json!("net.connect");
        for (key, value) in changes.as_object().unwrap() {
            match key.as_str() {
                "session" => subject = json!({"session": value}),
                "verb" => verb = value.clone(),
                _ => drop(target.as_object_mut().unwrap().insert(key.clone(), value.clone())),
            }
        }
        Action::from_value(json!({"id": "s-1/1", "plane": "host", "verb": verb, "target": target, "subject": subject})).unwrap()
    }

    #[test]
    fn a_yes_for_the_session_covers_its_place_and_nothing_else() {
        let reach = Reach::of(&act(&json!({}))).unwrap();
        for covered in [json!({}), json!({"address": "203.0.113.9"}), json!({"address": "2606:4700::1"})] {
            assert!(reach.covers(&act(&covered)), "{covered}");
        }
        let others = [
            json!({"host": "other.example.org"}),
            json!({"host": "a.new.example.org"}),
            json!({"host": null}),
            json!({"port": 80}),
            json!({"protocol": "udp"}),
            json!({"verb": "net.send"}),
            json!({"verb": "net.bind"}),
            json!({"session": "s-2"}),
            json!({"to": "inside"}),
            json!({"address": "198.19.0.2"}),
            json!({"address": "10.0.0.1"}),
            json!({"address": "127.0.0.1"}),
            json!({"address": "169.254.169.254"}),
            json!({"address": "64:ff9b::a00:1"}),
            json!({"address": "fd00:ec2::254"}),
        ];
        for other in others {
            assert!(!reach.covers(&act(&other)), "{other}");
        }
    }

    #[test]
    fn a_literal_address_is_itself_alone() {
        let reach = Reach::of(&act(&json!({"host": null, "address": "203.0.113.7"}))).unwrap();
        assert!(reach.covers(&act(&json!({"host": null, "address": "203.0.113.7"}))));
        for other in [json!({"address": "203.0.113.7"}), json!({"host": null, "address": "203.0.113.8"})] {
            assert!(!reach.covers(&act(&other)), "{other}");
        }
    }

    #[test]
    fn what_is_no_way_out_has_no_yes_for_the_session() {
        for other in [json!({"to": "inside"}), json!({"verb": "net.listen"}), json!({"session": null}), json!({"protocol": "other"})] {
            assert_eq!(Reach::of(&act(&other)), None, "{other}");
        }
    }
}
