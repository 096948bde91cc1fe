//! The parts of a compiled layer's JSON that placing reads and changes.

use interlock_core::action::Bytes;
use interlock_core::excepted::Excepted;
use interlock_core::pattern::Pattern;
use interlock_core::patterns::Patterns;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The selectors that hold path patterns.
pub(crate) const SELECTORS: [&str; 3] = ["path", "except", "except_within"];

/// One rule of a layer, for changing what it matches.
pub(crate) struct Rule<'a> {
    /// `layer/id`.
    pub name: String,
    pub allows: bool,
    pub denies: bool,
    pub best_effort: bool,
    /// Where it stands: file, line, column.
    pub source: Value,
    pub verbs: Vec<&'a str>,
    /// Its `match`.
    pub selectors: &'a mut Map<String, Value>,
}

/// Every rule, in order.
pub(crate) fn rules(layers: &mut [Value]) -> Result<Vec<Rule<'_>>, String> {
    let mut found = Vec::new();
    for layer in layers {
        let name = text(layer.get("name"), "name")?.to_owned();
        let rules = layer.get_mut("rules").and_then(Value::as_array_mut).ok_or("a layer without `rules`")?;
        for rule in rules.iter_mut().map(Value::as_object_mut) {
            found.push(one(&name, rule.ok_or("a rule that is not an object")?)?);
        }
    }
    Ok(found)
}

fn one<'a>(layer: &str, rule: &'a mut Map<String, Value>) -> Result<Rule<'a>, String> {
    let (mut id, mut decision, mut verbs, mut selectors) = (None, None, None, None);
    let (mut best_effort, mut source) = (false, Value::Null);
    for (key, value) in rule.iter_mut() {
        match key.as_str() {
            "id" => id = Some(&*value),
            "decision" => decision = Some(&*value),
            "verbs" => verbs = value.as_array(),
            "best_effort" => best_effort = *value == Value::Bool(true),
            "source" => source = value.clone(),
            "match" => selectors = value.as_object_mut(),
            _ => {}
        }
    }
    let decision = text(decision, "decision")?;
    Ok(Rule {
        name: format!("{layer}/{}", text(id, "id")?),
        allows: decision == "allow",
        denies: decision == "deny",
        best_effort,
        source,
        verbs: verbs.ok_or("a rule without `verbs`")?.iter().filter_map(Value::as_str).collect(),
        selectors: selectors.ok_or("a rule without `match`")?,
    })
}

fn text<'a>(value: Option<&'a Value>, key: &str) -> Result<&'a str, String> {
    value.and_then(Value::as_str).ok_or_else(|| format!("a layer or rule without `{key}`"))
}

impl Rule<'_> {
    /// Whether it speaks of changes, and not of reading alone.
    pub fn changes(&self) -> bool {
        self.verbs.iter().any(|verb| verb.starts_with("file.") && *verb != "file.read")
    }

    /// The patterns of a selector; none when it is not there.
    pub fn patterns(&self, selector: &str) -> Result<Vec<Cow<'_, [u8]>>, String> {
        self.selectors.get(selector).and_then(Value::as_array).into_iter().flatten().map(pattern).collect()
    }

    /// What it leaves out.
    pub fn excepted(&self) -> Result<Excepted, String> {
        Ok(Excepted { names: all_compiled(&self.patterns("except")?)?, within: all_compiled(&self.patterns("except_within")?)? })
    }

    /// Lists objects besides those it lists.
    pub fn list(&mut self, objects: impl Iterator<Item = (u64, u64)>) {
        let listed = self.selectors.entry("inodes").or_insert_with(|| json!([]));
        let Some(listed) = listed.as_array_mut() else { return };
        for (device, number) in objects {
            let object = json!({"device": device, "number": number});
            if !listed.contains(&object) {
                listed.push(object);
            }
        }
    }

    /// Puts patterns behind all others of its path, unless they are there already.
    pub fn append(&mut self, added: Vec<Vec<u8>>) {
        let count = self.selectors.get("path").and_then(Value::as_array).map_or(0, Vec::len);
        self.insert("path", added.into_iter().rev().map(|pattern| (count.saturating_sub(1), pattern)).collect());
    }

    /// Puts patterns behind those of a selector at these places, the last place first, unless they are there already.
    pub fn insert(&mut self, selector: &str, added: Vec<(usize, Vec<u8>)>) {
        let Some(list) = self.selectors.get_mut(selector).and_then(Value::as_array_mut) else { return };
        for (at, pattern) in added.into_iter().rev() {
            let pattern = json!(Bytes(pattern));
            if !list.contains(&pattern) {
                list.insert(at + 1, pattern);
            }
        }
    }
}

fn pattern(value: &Value) -> Result<Cow<'_, [u8]>, String> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text.as_bytes())),
        other => Bytes::deserialize(other).map(|bytes| Cow::Owned(bytes.0)).map_err(|error| error.to_string()),
    }
}

/// A pattern ready to be asked.
pub(crate) fn compiled(pattern: &[u8]) -> Result<Pattern, String> {
    Pattern::compile(&Bytes(pattern.to_vec()))
}

/// Patterns ready to be asked.
pub(crate) fn all_compiled(patterns: &[impl AsRef<[u8]>]) -> Result<Patterns, String> {
    patterns.iter().map(|pattern| compiled(pattern.as_ref())).collect::<Result<Vec<_>, _>>().map(Patterns::from)
}

/// Puts `after` in the place of `before` in every pattern.
pub(crate) fn rename(layers: &mut [Value], before: &str, after: &str) -> Result<(), String> {
    let lists = rules(layers)?.into_iter().flat_map(|rule| rule.selectors.iter_mut().filter(|(key, _)| SELECTORS.contains(&key.as_str())));
    for pattern in lists.filter_map(|(_, list)| list.as_array_mut()).flatten() {
        if let Some(text) = pattern.as_str().filter(|text| text.contains(before)) {
            *pattern = text.replace(before, after).into();
        }
    }
    Ok(())
}
