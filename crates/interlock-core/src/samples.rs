//! What the patterns of a rule ask for below a folder, and what of it the rule leaves out there.
//!
//! A pattern that begins with `**/` asks for the same below every folder that has no part in it, and nearly none has a part in nearly any: so that
//! text is found once, when the Plan is made, with whether the rule leaves it out wherever it is. A link asks this of every pattern.
//! INVARIANT: what is said is what `beneath::asked` and `Excepted::matched` say, which are asked wherever a folder has a part.

use crate::beneath;
use crate::excepted::Excepted;
use crate::glob::Glob;
use crate::pattern::{Component, Pattern};
use crate::rules::Rule;
use std::borrow::Cow;

/// For each pattern of a rule, what it asks for below a folder that has no part in it; `None` for one that begins with a name.
#[derive(Clone, Debug)]
pub(crate) struct Samples(Vec<Option<Sample>>);

#[derive(Clone, Debug)]
struct Sample {
    /// The plainest path, behind a `/`.
    text: Vec<u8>,
    /// Whether a pattern of `except` that begins with `**/` matches in it, whatever stands before it.
    is_excepted: bool,
}

/// A path that a pattern asks for below a folder.
pub(crate) struct Asked<'a> {
    pattern: &'a Pattern,
    sample: Option<&'a Sample>,
    text: Cow<'a, [u8]>,
}

/// A folder, as the `except` of a rule sees it.
pub(crate) struct Folder<'a> {
    /// Without a `/` at its end: empty for the root.
    path: &'a [u8],
    names: Vec<&'a [u8]>,
    except: &'a Excepted,
    /// Whether no match begins in it.
    is_within: bool,
    /// The patterns of `except` that see where a sample lies.
    placed: Vec<&'a Pattern>,
}

impl Samples {
    pub fn of(rule: &Rule) -> Self {
        let except = &rule.selectors.except;
        let sample = |pattern: &Pattern| {
            first(pattern)?;
            let text = beneath::asked(pattern, b"/").into_iter().next()?;
            let is_excepted = except.names.iter().any(|excepted| first(excepted).is_some() && excepted.matches(&text));
            Some(Sample { text, is_excepted })
        };
        Self(rule.selectors.path.iter().flat_map(|patterns| patterns.iter().map(sample)).collect())
    }

    /// What the rule that these are of asks for below the folder.
    pub fn asked<'a>(&'a self, rule: &'a Rule, folder: &Folder<'_>) -> Vec<Asked<'a>> {
        let mut asked = Vec::with_capacity(self.0.len());
        let patterns = rule.selectors.path.iter().flat_map(|patterns| patterns.iter());
        for (pattern, sample) in patterns.zip(&self.0) {
            match sample {
                Some(sample) if !folder.has_part_in(pattern) => {
                    asked.push(Asked { pattern, sample: Some(sample), text: Cow::Borrowed(&sample.text) });
                }
                _ => {
                    let texts = beneath::asked(pattern, folder.path).into_iter();
                    asked.extend(texts.map(|text| Asked { pattern, sample: None, text: Cow::Owned(text) }));
                }
            }
        }
        asked
    }
}

impl<'a> Folder<'a> {
    pub fn of(rule: &'a Rule, path: &'a [u8]) -> Self {
        let except = &rule.selectors.except;
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
        let sees = |pattern: &&Pattern| match first(pattern) {
            Some(first) => names.iter().any(|name| first.matches(name)),
            None => pattern.could_match_below(path),
        };
        Self {
            path: if path == b"/" { b"" } else { path },
            except,
            is_within: except.within.matches(path),
            placed: except.names.iter().filter(sees).collect(),
            names,
        }
    }

    /// What is asked for, by its whole name here.
    pub fn name_of(&self, asked: &Asked<'_>) -> Vec<u8> {
        [self.path, &asked.text].concat()
    }

    /// Whether the rule leaves out what is asked for, if it is here.
    pub fn leaves_out(&self, asked: &Asked<'_>) -> bool {
        match asked.sample {
            Some(sample) if !self.has_part_in(asked.pattern) => {
                let is_placed = || {
                    let name = self.name_of(asked);
                    self.placed.iter().any(|excepted| excepted.matches(&name))
                };
                self.is_within || sample.is_excepted || (!self.placed.is_empty() && is_placed())
            }
            _ => self.except.matched(asked.pattern, &self.name_of(asked)),
        }
    }

    /// Whether a match of the pattern could begin in a folder above: one of the names on the way is what the pattern begins with.
    fn has_part_in(&self, pattern: &Pattern) -> bool {
        first(pattern).is_none_or(|first| self.names.iter().any(|name| first.matches(name)))
    }
}

/// The name that a pattern begins with after its `**`.
fn first(pattern: &Pattern) -> Option<&Glob> {
    match pattern.rest() {
        [Component::Depth, Component::Name(first), ..] if pattern.prefix().is_empty() => Some(first),
        _ => None,
    }
}
