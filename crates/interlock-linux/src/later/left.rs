//! What is left of a session's changes that something outside would run: each by its kind, the most dangerous first, with the keys that matter.
//!
//! Looked at when nothing of the session runs any more, by reading files only. Left out: what was changed and is gone again.

use super::content::{Room, content, is_program};
use super::former::Former;
use super::found::{CHANGED, Found, LINKED, MADE, MOVED, SHARED};
use super::git::{Followed, common, destination, is_bookkeeping, is_in_dot_git, is_repository};
use super::keys::{self, Keys, Told};
use super::kinds::{Kinds, above, last, outer};
use super::named::named;
use super::passing::Passing;
use super::walk::{Walked, walk};
use crate::wire::messages::Finds;
use interlock_core::action::{Bytes, Inode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Things listed; the rest are in the counts.
const ITEMS_MAX: usize = 2_000;
/// The first of each kind, which come before the others of any.
const FIRST: usize = 5;
/// Of the list, in one record; a record has room for twice as much, and replaces by a digest what exceeds it.
const RECORD_BYTES: usize = 24 * 1024;
/// Of the list, in the last message to whoever started the session.
const MESSAGE_BYTES: usize = 1 << 20;

/// Names to which links lead, and how long moved folders and links are looked through.
const REACHED_MAX: usize = 50_000;
const LOOKING_MAX: Duration = Duration::from_secs(6);
/// Folders above what was changed elsewhere that are asked whether they are a repository.
const OUTER_MAX: usize = 20_000;
/// Folders looked through before one that holds nothing else is taken to hold something.
const FOLDERS_MAX: usize = 1_000;

/// What keyed files held before the session changed them: `None` where nothing was there.
pub type Before = BTreeMap<Vec<u8>, Option<Keys>>;

/// The list, in order; how many there are of each kind; and how many changes, folders and files were not looked at.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Left {
    pub items: Vec<Value>,
    pub counts: BTreeMap<String, u64>,
    pub unseen: u64,
}

impl Left {
    /// Cut into what a record holds: what goes into the closing record, and the rest for records before it.
    #[must_use]
    pub fn in_records(&self) -> (Value, Vec<Value>) {
        let (mut parts, mut bytes) = (vec![Vec::new()], 0);
        for item in &self.items {
            let more = item.to_string().len() + 1;
            if bytes + more > RECORD_BYTES {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += more;
            parts.last_mut().map(|part| part.push(item.clone())).unwrap_or_default();
        }
        let mut parts = parts.into_iter().map(Value::Array);
        (parts.next().unwrap_or_default(), parts.collect())
    }

    /// As much of the list as a message holds: the first of every kind.
    #[must_use]
    pub fn in_message(&self) -> Value {
        let sizes = self.items.iter().scan(0, |bytes, item| {
            *bytes += item.to_string().len() + 1;
            Some(*bytes)
        });
        let count = sizes.take_while(|bytes| *bytes <= MESSAGE_BYTES).count();
        json!(self.items.get(..count))
    }

    /// Puts the list into a message, with the counts of all.
    pub fn tell(&self, message: &mut Value, listed: &Value) {
        if let Some(object) = message.as_object_mut() {
            object.insert("runs_later".into(), listed.clone());
            object.insert("runs_later_counts".into(), json!(self.counts));
            object.insert("runs_later_unseen".into(), json!(self.unseen));
        }
    }
}

struct Item {
    kind: usize,
    how: u8,
    keys: Told,
    leads: Option<Vec<u8>>,
    changes: Option<u64>,
}

struct Ending<'a> {
    kinds: &'a Kinds,
    passing: &'a Passing,
    before: &'a Before,
    followed: Followed,
    /// Files that are named by something that runs.
    named: BTreeSet<Vec<u8>>,
    items: BTreeMap<Vec<u8>, Item>,
    /// What could not be looked at, and is of no kind by its name.
    unseen: u64,
    /// Names to which links led.
    reached: usize,
    /// For files that are compared key by key; what has no room is listed whole.
    room: Room,
    begun: Instant,
}

/// Looks at what was found.
pub fn left(kinds: &Kinds, passing: &Passing, found: &Found, before: &Before, former: &Former) -> Left {
    let objects: HashSet<Inode> = found.changed_objects().collect();
    let mut names: BTreeMap<Vec<u8>, u8> = BTreeMap::new();
    for (path, entry) in &found.names {
        let through_another = entry.object.is_some_and(|object| objects.contains(&object));
        let how = entry.how | if through_another { CHANGED } else { 0 };
        let stays = match look(path) {
            Look::There(there) => !is_device(&there),
            Look::Hidden => true,
            Look::Gone => false,
        };
        if how != 0 && stays {
            names.insert(path.clone(), how);
        }
    }
    let unseen = found.more + former.more;
    let (followed, named, items, room) = (Followed::default(), BTreeSet::new(), BTreeMap::new(), Room::default());
    let mut ending = Ending { kinds, passing, before, followed, named, items, unseen, reached: 0, room, begun: Instant::now() };
    if !names.is_empty() || !objects.is_empty() {
        let sought = if found.has_unseen_names() { objects.clone() } else { HashSet::new() };
        let walked = walk(kinds, &kinds.workspace, &sought, false);
        if found.has_unseen_names() {
            share(&mut names, found, &walked, &objects);
        }
        ending.follow(&walked, &names);
        ending.everything(walked, names, former);
    }
    for (root, changes) in &found.trees {
        ending.tree(root, *changes);
    }
    ending.told()
}

/// Marks the names of changed objects that have more names than were found.
fn share(names: &mut BTreeMap<Vec<u8>, u8>, found: &Found, walked: &Walked, objects: &HashSet<Inode>) {
    let mut of: BTreeMap<(u64, u64), BTreeSet<&[u8]>> = BTreeMap::new();
    let known = found.names.iter().filter_map(|(path, entry)| entry.object.map(|object| (path, object)));
    for (path, object) in known.chain(walked.names.iter().map(|(path, object)| (path, *object))) {
        if objects.contains(&object) && there(path).is_some_and(|at| at.dev() == object.device && at.ino() == object.number) {
            of.entry((object.device, object.number)).or_default().insert(path);
        }
    }
    for paths in of.values() {
        let links = paths.first().and_then(|path| there(path)).map_or(0, |at| at.nlink());
        if links > paths.len() as u64 {
            for path in paths {
                *names.entry(path.to_vec()).or_default() |= CHANGED | SHARED;
            }
        }
    }
}

impl Ending<'_> {
    /// Where git is led by what stands now.
    fn follow(&mut self, walked: &Walked, names: &BTreeMap<Vec<u8>, u8>) {
        let home = &self.kinds.home;
        let workspace = self.kinds.workspace.as_slice();
        // What lies elsewhere may lie in a repository, and so may the workspace.
        let elsewhere = names.keys().filter(|path| !self.kinds.is_within(path)).map(Vec::as_slice);
        let folders: BTreeSet<&[u8]> = std::iter::once(workspace).chain(elsewhere).flat_map(outer).take(OUTER_MAX).collect();
        let holding = folders.into_iter().filter(|folder| there(&[folder, b"/.git".as_slice()].concat()).is_some());
        for work in std::iter::once(workspace).chain(walked.repositories.iter().map(Vec::as_slice)).chain(holding) {
            self.followed.user(home, work);
            self.followed.repository(work, home);
        }
        for path in names.keys().filter(|path| last(path) == b"config" && is_repository(above(path))) {
            let directory = above(path);
            self.followed.bare(directory, if last(directory) == b".git" { above(directory) } else { directory }, home);
        }
        for directory in walked.led.iter().filter(|directory| is_repository(directory)) {
            self.followed.bare(directory, directory, home);
        }
    }

    /// Every name, what moved folders brought along, and the names by which links lead to any of it.
    fn everything(&mut self, walked: Walked, mut names: BTreeMap<Vec<u8>, u8>, former: &Former) {
        self.unseen += u64::from(walked.is_partial) + self.followed.unseen;
        let folders: HashSet<Vec<u8>> = names
            .iter()
            .filter(|(path, how)| *how & MOVED != 0 && is_folder(path) && self.kinds.of_tree(path).is_none())
            .map(|(path, _)| path.clone())
            .collect();
        let inner = |path: &[u8]| outer(path).any(|above| folders.contains(above));
        for folder in folders.iter().filter(|folder| !inner(folder)) {
            if self.is_over() {
                break;
            }
            let brought = walk(self.kinds, folder, &HashSet::new(), true);
            self.unseen += u64::from(brought.is_partial);
            for path in brought.files {
                *names.entry(path).or_default() |= MOVED;
            }
            for root in brought.trees {
                self.tree(&root, 1);
            }
        }
        for (path, _) in walked.names {
            *names.entry(path).or_default() |= CHANGED;
        }
        let files: BTreeMap<Vec<u8>, u8> =
            names.iter().filter(|(path, _)| !is_folder(path)).map(|(path, how)| (path.clone(), *how)).collect();
        let mut numbers: HashMap<Vec<u8>, u64> = HashMap::new();
        for (link, target) in walked.links {
            if self.kinds.of_tree(&link).is_some() {
                let changes = *numbers.entry(target).or_insert_with_key(|target| below(&files, target).count() as u64);
                if changes > 0 {
                    self.tree(&link, changes);
                }
                continue;
            }
            if self.is_over() {
                break;
            }
            self.through(&link, &target, &mut names);
        }
        self.look_for_names(&names, former);
        for (path, how) in &names {
            self.name(path, *how);
        }
    }

    /// Finds what is named by something that runs, of the files that are nothing else.
    fn look_for_names(&mut self, names: &BTreeMap<Vec<u8>, u8>, former: &Former) {
        if self.kinds.finding(Finds::Named).is_none() {
            return;
        }
        let is_plain = |path: &[u8], how: u8| {
            let at = there(path).filter(|at| at.is_file() || at.is_symlink());
            at.is_some_and(|at| {
                !is_bookkeeping(path)
                    && !self.passing.has(path)
                    && self.kinds.tree_of(path).is_none()
                    && self.kind(path, how, &at, None).is_none()
            })
        };
        let plain = names.iter().filter(|(path, how)| is_plain(path, **how)).map(|(path, _)| path.clone()).collect();
        let found = named(self.kinds, plain, former);
        self.named = found.paths;
        self.unseen += u64::from(found.is_partial);
    }

    /// The names by which a link leads to what was changed, where they make more of it than its own does: a link to the whole workspace makes a second name
    /// of everything. Where the link itself was made, the names of whatever lies there.
    fn through(&mut self, link: &[u8], target: &[u8], names: &mut BTreeMap<Vec<u8>, u8>) {
        let by_link = |path: &[u8]| [link, path.get(target.len()..).unwrap_or_default()].concat();
        let place = |path: &[u8]| self.kinds.by_name(path).unwrap_or(usize::MAX);
        let mut reached = Vec::new();
        for (path, how) in below(names, target) {
            self.reached += 1;
            let named = by_link(path);
            if place(&named) < place(path) {
                reached.push((named, *how));
            }
        }
        if let Some(how) = names.get(link).copied().filter(|_| is_folder(target)) {
            let all = walk(self.kinds, target, &HashSet::new(), true);
            self.unseen += u64::from(all.is_partial);
            self.reached += all.files.len();
            reached.extend(all.files.iter().map(|path| (by_link(path), how)).filter(|(path, _)| self.kinds.names(path)));
        }
        for (path, how) in reached.into_iter().filter(|(path, _)| !is_folder(path)) {
            *names.entry(path).or_default() |= how;
        }
    }

    /// Whether there was enough: what is left is counted.
    fn is_over(&mut self) -> bool {
        let is_over = self.reached > REACHED_MAX || self.begun.elapsed() > LOOKING_MAX;
        self.unseen += u64::from(is_over);
        is_over
    }

    fn name(&mut self, path: &[u8], how: u8) {
        let is_of_repository =
            matches!(last(path), b"HEAD" | b"objects" | b"refs" | b"config" | b"config.worktree" | b"commondir" | b"hooks");
        if is_of_repository && !is_in_dot_git(path) && is_repository(above(path)) {
            self.repository(above(path), how);
        }
        if how & SHARED == 0 && self.kinds.is_within_tree(path) {
            return; // the tree is one thing, and was counted when this was noted
        }
        let there = match look(path) {
            Look::There(there) if !there.is_dir() => there,
            Look::Hidden => return self.hidden(path, how),
            _ => return,
        };
        let leads = there.is_symlink().then(|| destination(path));
        let Some(kind) = self.kind(path, how, &there, leads.as_deref()).or_else(|| self.other(path)) else { return };
        self.list(path, kind, how, leads);
    }

    /// What nobody has a name for: some tool may run it, and which ones there are nobody knows.
    fn other(&self, path: &[u8]) -> Option<usize> {
        let is_nothing = is_bookkeeping(path) || self.kinds.leaves_out(path) || self.kinds.tree_of(path).is_some();
        if is_nothing { None } else { self.kinds.of_the_rest(path) }
    }

    /// What nobody can look at, such as in a folder that lets nobody in: it may be opened again, so its name says what it is.
    fn hidden(&mut self, path: &[u8], how: u8) {
        match self.kinds.by_name(path) {
            Some(kind) => drop(self.items.insert(path.to_vec(), Item { kind, how, keys: Told::default(), leads: None, changes: None })),
            None => self.unseen += 1,
        }
    }

    fn list(&mut self, path: &[u8], kind: usize, how: u8, leads: Option<Vec<u8>>) {
        let mut found = Told::default();
        if let Some(of) = self.kinds.all.get(kind).and_then(|kind| kind.keys.as_ref()).filter(|_| leads.is_none()) {
            let is_read = self.room.holds(path);
            if let Some(now) = is_read.then(|| content(path)).flatten().and_then(|bytes| keys::keys(of.format, &bytes)) {
                found = keys::changed(of, self.before.get(path).and_then(Option::as_ref), &now);
                if found.keys.is_empty() {
                    return; // nothing in it that was changed makes anything run
                }
            }
        }
        self.items.insert(path.to_vec(), Item { kind, how, keys: found, leads, changes: None });
    }

    /// The most dangerous of what it is.
    fn kind(&self, path: &[u8], how: u8, there: &Metadata, leads: Option<&[u8]>) -> Option<usize> {
        let finding = |what, holds: bool| if holds { self.kinds.finding(what) } else { None };
        [
            self.kinds.by_name(path),
            finding(Finds::Hooks, self.followed.runs(path)),
            finding(Finds::Git, self.followed.included.contains(path)),
            finding(Finds::Links, how & SHARED != 0 || leads.is_some_and(|target| !self.kinds.is_calm(target))),
            finding(Finds::Programs, leads.is_some_and(|target| self.kinds.is_within(target) && is_executable(target))),
            finding(
                Finds::Programs,
                there.is_file() && !self.is_sample(path) && (there.permissions().mode() & 0o111 != 0 || is_program(path)),
            ),
            finding(Finds::Named, self.named.contains(path)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A sample hook, where git installs it: it is no program that anybody starts.
    fn is_sample(&self, path: &[u8]) -> bool {
        self.kinds.leaves_out(path) && is_repository(above(above(path)))
    }

    /// A folder that git takes for a repository, whatever it is called: a shell prompt in it is enough.
    fn repository(&mut self, directory: &[u8], how: u8) {
        let shared = common(directory);
        if let Some(kind) = self.kinds.finding(Finds::Git) {
            for config in [[shared.as_slice(), b"/config"].concat(), [directory, b"/config.worktree"].concat()] {
                if there(&config).is_some() {
                    self.list(&config, kind, how, None);
                }
            }
        }
        let hooks = [shared.as_slice(), b"/hooks"].concat();
        let Some(kind) = self.kinds.finding(Finds::Hooks) else { return };
        for hook in walk(self.kinds, &hooks, &HashSet::new(), true).files {
            if !hook.ends_with(b".sample") {
                self.list(&hook, kind, how, None);
            }
        }
    }

    fn tree(&mut self, root: &[u8], changes: u64) {
        let Some(kind) = self.kinds.of_tree(root).filter(|_| holds_something(root)) else { return };
        self.items.insert(root.to_vec(), Item { kind, how: CHANGED, keys: Told::default(), leads: None, changes: Some(changes) });
    }

    /// In order of danger; within a kind what was there before first, and what lies near the top. The first few of each kind come before the rest.
    fn told(self) -> Left {
        let unseen = self.unseen;
        let depth = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
        let stays = |item: &(Vec<u8>, Item)| !self.passing.has(&item.0);
        let mut items: Vec<(Vec<u8>, Item)> = self.items.into_iter().filter(stays).collect();
        items.sort_by_key(|(path, item)| (item.kind, item.how & MADE != 0, depth(path), path.clone()));
        let (mut counts, mut first, mut rest) = (BTreeMap::<String, u64>::new(), Vec::new(), Vec::new());
        for (path, item) in items {
            let Some(kind) = self.kinds.all.get(item.kind) else { continue };
            let count = counts.entry(kind.name.clone()).or_default();
            *count += 1;
            let told = item.told(&kind.name, path);
            if *count <= FIRST as u64 { first.push(told) } else { rest.push(told) }
        }
        first.extend(rest);
        first.truncate(ITEMS_MAX);
        Left { items: first, counts, unseen }
    }
}

impl Item {
    fn told(self, kind: &str, path: Vec<u8>) -> Value {
        let words = [(MADE, "made"), (CHANGED, "changed"), (MOVED, "moved"), (LINKED, "linked"), (SHARED, "shared")];
        let how: Vec<&str> = words.into_iter().filter(|(bit, _)| self.how & bit != 0).map(|(_, word)| word).collect();
        let mut told = json!({"path": Bytes(path), "kind": kind, "how": how});
        let mut also = |key: &str, value: Option<Value>| {
            if let (Some(object), Some(value)) = (told.as_object_mut(), value) {
                object.insert(key.to_owned(), value);
            }
        };
        also("keys", (!self.keys.keys.is_empty()).then(|| json!(self.keys.keys)));
        also("keys_more", (self.keys.more > 0).then(|| json!(self.keys.more)));
        also("leads", self.leads.map(|leads| json!(Bytes(leads))));
        also("changes", self.changes.map(|changes| json!(changes)));
        told
    }
}

/// Of some names, that of a thing and what lies below it.
fn below<'a>(names: &'a BTreeMap<Vec<u8>, u8>, top: &[u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a u8)> + use<'a> {
    let (start, end) = ([top, b"/"].concat(), [top, b"0"].concat()); // a zero follows the slash
    names.get_key_value(top).into_iter().chain(names.range(start..end))
}

/// What is at a name.
enum Look {
    There(Metadata),
    Gone,
    /// It cannot be looked at, and may be there: a folder on the way lets nobody in, or the whole name is too long to ask for.
    Hidden,
}

fn look(path: &[u8]) -> Look {
    match std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path))) {
        Ok(there) => Look::There(there),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Look::Gone,
        Err(_) => Look::Hidden,
    }
}

fn there(path: &[u8]) -> Option<Metadata> {
    if let Look::There(there) = look(path) { Some(there) } else { None }
}

/// Whether it keeps nothing of what is written to it.
fn is_device(there: &Metadata) -> bool {
    there.file_type().is_char_device() || there.file_type().is_block_device()
}

/// Whether something is there, and if it is a folder, whether anything but folders lies in it.
fn holds_something(path: &[u8]) -> bool {
    let mut ahead = vec![path.to_vec()];
    let mut entries = 0;
    while let Some(path) = ahead.pop() {
        entries += 1;
        match look(&path) {
            Look::Gone => continue,
            Look::There(at) if at.is_dir() && entries <= FOLDERS_MAX => {}
            _ => return true,
        }
        let Ok(listing) = std::fs::read_dir(Path::new(std::ffi::OsStr::from_bytes(&path))) else { return true };
        ahead.extend(listing.flatten().map(|entry| entry.path().into_os_string().into_vec()));
    }
    false
}

fn is_executable(path: &[u8]) -> bool {
    there(path).is_some_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0)
}

fn is_folder(path: &[u8]) -> bool {
    there(path).is_some_and(|there| there.is_dir())
}
