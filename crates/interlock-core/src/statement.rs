//! What a statement of SQL does, as the connector's database told it before anything was decided. What rules say of it is in `statements`.

use serde::{Deserialize, Serialize};

/// What a statement does. Names are in small letters where the database takes them alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// `select`, `insert`, …
    pub verb: String,
    /// Tables and views that it uses, also by way of views, triggers and foreign keys.
    pub tables: Vec<String>,
    /// Those of them whose rows or definition it changes.
    pub changed: Vec<String>,
    /// `table.column` that it reads or sets; of a table whose rows it adds or removes, all.
    pub columns: Vec<String>,
    /// Functions that it calls.
    pub functions: Vec<String>,
    /// For a SELECT, UPDATE or DELETE, whether it has a WHERE of its own.
    pub r#where: Option<bool>,
}
