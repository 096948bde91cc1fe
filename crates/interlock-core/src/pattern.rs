//! Path patterns (`spec/policy.md`, Patterns): absolute or from `**/`, by component, over bytes.
//!
//! Compiled once into a literal start and the components after it. Matching allocates nothing and tries only the last `**` again, so it
//! takes at most components of the pattern times bytes of the path steps, for each component at most that glob's own.

use crate::bytes::Bytes;
use crate::glob::Glob;

/// Longest pattern, in bytes: twice the kernel's longest path.
pub const PATTERN_BYTES_MAX: usize = 8192;

/// A compiled path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Bytes,
    /// The literal components it begins with, as a path without a `/` at the end: empty for the root.
    prefix: Vec<u8>,
    rest: Vec<Component>,
}

/// What one component of a pattern admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// `**`: any number of components, none included.
    Depth,
    /// One component.
    Name(Glob),
}

impl Pattern {
    /// Compiles a pattern. Errors quote it and say what to write.
    pub fn compile(text: &Bytes) -> Result<Self, String> {
        let refuse = |why: &str| format!("the pattern `{}` has {why}", text.lossy());
        if text.0.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern of {} bytes, of which at most {PATTERN_BYTES_MAX} are read", text.0.len()));
        }
        let rest = match text.0.strip_prefix(b"/") {
            Some(rest) => rest,
            None if text.0.starts_with(b"**/") => text.0.as_slice(),
            None => return Err(format!("the pattern `{}` begins neither with `/` nor with `**/`", text.lossy())),
        };
        let mut components = Vec::new();
        for name in split(rest).map_err(refuse)? {
            let component = component(name).map_err(|why| refuse(&why))?;
            if !(component == Component::Depth && components.last() == Some(&Component::Depth)) {
                components.push(component);
            }
        }
        Ok(Self::from_components(text.clone(), components))
    }

    fn from_components(text: Bytes, components: Vec<Component>) -> Self {
        let mut prefix = Vec::new();
        let mut count = 0;
        for component in &components {
            let Component::Name(Glob::Literal(name)) = component else { break };
            prefix.push(b'/');
            prefix.extend_from_slice(name);
            count += 1;
        }
        let rest = components.into_iter().skip(count).collect();
        Self { text, prefix, rest }
    }

    /// The pattern as written.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The literal components it begins with, as a path without a `/` at the end: empty for the root.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// What follows the literal components.
    pub fn rest(&self) -> &[Component] {
        &self.rest
    }

    /// Whether it is a literal path and everything below it.
    pub fn is_tree(&self) -> bool {
        self.rest == [Component::Depth]
    }

    /// Whether each name in it is a text: it has no wildcard but `**`.
    pub fn is_spelled(&self) -> bool {
        self.rest.iter().all(|part| matches!(part, Component::Depth | Component::Name(Glob::Literal(_))))
    }

    /// Whether an absolute clean path matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        match path.strip_prefix(self.prefix.as_slice()) {
            Some([]) => matches_components(&self.rest, None),
            Some([b'/']) if self.prefix.is_empty() => matches_components(&self.rest, None),
            Some([b'/', below @ ..]) => matches_components(&self.rest, Some(below)),
            _ => false,
        }
    }

    /// The folder in which a pattern that begins with `**/` begins to match this path: the one nearest to the root of those that the `**` could
    /// end in. `None`: it begins with a name, or does not match.
    pub fn begins_in<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        self.begins_where(path, |named, below| matches_components(named, Some(below)))
    }

    /// The same of a path that matches, or below which something could.
    pub fn begins_towards<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        self.begins_where(path, |named, below| matches_components(named, Some(below)) || reaches_below(named, below))
    }

    fn begins_where<'a>(&self, path: &'a [u8], holds: impl Fn(&[Component], &[u8]) -> bool) -> Option<&'a [u8]> {
        let (true, [Component::Depth, named @ ..]) = (self.prefix.is_empty(), self.rest.as_slice()) else { return None };
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(place, _)| place);
        let begins = |place: &usize| path.get(place + 1..).is_some_and(|below| !below.is_empty() && holds(named, below));
        let place = slashes.into_iter().find(begins)?;
        path.get(..place.max(1))
    }

    /// Whether some path strictly below this directory could match.
    pub fn could_match_below(&self, directory: &[u8]) -> bool {
        let directory = if directory == b"/" { b"".as_slice() } else { directory };
        match directory.strip_prefix(self.prefix.as_slice()) {
            Some([]) => !self.rest.is_empty(),
            Some([b'/', below @ ..]) => reaches_below(&self.rest, below),
            _ => begins_below(&self.prefix, directory),
        }
    }
}

fn begins_below(path: &[u8], directory: &[u8]) -> bool {
    matches!(path.strip_prefix(directory), Some([b'/', ..]))
}

/// Whether, when these components have taken all of `below`, they can take one more. Steps through every state at once.
fn reaches_below(components: &[Component], below: &[u8]) -> bool {
    let mut alive = vec![false; components.len() + 1];
    alive.first_mut().into_iter().for_each(|first| *first = true);
    for name in below.split(|byte| *byte == b'/') {
        close(components, &mut alive);
        let mut next = vec![false; components.len() + 1];
        for (index, component) in components.iter().enumerate() {
            if !alive.get(index).copied().unwrap_or(false) {
                continue;
            }
            let target = match component {
                Component::Depth => index,
                Component::Name(glob) if glob.matches(name) => index + 1,
                Component::Name(_) => continue,
            };
            next.get_mut(target).into_iter().for_each(|state| *state = true);
        }
        alive = next;
    }
    alive.iter().take(components.len()).any(|state| *state)
}

/// A `**` may take nothing: whoever stands before it also stands after it.
fn close(components: &[Component], alive: &mut [bool]) {
    for (index, component) in components.iter().enumerate() {
        if *component == Component::Depth && alive.get(index).copied().unwrap_or(false) {
            alive.get_mut(index + 1).into_iter().for_each(|state| *state = true);
        }
    }
}

/// `rest` is the path from its next component on; `None` when there are no more.
fn matches_components(components: &[Component], rest: Option<&[u8]>) -> bool {
    match (components, rest) {
        ([], rest) => return rest.is_none(),
        ([Component::Depth], _) => return true,
        ([Component::Depth, Component::Name(glob)], Some(path)) => return glob.matches(last(path)),
        _ => {}
    }
    let (mut at, mut rest) = (0, rest);
    let mut again: Option<(usize, &[u8])> = None;
    loop {
        match (components.get(at), rest) {
            (None, None) => return true,
            (Some(Component::Depth), _) if at + 1 == components.len() => return true,
            (Some(Component::Depth), Some(path)) => {
                at += 1;
                again = Some((at, path));
                continue;
            }
            (Some(Component::Name(glob)), Some(path)) => {
                let (name, after) = next(path);
                if glob.matches(name) {
                    (at, rest) = (at + 1, after);
                    continue;
                }
            }
            // A `**` here is followed by a name (two never follow each other), for which nothing is left.
            (Some(_), None) => return false,
            (None, Some(_)) => {}
        }
        let Some((after, path)) = again else { return false };
        let (_, Some(path)) = next(path) else { return false };
        (at, rest, again) = (after, Some(path), Some((after, path)));
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn next(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..)),
        None => (path, None),
    }
}

/// Splits at every `/` that is not escaped or in a class. `/` alone is the root, which has no components.
fn split(rest: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    let (mut start, mut escaped, mut class) = (0, false, false);
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            b'/' if class || escaped => return Err("a `/` that is escaped or in a class, which no name holds"),
            b'/' => {
                names.push(rest.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            b'[' if !escaped => class = true,
            b']' if !escaped => class = false,
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
    }
    names.push(rest.get(start..).unwrap_or_default());
    Ok(names)
}

fn component(name: &[u8]) -> Result<Component, String> {
    match name {
        b"**" => Ok(Component::Depth),
        b"" => Err("an empty component (`//`, or a `/` at its end); nothing could match it".into()),
        b"." | b".." => Err("a `.` or `..` component; resolved paths have none, so nothing could match it".into()),
        _ if has_double_star(name) => Err("`**` beside something else; it must be a whole component".into()),
        _ => Glob::compile(name).map(Component::Name),
    }
}

fn has_double_star(name: &[u8]) -> bool {
    let mut escaped = false;
    let mut before = false;
    for byte in name {
        let star = *byte == b'*' && !escaped;
        if star && before {
            return true;
        }
        escaped = *byte == b'\\' && !escaped;
        before = star;
    }
    false
}
