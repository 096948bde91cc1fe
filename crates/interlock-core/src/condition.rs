//! Conditions on the arguments of a tool call, each at a JSON pointer (RFC 6901).
//!
//! An argument that is absent fulfils no condition but `present: false`. One that a test cannot judge is an error, and an erring rule
//! denies: a number written as text must not slip past a bound, nor a list past a rule that denies one text. What the server behind
//! would read otherwise than the condition does cannot be judged either: a key that only folds to the one that is asked for, and a path
//! that climbs out of the pattern that it matches.
//!
//! The same conditions are held against what a client answers to a server's questions (`answers`).

use crate::decision::Says;
use crate::folding;
use crate::glob::Glob;
use crate::json;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// The tests, as they are written.
pub const TESTS: &[&str] = &["equals", "in", "matches", "at_most", "at_least", "present"];

/// A test on one argument.
#[derive(Clone, Debug)]
pub struct Condition {
    /// JSON pointer, empty for all arguments.
    pub at: String,
    /// What is asked of the value there.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Clone, Debug)]
pub enum Test {
    /// The same JSON value, by its canonical form.
    Equals(String),
    /// One of these, by canonical form.
    In(Vec<String>),
    /// A string matched by a glob in which `/` means nothing.
    Matches(Glob),
    /// The same where the glob speaks of a path: a string that strays from its front cannot be judged.
    MatchesPath(Glob),
    /// A number not above.
    AtMost(Number),
    /// A number not below.
    AtLeast(Number),
    /// Whether there is a value at all (null is one).
    Present(bool),
}

impl Condition {
    /// Whether all hold. One that surely does not decides; else one that cannot be judged is the error.
    pub fn all(conditions: &[Self], says: Says, arguments: &Value) -> Result<bool, String> {
        let mut errors = Vec::new();
        for condition in conditions {
            match condition.holds(says, arguments) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => errors.push(error),
            }
        }
        errors.into_iter().min().map_or(Ok(true), Err)
    }

    /// Whether they hold for what a client answers, each answer for itself: a rule that keeps something away speaks where one answer
    /// fulfils all of them, an allow where there are answers and each of them does.
    pub fn answered(conditions: &[Self], says: Says, beside: Option<&Value>) -> Result<bool, String> {
        if conditions.is_empty() {
            return Ok(true);
        }
        let Some(answers) = beside.and_then(|beside| beside.get("inputResponses")) else { return Ok(false) };
        let Some(answers) = answers.as_object() else { return Err("the answers are not an object".into()) };
        let each: Vec<_> = answers.values().map(|answer| Self::all(conditions, says, answer)).collect();
        let decides = says != Says::Allow;
        if each.contains(&Ok(decides)) {
            return Ok(decides);
        }
        let unsure = each.into_iter().filter_map(Result::err).min();
        unsure.map_or(Ok(!decides && !answers.is_empty()), |error| Err(format!("an answer: {error}")))
    }

    fn holds(&self, says: Says, arguments: &Value) -> Result<bool, String> {
        let value = folding::at(arguments, &self.at)?;
        if let Test::Present(wanted) = self.test {
            return Ok(value.is_some() == wanted);
        }
        let Some(value) = value else { return Ok(false) };
        match &self.test {
            Test::Present(_) => Ok(true),
            Test::Equals(wanted) => self.is_one_of(says, value, std::slice::from_ref(wanted)),
            Test::In(wanted) => self.is_one_of(says, value, wanted),
            Test::MatchesPath(_) if value.as_str().is_some_and(folding::strays) => {
                Err(format!("the argument at `{}` is a path that leaves what it begins with", self.at))
            }
            Test::Matches(glob) | Test::MatchesPath(glob) => match value {
                Value::String(text) => Ok(glob.matches(text.as_bytes())),
                _ => Err(self.unfit("a string")),
            },
            Test::AtMost(bound) => self.compare(value, bound).map(Ordering::is_le),
            Test::AtLeast(bound) => self.compare(value, bound).map(Ordering::is_ge),
        }
    }

    /// Whether it is one of these. A rule that keeps something away cannot judge a value of another type than all of them: what reads
    /// it may unwrap or convert it.
    fn is_one_of(&self, says: Says, value: &Value, wanted: &[String]) -> Result<bool, String> {
        let text = json::canonical(value);
        if wanted.contains(&text) {
            return Ok(true);
        }
        let alike = says == Says::Allow || value.is_null() || wanted.iter().any(|one| Type::of(one) == Type::of(&text));
        if alike { Ok(false) } else { Err(self.unfit("of a type that it is compared with")) }
    }

    fn compare(&self, value: &Value, bound: &Number) -> Result<Ordering, String> {
        match value {
            Value::Number(number) => compare(number, bound).ok_or_else(|| self.unfit("a number")),
            _ => Err(self.unfit("a number")),
        }
    }

    fn unfit(&self, wanted: &str) -> String {
        format!("the argument at `{}` is not {wanted}", self.at)
    }
}

/// The type of a JSON value, by its canonical form.
#[derive(PartialEq, Eq)]
enum Type {
    Object,
    Array,
    Text,
    Truth,
    Null,
    Number,
}

impl Type {
    fn of(canonical: &str) -> Self {
        match canonical.as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Truth,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

/// Compares as numbers, exactly: an integer is never rounded to a double first.
pub(crate) fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => compare_mixed(left, right.as_f64()?),
        (None, Some(right)) => compare_mixed(right, left.as_f64()?).map(Ordering::reverse),
        (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// Doubles that reach here are below 2^53 (`json`), so their whole part is an exact integer.
#[allow(clippy::cast_possible_truncation)]
fn compare_mixed(integer: i128, double: f64) -> Option<Ordering> {
    let whole = double.floor();
    let fraction = double - whole;
    match integer.cmp(&(whole as i128)) {
        Ordering::Equal if fraction > 0.0 => Some(Ordering::Less),
        ordering => fraction.is_finite().then_some(ordering),
    }
}
