//! What a rule says of a statement of SQL (`sql`).
//!
//! A statement that uses several tables is one act. So a rule that lets something through speaks of it only where all that it uses is
//! named, and a rule that keeps something away where any of it is. A call that is no statement is touched by no such rule.

use crate::decision::Says;
use crate::glob::Glob;
use crate::statement::Statement;

/// The keys of `sql`.
pub const KEYS: &[&str] = &["verb", "tables", "changed", "columns", "functions", "where"];

/// What a rule wants of a statement. `None` does not narrow.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Statements {
    pub verb: Option<Vec<Glob>>,
    pub tables: Option<Vec<Glob>>,
    pub changed: Option<Vec<Glob>>,
    pub columns: Option<Vec<Glob>>,
    pub functions: Option<Vec<Glob>>,
    pub r#where: Option<bool>,
}

impl Statements {
    /// Whether it wants nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { verb, tables, changed, columns, functions, r#where } = self;
        [verb, tables, changed, columns, functions].iter().all(|globs| globs.is_none()) && r#where.is_none()
    }

    /// Whether an allow would speak of tables that it does not name: a statement may use one and none of its columns, as `count(*)` does.
    #[must_use]
    pub fn leaves_tables_open(&self) -> bool {
        self.tables.is_none() && (self.columns.is_some() || self.changed.is_some())
    }

    /// Whether a rule of this decision speaks of it.
    #[must_use]
    pub fn touch(&self, says: Says, statement: Option<&Statement>) -> bool {
        let Some(statement) = statement else { return false };
        let verb = self.verb.as_ref().is_none_or(|globs| named(globs, &statement.verb));
        let used = |globs: &Option<Vec<Glob>>, names: &[String]| globs.as_ref().is_none_or(|globs| speaks(says, globs, names));
        verb && used(&self.tables, &statement.tables)
            && used(&self.changed, &statement.changed)
            && used(&self.columns, &statement.columns)
            && used(&self.functions, &statement.functions)
            && self.r#where.is_none_or(|wanted| statement.r#where == Some(wanted))
    }
}

fn speaks(says: Says, globs: &[Glob], names: &[String]) -> bool {
    let named = |name: &String| named(globs, name);
    if says == Says::Allow { names.iter().all(named) } else { names.iter().any(named) }
}

fn named(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name.as_bytes()))
}
