//! Selectors: what narrows a rule to some acts of its verb, and which ends of an act they touch (`spec/action.md`, Matching).

use crate::action::{Action, Bytes, FileEnd, Inode, Protocol, Side, Target};
use crate::command::Command;
use crate::condition::Condition;
use crate::content::Content;
use crate::decision::Says;
use crate::excepted::Excepted;
use crate::glob::Glob;
use crate::host::Hosts;
use crate::keys::{Keys, changes_content};
use crate::language::SELECTORS;
use crate::network::Block;
use crate::patterns::Patterns;
use crate::statements::Statements;
use crate::verb::Verb;
use std::net::IpAddr;

/// The selectors of a rule. `None` does not narrow.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Selectors {
    pub path: Option<Patterns>,
    pub except: Excepted,
    pub inodes: Vec<Inode>,
    pub keys: Option<Keys>,
    pub address: Option<Vec<Block>>,
    pub host: Option<Hosts>,
    pub port: Option<Vec<(u16, u16)>>,
    pub user: Option<Vec<Glob>>,
    pub protocol: Option<Vec<Protocol>>,
    pub to: Option<Side>,
    pub signal: Option<Vec<i32>>,
    pub command: Option<Command>,
    pub connector: Option<Vec<Glob>>,
    pub tool: Option<Vec<Glob>>,
    pub operation: Option<Vec<Glob>>,
    pub arguments: Vec<Condition>,
    pub answers: Vec<Condition>,
    pub sql: Option<Statements>,
}

/// Which ends of an act a rule touches. An act with one end has it as its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The object acted upon, or the source of a rename or link.
    pub source: bool,
    /// The destination of a rename or link; as `source` elsewhere.
    pub destination: bool,
    /// Whether the act has two ends.
    pub paired: bool,
}

impl Touch {
    /// No end.
    pub const NONE: Self = Self { source: false, destination: false, paired: false };

    fn whole(touched: bool) -> Self {
        Self { source: touched, destination: touched, paired: false }
    }

    /// Any end.
    pub fn any(self) -> bool {
        self.source || self.destination
    }
}

/// One end of an act by its names.
struct End<'a> {
    path: &'a Bytes,
    aliases: &'a [Bytes],
    inode: Option<Inode>,
}

impl Selectors {
    /// What the rule touches, and what kept it from being sure (then it counts as touching).
    pub fn touch(&self, says: Says, action: &Action) -> (Touch, Option<String>) {
        let touch = self.touch_target(says, &action.target);
        if !touch.any() {
            return (touch, None);
        }
        if let Some(keys) = &self.keys {
            return touch_keys(keys, touch, action);
        }
        if let (Some(hosts), Target::Net { address, host, .. }) = (&self.host, &action.target) {
            return (touch, astray(hosts, says, *address, host.as_deref()));
        }
        let Target::Tool { arguments, beside, sql, .. } = &action.target else { return (touch, None) };
        if self.sql.as_ref().is_some_and(|wanted| !wanted.touch(says, sql.as_ref())) {
            return (Touch::NONE, None);
        }
        let answered = Condition::answered(&self.answers, says, beside.as_ref());
        match (Condition::all(&self.arguments, says, arguments), answered) {
            (Ok(false), _) | (_, Ok(false)) => (Touch::NONE, None),
            (Err(error), _) | (_, Err(error)) => (touch, Some(error)),
            (Ok(true), Ok(true)) => (touch, None),
        }
    }

    /// Whether a rule that denies or asks about reading touches a rename or link: what may not be read may not be moved to where it
    /// could be. With `exchange` both ends are sources.
    pub fn touch_as_read(&self, says: Says, action: &Action) -> Touch {
        let Target::Pair { path, aliases, inode, to, exchange, .. } = &action.target else { return Touch::NONE };
        let source = self.names(says, &End { path, aliases, inode: *inode });
        let destination = *exchange && self.names(says, &End { path: &to.path, aliases: &to.aliases, inode: to.inode });
        Touch { source, destination, paired: true }
    }

    /// Whether the rule names this end of a file act.
    pub fn names_end(&self, says: Says, end: &FileEnd) -> bool {
        self.names(says, &End { path: &end.path, aliases: &end.aliases, inode: end.inode })
    }

    fn touch_target(&self, says: Says, target: &Target) -> Touch {
        match target {
            Target::File(end) => Touch::whole(self.names(says, &End { path: &end.path, aliases: &end.aliases, inode: end.inode })),
            Target::Pair { path, aliases, inode, to, .. } => Touch {
                source: self.names(says, &End { path, aliases, inode: *inode }),
                destination: self.names(says, &End { path: &to.path, aliases: &to.aliases, inode: to.inode }),
                paired: true,
            },
            Target::Exec { path, aliases, inode, arguments, .. } => Touch::whole(
                self.names(says, &End { path, aliases, inode: *inode })
                    && self.command.as_ref().is_none_or(|command| command.matches(says, path, arguments)),
            ),
            Target::UnixPath { path, aliases, to } => Touch::whole(self.side(*to) && self.names(says, &End { path, aliases, inode: None })),
            Target::UnixAbstract { to, .. } => Touch::whole(self.side(*to) && !self.is_path_bound()),
            Target::Signal { to, signal, .. } => {
                Touch::whole(self.side(*to) && self.signal.as_ref().is_none_or(|signals| signals.contains(signal)))
            }
            Target::Process { to, .. } => Touch::whole(self.side(*to)),
            Target::Net { .. } => Touch::whole(self.net(says, target)),
            Target::Key { user, host, port, .. } => Touch::whole(
                self.host.as_ref().is_none_or(|hosts| hosts.name(host.as_deref()))
                    && self.port.as_ref().is_none_or(|ports| port.is_some_and(|port| within(ports, port)))
                    && self.user.as_ref().is_none_or(|_| user.as_ref().is_some_and(|user| one_of(&self.user, user))),
            ),
            Target::Tool { connector, tool, operation, .. } => {
                Touch::whole(one_of(&self.connector, connector) && one_of(&self.tool, tool) && one_of(&self.operation, operation))
            }
        }
    }

    fn side(&self, to: Side) -> bool {
        self.to.is_none_or(|side| side == to)
    }

    /// Whether anything binds the rule to names in the file system.
    pub fn is_path_bound(&self) -> bool {
        self.path.is_some() || !self.inodes.is_empty() || !self.except.is_empty()
    }

    fn net(&self, says: Says, target: &Target) -> bool {
        let Target::Net { protocol, address, port, to, host } = target else { return false };
        self.side(*to)
            && self.protocol.as_ref().is_none_or(|protocols| protocols.contains(protocol))
            && self.port.as_ref().is_none_or(|ports| within(ports, *port))
            && self.address.as_ref().is_none_or(|blocks| blocks.iter().any(|block| block.contains(*address)))
            && self.host.as_ref().is_none_or(|hosts| hosts.name(host.as_deref()) && (says != Says::Allow || hosts.admit(*address)))
    }

    /// An allow must be sure of the object: its primary path matches, and no name of it is excepted. The others must not be dodged by
    /// another name: any name matches that is not excepted, or the object itself is listed.
    fn names(&self, says: Says, end: &End<'_>) -> bool {
        if says == Says::Allow {
            return self.listed(&end.path.0) && !end.all().any(|name| self.except.names(name));
        }
        let by_inode = end.inode.is_some_and(|inode| self.inodes.contains(&inode));
        by_inode || end.all().any(|name| self.keeps(name))
    }

    /// Whether a pattern matches a name that is not excepted.
    fn keeps(&self, name: &[u8]) -> bool {
        match &self.path {
            Some(patterns) if !self.except.within.is_empty() => patterns.matches_where(name, |pattern| !self.except.matched(pattern, name)),
            _ => self.listed(name) && !self.except.names(name),
        }
    }

    fn listed(&self, name: &[u8]) -> bool {
        match &self.path {
            Some(patterns) => patterns.matches(name),
            None => self.inodes.is_empty(),
        }
    }

    /// Whether anything keeps the rule to some acts of its verbs.
    pub fn narrows(&self) -> bool {
        // Taken apart, so that a selector added later cannot be forgotten here.
        let Self {
            path,
            except,
            inodes,
            keys,
            address,
            host,
            port,
            user,
            protocol,
            to,
            signal,
            command,
            connector,
            tool,
            operation,
            arguments,
            answers,
            sql,
        } = self;
        let unnarrowed = path.is_none()
            && except.is_empty()
            && inodes.is_empty()
            && keys.is_none()
            && address.is_none()
            && host.is_none()
            && port.is_none()
            && user.is_none()
            && protocol.is_none()
            && to.is_none()
            && signal.is_none()
            && command.is_none()
            && connector.is_none()
            && tool.is_none()
            && operation.is_none()
            && arguments.is_empty()
            && answers.is_empty()
            && sql.is_none();
        !unnarrowed
    }

    /// The first selector that acts with this verb do not have, if any: a rule that has one could never mean what it says.
    pub fn foreign_to(&self, verb: Verb) -> Option<&'static str> {
        SELECTORS.iter().find(|selector| self.has(selector.name) && !selector.narrows(verb)).map(|selector| selector.name)
    }

    /// Whether the rule has this selector. A name that the table has and this does not know counts as had, so that its verbs are checked.
    fn has(&self, name: &str) -> bool {
        match name {
            "path" => self.path.is_some(),
            "except" => !self.except.names.is_empty(),
            "except_within" => !self.except.within.is_empty(),
            "inodes" => !self.inodes.is_empty(),
            "keys" => self.keys.is_some(),
            "address" => self.address.is_some(),
            "host" => self.host.is_some(),
            "private" => self.host.as_ref().is_some_and(|hosts| hosts.private),
            "port" => self.port.is_some(),
            "user" => self.user.is_some(),
            "protocol" => self.protocol.is_some(),
            "to" => self.to.is_some(),
            "signal" => self.signal.is_some(),
            "command" => self.command.is_some(),
            "connector" => self.connector.is_some(),
            "tool" => self.tool.is_some(),
            "operation" => self.operation.is_some(),
            "arguments" => !self.arguments.is_empty(),
            "answers" => !self.answers.is_empty(),
            "sql" => self.sql.is_some(),
            _ => true,
        }
    }
}

impl<'a> End<'a> {
    fn all(&self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.path).chain(self.aliases).map(|name| name.0.as_slice())
    }
}

/// Why a name that led to such an address is a mistake for a rule that would let it through. An allow does not speak of it at all, so that another
/// rule may allow the address; a deny holds wherever the name leads.
fn astray(hosts: &Hosts, says: Says, address: IpAddr, host: Option<&str>) -> Option<String> {
    let lets_through = matches!(says, Says::Approve | Says::Steer);
    let name = host.unwrap_or_default();
    (lets_through && !hosts.admit(address)).then(|| format!("`{name}` led to `{address}`, where the rule lets no name lead"))
}

/// What of these ends would have other keys than it has. Ends of which nobody knows are touched, in doubt.
fn touch_keys(keys: &Keys, touch: Touch, action: &Action) -> (Touch, Option<String>) {
    if !changes_content(action.verb) {
        return (Touch::NONE, None);
    }
    let (source, destination) = match &action.target {
        Target::File(end) => (end.content.as_ref(), end.content.as_ref()),
        Target::Pair { content, to, .. } => (content.as_ref(), to.content.as_ref()),
        _ => (None, None),
    };
    let concern = |touched: bool, content: Option<&Content>| if touched { keys.concern_of(content) } else { Ok(false) };
    match (concern(touch.source, source), concern(touch.destination, destination)) {
        (Ok(source), Ok(destination)) => (Touch { source, destination, ..touch }, None),
        (Err(why), _) | (_, Err(why)) => (touch, Some(why)),
    }
}

fn within(ports: &[(u16, u16)], port: u16) -> bool {
    ports.iter().any(|(low, high)| (low..=high).contains(&&port))
}

fn one_of(globs: &Option<Vec<Glob>>, text: &str) -> bool {
    globs.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(text.as_bytes())))
}
