//! The one table: every x86_64 system call, what is done with it and why (`docs/syscalls.md` is printed from it).
//!
//! The filter is emitted from it and the door dispatches by it. A number that is not here returns ENOSYS, as on an older kernel.

use super::need::{For, Need};

mod clauses;
mod rows;

pub use clauses::{MARK, MARK_ERRNO};
pub use rows::ROWS;

/// Which part of the supervisor answers a mediated call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Handler {
    Open,
    Names,
    Metadata,
    Ioctl,
    Exec,
    Signal,
    Connect,
    Bind,
    Listen,
    Send,
    Options,
    Shutdown,
    Credentials,
    Own,
    Sysv,
}

/// What the filter does with one call, where its registers decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The kernel goes on; the wall still stands.
    Allow,
    /// The supervisor is asked.
    Notify,
    /// The call returns this errno (0: it reports success and nothing was done).
    Errno(i32),
    /// The supervisor is told, records it, and the call fails with this errno.
    Refuse(i32),
}

/// A test on one register. Only the low word is compared, as the kernel reads these arguments, but for [`Test::Given`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// The masked argument is one of the values.
    Is {
        /// Register, from 0.
        argument: u8,
        /// Bits compared.
        mask: u32,
        /// Any of these.
        values: &'static [u32],
    },
    /// Any of these bits is set.
    Any {
        /// Register, from 0.
        argument: u8,
        /// Bits looked at.
        bits: u32,
    },
    /// The argument is not zero, all 64 bits of it.
    Given(u8),
}

/// When all tests hold, the ruling.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Clause {
    pub all: &'static [Test],
    pub ruling: Ruling,
}

/// What is done with a call.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    /// The door decides; the first clause that holds may say otherwise.
    Mediated(Handler, &'static [Clause]),
    /// Mediated where the session needs it for that; else the clauses say, in order, and then the kernel goes on.
    ByNeed(Handler, For, &'static [Clause]),
    /// The clauses say, in order; then the ruling.
    Filtered(Option<Handler>, &'static [Clause], Ruling),
    /// The kernel goes on and Landlock bounds it.
    Walled,
    /// The kernel goes on: it reaches nothing a rule protects.
    Harmless,
    /// Always this errno.
    Refused(i32),
    /// Always this errno, and it is recorded: an attack, or something that a program may miss.
    Recorded(i32),
    /// Harmless in an IPC namespace of the session's own (root), else this.
    Private(Shared),
}

/// What is done with a call on objects of the whole machine where the session has no namespace for them.
#[derive(Clone, Copy, Debug)]
pub enum Shared {
    /// Always this errno.
    Refused(i32),
    /// The door keeps it to the session's own objects.
    Kept(Handler),
}

/// One system call.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub class: Class,
    pub why: &'static str,
}

impl Row {
    /// The row of a number, if the table has it.
    #[must_use]
    pub fn of(number: i32) -> Option<&'static Row> {
        let number = u32::try_from(number).ok()?;
        ROWS.binary_search_by_key(&number, |row| row.number).ok().and_then(|index| ROWS.get(index))
    }

    /// Who answers when the filter asks.
    #[must_use]
    pub fn handler(&self) -> Option<Handler> {
        match self.class {
            Class::Mediated(handler, _) | Class::ByNeed(handler, ..) => Some(handler),
            Class::Filtered(handler, ..) => handler,
            Class::Private(Shared::Kept(handler)) => Some(handler),
            Class::Walled | Class::Harmless | Class::Refused(_) | Class::Recorded(_) | Class::Private(Shared::Refused(_)) => None,
        }
    }

    /// Whether the door is asked about such calls, or some of them, in a session that needs so much. A flag that is asked about for
    /// safety's sake does not make it so.
    #[must_use]
    pub fn is_trapped(&self, need: Need) -> bool {
        match self.class {
            Class::ByNeed(_, what, _) => need.of_this(what),
            Class::Private(_) if !need.shared_ipc => false,
            _ => self.handler().is_some(),
        }
    }

    /// The class as one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.class {
            Class::Mediated(..) | Class::ByNeed(..) => "mediated",
            Class::Filtered(..) => "filtered",
            Class::Walled => "walled",
            Class::Harmless => "harmless",
            Class::Refused(_) | Class::Recorded(_) => "refused",
            Class::Private(_) => "private",
        }
    }

    /// What the filter says to this call with these registers: the meaning the emitted program is tested against.
    #[must_use]
    pub fn ruling(&self, arguments: &[u64; 6], need: Need) -> Ruling {
        match self.class {
            Class::ByNeed(_, what, _) if need.of_this(what) => Ruling::Notify,
            Class::ByNeed(_, _, clauses) => first(clauses, arguments).unwrap_or(Ruling::Allow),
            Class::Mediated(_, clauses) => first(clauses, arguments).unwrap_or(Ruling::Notify),
            Class::Filtered(_, clauses, otherwise) => first(clauses, arguments).unwrap_or(otherwise),
            Class::Walled | Class::Harmless => Ruling::Allow,
            Class::Refused(errno) => Ruling::Errno(errno),
            Class::Recorded(errno) => Ruling::Refuse(errno),
            Class::Private(_) if !need.shared_ipc => Ruling::Allow,
            Class::Private(Shared::Refused(errno)) => Ruling::Errno(errno),
            Class::Private(Shared::Kept(_)) => Ruling::Notify,
        }
    }
}

fn first(clauses: &[Clause], arguments: &[u64; 6]) -> Option<Ruling> {
    clauses.iter().find(|clause| clause.all.iter().all(|test| test.holds(arguments))).map(|clause| clause.ruling)
}

impl Test {
    fn holds(&self, arguments: &[u64; 6]) -> bool {
        let whole = |index: u8| arguments.get(usize::from(index)).copied().unwrap_or(0);
        let low = |index: u8| (whole(index) & 0xffff_ffff) as u32;
        match *self {
            Test::Is { argument, mask, values } => values.contains(&(low(argument) & mask)),
            Test::Any { argument, bits } => low(argument) & bits != 0,
            Test::Given(argument) => whole(argument) != 0,
        }
    }
}
