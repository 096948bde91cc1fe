//! A pattern brought to the names the kernel resolves: a symbolic link in its literal front is followed.
//!
//! `/bin/**` means `/usr/bin/**` where `/bin` is a link. `/proc` is never entered: its links differ for each process.

use crate::names::Names;
use std::borrow::Cow;

/// Links followed in one pattern (the kernel's own limit, path_resolution(7)).
const LINKS_MAX: usize = 40;

/// The literal components that a pattern begins with, as the path they mean. Found without compiling the pattern: nearly all of a policy's
/// patterns pass no link and name nothing that is there, and need no more.
pub(crate) struct Front<'a> {
    /// Empty when there is none.
    pub path: Cow<'a, [u8]>,
    /// What follows, as written and with its `/`.
    pub rest: &'a [u8],
}

impl<'a> Front<'a> {
    pub fn of(pattern: &'a [u8]) -> Self {
        let magic = if pattern.starts_with(b"/") { first_magic(pattern) } else { Some(0) };
        let Some(magic) = magic else { return Self { path: unescaped(pattern), rest: b"" } };
        let (before, _) = pattern.split_at(magic);
        let (front, rest) = pattern.split_at(before.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
        Self { path: unescaped(front), rest }
    }
}

/// Where a glob's first own character stands. A backslash takes the next character as it is.
fn first_magic(pattern: &[u8]) -> Option<usize> {
    let mut bytes = pattern.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(if *byte == b'\\' { *bytes.next().unwrap_or(byte) } else { *byte });
    }
    Cow::Owned(out)
}

/// The pattern that matches exactly these bytes.
pub(crate) fn escaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for byte in name {
        if b"*?[]{}\\".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// A pattern after links, and the way there.
pub(crate) struct Resolved {
    pub pattern: Vec<u8>,
    pub way: Way,
}

/// Where a path leads: every step of it that could be made to lead elsewhere.
pub(crate) struct Way {
    /// The path without links.
    pub end: Vec<u8>,
    /// The links that were followed, outermost first.
    pub links: Vec<Step>,
    /// Names behind which the way goes up again (`a/../b`): with a link in the place of such a folder it would go elsewhere.
    pub turns: Vec<Vec<u8>>,
}

/// A link on the way.
pub(crate) struct Step {
    pub path: Vec<u8>,
    pub target: Vec<u8>,
    /// The path with this link not followed, those before it followed; nothing where it goes up again behind the link.
    pub through: Option<Vec<u8>>,
}

/// The pattern with every link in its literal front followed; nothing where none is, or they form a loop.
pub(crate) fn resolve(pattern: &[u8], names: &mut Names) -> Option<Resolved> {
    let front = Front::of(pattern);
    if front.path.is_empty() || is_in(&front.path, b"/proc") || !names.at(&front.path).passes_a_link {
        return None;
    }
    let way = way(&front.path, names)?;
    let pattern = behind(&way.end, front.rest);
    (!way.links.is_empty()).then_some(Resolved { pattern, way })
}

/// The pattern that matches what `rest` does below exactly this path.
pub(crate) fn behind(path: &[u8], rest: &[u8]) -> Vec<u8> {
    let path = if path == b"/" && !rest.is_empty() { b"" } else { path };
    [escaped(path).as_slice(), rest].concat()
}

/// The way to a path; nothing where it passes a loop or `/proc`.
pub(crate) fn way(path: &[u8], names: &Names) -> Option<Way> {
    let mut waiting = components(path);
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut way = Way { end: Vec::new(), links: Vec::new(), turns: Vec::new() };
    // The folder of the last link goes where the link goes, so what lies above the link is no turn.
    let mut carried = 0;
    while let Some(name) = waiting.pop() {
        if done == [b"proc"] {
            return None;
        }
        if name == b".." {
            if done.len() > carried {
                way.turns.push(joined(done.iter()));
            }
            done.pop();
            carried = carried.min(done.len());
            continue;
        }
        let path = joined(done.iter().chain([&name]));
        let Some(target) = names.target(&path) else {
            done.push(name);
            continue;
        };
        if way.links.len() >= LINKS_MAX {
            return None;
        }
        let goes_up = waiting.iter().any(|name| name == b"..");
        let through = (!goes_up).then(|| joined(done.iter().chain([&name]).chain(waiting.iter().rev())));
        if target.starts_with(b"/") {
            done.clear();
        }
        carried = done.len();
        waiting.extend(components(&target));
        way.links.push(Step { path, target, through });
    }
    way.end = joined(done.iter());
    Some(way)
}

fn joined<'a>(names: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let path = names.flat_map(|name| [b"/", name.as_slice()]).collect::<Vec<_>>().concat();
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// The last first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect()
}

/// Whether a path is `directory` or lies below it.
pub(crate) fn is_in(path: &[u8], directory: &[u8]) -> bool {
    matches!(path.strip_prefix(directory), Some([] | [b'/', ..]))
}
