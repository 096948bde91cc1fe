//! Several patterns asked at once: whether any matches.

use crate::pattern::Pattern;
use crate::table::Table;

/// From so many patterns on a table is quicker than asking each.
const TABLE_MIN: usize = 6;

/// Patterns, with a table of them when they are many.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    all: Vec<Pattern>,
    table: Option<Table>,
    /// Those the table could not file.
    loose: Vec<Pattern>,
}

impl Patterns {
    /// Whether any pattern matches the path.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.matches_where(path, |_| true)
    }

    /// Whether a pattern that `holds` matches the path.
    pub fn matches_where(&self, path: &[u8], holds: impl Fn(&Pattern) -> bool) -> bool {
        let wanted = |pattern: &Pattern| pattern.matches(path) && holds(pattern);
        let Some(table) = &self.table else { return self.all.iter().any(wanted) };
        let filed = |number: u32| usize::try_from(number).ok().and_then(|number| self.all.get(number)).is_some_and(wanted);
        table.any(path, filed) || self.loose.iter().any(wanted)
    }

    /// Each pattern, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.all.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl From<Vec<Pattern>> for Patterns {
    fn from(all: Vec<Pattern>) -> Self {
        if all.len() < TABLE_MIN {
            return Self { all, table: None, loose: Vec::new() };
        }
        let mut table = Table::default();
        let mut loose = Vec::new();
        for (number, pattern) in (0..).zip(&all) {
            if !table.add(pattern, number) {
                loose.push(pattern.clone());
            }
        }
        Self { all, table: Some(table), loose }
    }
}
