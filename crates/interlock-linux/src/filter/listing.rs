//! The table of system calls as JSON, for `--syscalls` and `docs/syscalls.md`.

use super::table::{Class, Clause, ROWS, Row, Ruling, Shared};
use serde_json::{Value, json};

/// All rows.
#[must_use]
pub fn json() -> String {
    Value::Array(ROWS.iter().map(row).collect()).to_string()
}

fn row(row: &Row) -> Value {
    let clauses: &[Clause] = match row.class {
        Class::Mediated(_, clauses) | Class::ByNeed(_, _, clauses) | Class::Filtered(_, clauses, _) => clauses,
        Class::Walled | Class::Harmless | Class::Refused(_) | Class::Recorded(_) | Class::Private(_) => &[],
    };
    let needed_for = match row.class {
        Class::ByNeed(_, what, _) => Some(format!("{what:?}").to_lowercase()),
        _ => None,
    };
    let errno = match row.class {
        Class::Refused(errno) | Class::Recorded(errno) | Class::Private(Shared::Refused(errno)) => Some(errno),
        _ => None,
    };
    json!({
        "number": row.number, "name": row.name, "class": row.word(), "why": row.why, "errno": errno,
        "needed_for": needed_for,
        "handler": row.handler().map(|handler| format!("{handler:?}").to_lowercase()),
        "conditions": clauses.iter().map(|clause| format!("{:?} → {}", clause.all, ruling(clause.ruling))).collect::<Vec<_>>(),
    })
}

fn ruling(ruling: Ruling) -> String {
    match ruling {
        Ruling::Allow => "allow".into(),
        Ruling::Notify => "ask".into(),
        Ruling::Errno(errno) => format!("errno {errno}"),
        Ruling::Refuse(errno) => format!("errno {errno}, recorded"),
    }
}
