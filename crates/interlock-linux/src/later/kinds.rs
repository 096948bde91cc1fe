//! The kinds of what runs later, as the launch gives them: by name, by whose property they are found, and trees that count as one thing.
//!
//! Left out: what the kinds are (one table, on the policy's side) and what was changed (`found`).

use crate::wire::messages::{Finds, KeysOf, Named, RunsLater};
use interlock_core::action::Bytes;
use interlock_core::beneath;
use interlock_core::pattern::Pattern;
use interlock_core::patterns::Patterns;

/// One kind, in the order of danger.
pub struct Kind {
    pub name: String,
    paths: Patterns,
    except: Patterns,
    /// Its paths are folders that count as one thing, whatever lies in them.
    pub tree: bool,
    pub finds: Option<Finds>,
    pub keys: Option<KeysOf>,
}

impl Kind {
    fn names(&self, path: &[u8]) -> bool {
        !self.tree && self.paths.matches(path) && !self.except.matches(path)
    }
}

/// All of them. A kind is meant by its place in the order.
pub struct Kinds {
    pub all: Vec<Kind>,
    /// Every path that some kind names.
    named: Patterns,
    /// Of those, what runs wherever it lies, in a tree too.
    in_trees: Patterns,
    trees: Patterns,
    /// Whose content is compared key by key.
    keyed: Patterns,
    /// Where links may lead without a word.
    calm: Patterns,
    inert: Named,
    documents: Named,
    pub workspace: Vec<u8>,
    pub home: Vec<u8>,
}

impl Kinds {
    /// # Errors
    /// A pattern that is none.
    pub fn new(wanted: &RunsLater, workspace: &[u8], home: &[u8]) -> Result<Self, String> {
        let compile = |texts: &[Bytes]| texts.iter().map(Pattern::compile).collect::<Result<Vec<_>, _>>();
        let of = |which: &dyn Fn(&crate::wire::messages::LaterKind) -> bool| {
            let texts: Vec<Bytes> = wanted.kinds.iter().filter(|kind| which(kind)).flat_map(|kind| kind.paths.clone()).collect();
            compile(&texts).map(Patterns::from)
        };
        let kind = |kind: &crate::wire::messages::LaterKind| {
            Ok::<_, String>(Kind {
                name: kind.name.clone(),
                paths: compile(&kind.paths)?.into(),
                except: compile(&kind.except)?.into(),
                tree: kind.tree,
                finds: kind.finds,
                keys: kind.keys.clone(),
            })
        };
        Ok(Self {
            all: wanted.kinds.iter().map(kind).collect::<Result<_, _>>()?,
            named: of(&|kind| !kind.tree)?,
            in_trees: of(&|kind| kind.in_trees && !kind.tree)?,
            trees: of(&|kind| kind.tree)?,
            keyed: of(&|kind| kind.keys.is_some())?,
            calm: compile(&wanted.calm)?.into(),
            inert: wanted.inert.clone(),
            documents: wanted.documents.clone(),
            workspace: workspace.to_vec(),
            home: home.to_vec(),
        })
    }

    /// Whether nothing is to be found.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether some kind names this path.
    pub fn names(&self, path: &[u8]) -> bool {
        self.named.matches(path)
    }

    /// Whether a link at this path makes names that some kind names, wherever it leads.
    pub fn names_below(&self, link: &[u8]) -> bool {
        self.named.iter().any(|pattern| beneath::lost(pattern, link, b"/").is_some())
    }

    /// As [`Kinds::names`], for what runs even from within a tree.
    pub fn names_in_trees(&self, path: &[u8]) -> bool {
        self.in_trees.matches(path)
    }

    /// Whether the content at this name is compared key by key.
    pub fn is_keyed(&self, path: &[u8]) -> bool {
        self.keyed.matches(path)
    }

    /// The most dangerous kind that names this path.
    pub fn by_name(&self, path: &[u8]) -> Option<usize> {
        self.all.iter().position(|kind| kind.names(path))
    }

    /// Whether a kind leaves this path out, such as the sample hooks that git installs.
    pub fn leaves_out(&self, path: &[u8]) -> bool {
        self.all.iter().any(|kind| kind.except.matches(path))
    }

    /// The kind of what is found by this property.
    pub fn finding(&self, what: Finds) -> Option<usize> {
        self.all.iter().position(|kind| kind.finds == Some(what))
    }

    /// The outermost tree that the path is or lies in: how many of its bytes name it. The workspace is never in one: it may lie in a folder of such a
    /// name, and is what somebody works in.
    pub fn tree_of(&self, path: &[u8]) -> Option<usize> {
        let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().find(|end| path.get(..*end).is_some_and(|root| self.is_tree(root)))
    }

    fn is_tree(&self, root: &[u8]) -> bool {
        self.trees.matches(root) && !is_at_or_below(&self.workspace, root)
    }

    /// Whether the path lies in a tree, and is nothing that runs from within one.
    pub fn is_within_tree(&self, path: &[u8]) -> bool {
        self.tree_of(path).is_some_and(|end| end < path.len()) && !self.names_in_trees(path)
    }

    /// The kind of a tree.
    pub fn of_tree(&self, root: &[u8]) -> Option<usize> {
        self.all.iter().position(|kind| kind.tree && kind.paths.matches(root)).filter(|_| !is_at_or_below(&self.workspace, root))
    }

    /// Whether a link may lead there without a word: it stays in the workspace, or ends where only the system puts programs.
    pub fn is_calm(&self, target: &[u8]) -> bool {
        self.is_within(target) || self.calm.matches(target)
    }

    /// The kind of a file that is nothing else: a text for people, or whatever it is; none of a picture.
    pub fn of_the_rest(&self, path: &[u8]) -> Option<usize> {
        let name = String::from_utf8_lossy(last(path)).to_lowercase();
        if self.inert.has(&name) {
            return None;
        }
        self.finding(if self.documents.has(&name) { Finds::Documents } else { Finds::Others })
    }

    /// Whether a path is the workspace or lies in it.
    pub fn is_within(&self, path: &[u8]) -> bool {
        is_at_or_below(path, &self.workspace)
    }
}

impl Named {
    fn has(&self, name: &str) -> bool {
        match name.rsplit_once('.') {
            Some((_, ending)) => self.endings.iter().any(|known| known == ending),
            None => self.names.iter().any(|known| known == name),
        }
    }
}

/// Whether `path` is `top` or lies below it.
pub fn is_at_or_below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The folder that holds a name; empty for what lies at the root.
pub fn above(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').and_then(|at| path.get(..at)).unwrap_or_default()
}

/// The folders that a name lies in, the nearest first; without the root.
pub fn outer(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(above(path)), |folder| Some(above(folder))).take_while(|folder| !folder.is_empty())
}

/// The last part of a name.
pub fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}
