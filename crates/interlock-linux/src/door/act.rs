//! An observed act in words that the line decides on: which object under which names, where it comes from, and what else the act amounts to.

use super::errand::Errand;
use super::file::{before, loss, trash};
use super::seen::caller::{Reached, Stop};
use super::seen::lost::{self, Lost};
use super::seen::resolve::{Name, Object};
use crate::line::{Enactor, Observed, Permit};
use crate::sys::files::{self, Stat};
use interlock_core::action::{Bytes, FileEnd, Inode, Target, Verb};
use interlock_core::facts::Origin;
use std::os::fd::{AsFd as _, BorrowedFd};

/// Everybody may make names there, and nobody may take away another's: `/tmp`.
const OPEN_TO_ALL: u32 = libc::S_ISVTX | libc::S_IWOTH;

impl Errand<'_> {
    /// One end of an act: the name `path`, its other names, and the object there.
    pub fn end_at(&self, path: &[u8], stat: Option<&Stat>) -> FileEnd {
        FileEnd {
            path: Bytes(path.to_vec()),
            aliases: self.session.mounts.aliases(path).into_iter().map(Bytes).collect(),
            inode: stat.map(inode),
            content: None,
        }
    }

    /// An act on one named file, held if it is there.
    pub fn act(&self, verb: Verb, path: &[u8], found: Option<(BorrowedFd<'_>, &Stat)>) -> Observed {
        let target = Target::File(self.end_at(path, found.map(|(_, stat)| stat)));
        let asked = found.filter(|_| self.session.line.judge.asks_origin);
        Observed { origin: asked.map(|found| self.origin(found)), ..Observed::new(verb, target) }
    }

    /// Where what is held comes from.
    pub fn origin(&self, (file, stat): (BorrowedFd<'_>, &Stat)) -> Origin {
        self.session.made.origin(inode(stat), file)
    }

    /// The making of a name in a folder that is held.
    pub fn making(&self, verb: Verb, path: &[u8], folder: BorrowedFd<'_>) -> Observed {
        let asked = self.session.line.judge.asks_origin;
        Observed { origin: asked.then(|| self.origin_in(folder)), ..self.act(verb, path, None) }
    }

    /// Where a name comes from that is not there yet: it changes its folder. In one that is open to everybody it is the session's own, but where a
    /// place of the session's own stands before it: what is made there would have a name outside that means something else in here.
    pub fn origin_in(&self, folder: BorrowedFd<'_>) -> Origin {
        match files::stat(folder) {
            Ok(stat) if stat.mode & OPEN_TO_ALL == OPEN_TO_ALL => {
                if self.is_hidden(folder, &stat) {
                    Origin::Before
                } else {
                    Origin::Session
                }
            }
            Ok(stat) => self.origin((folder, &stat)),
            Err(_) => Origin::Before,
        }
    }

    /// Whether a folder lies in a place before which one of the session's own stands; what cannot be named does.
    fn is_hidden(&self, folder: BorrowedFd<'_>, stat: &Stat) -> bool {
        let (places, name) = (&self.session.places, || self.session.ground.name_of(folder));
        !places.is_empty() && name().map_or(true, |name| places.hide(&name, stat))
    }

    /// The acts `verbs` on an object; none on what has no name and is held already.
    ///
    /// # Errors
    /// A refusal of what has lost its name (`lost`).
    pub fn acts_on(&self, verbs: &[Verb], object: &Object) -> Result<Vec<Observed>, Stop> {
        if let Name::Lost(path) = &object.name {
            self.session.copies.untouched(inode(&object.stat), verbs, path)?;
        }
        let path = match &object.name {
            Name::Held(_) => return Ok(Vec::new()),
            Name::Lost(_) if lost::admitted(&self.caller, &self.session.made, object, verbs)? == Lost::Held => return Ok(Vec::new()),
            Name::Lost(path) | Name::Path(path) => path,
        };
        let found = (object.file.as_fd(), &object.stat);
        let overwrites = verbs.iter().any(|verb| matches!(verb, Verb::FileWrite | Verb::FileTruncate));
        let loss = if overwrites {
            loss::overwritten(&self.session.line.judge, verbs, found.1, || self.act(Verb::FileDelete, path, Some(found)))
        } else {
            None
        };
        Ok(verbs.iter().map(|verb| self.act(*verb, path, Some(found))).chain(loss).collect())
    }

    /// Settles and does something to an object as the caller: at once when there is nothing to decide, since it is held already.
    pub fn enact_on<T>(
        &self,
        enactor: &Enactor,
        verbs: &[Verb],
        object: &Object,
        act: impl FnOnce(&[Permit]) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let act = |permits: &[Permit]| {
            if verbs != [Verb::FileRead] {
                before::keep(self, verbs, object, trash::keeping(permits))?;
            }
            self.as_caller(|| act(permits))
        };
        if let ([Verb::FileRead], Name::Path(path)) = (verbs, &object.name) {
            if let Some(leave) = self.session.line.routine(path, inode(&object.stat)) {
                return self.carry_out(leave, act);
            }
        }
        let acts = self.acts_on(verbs, object)?;
        if acts.is_empty() {
            return act(&[]);
        }
        if acts.iter().any(|act| act.verb == Verb::FileDelete) {
            // Who writes may lose something, and has declared nothing that is done in the place of it.
            let trashed = trash::instead(self);
            return self.enact(&trash::enactor(&trashed), acts, act);
        }
        self.enact(enactor, acts, act)
    }
}

/// A refusal of the door's own that the call tells as EPERM.
pub fn forbidden(path: &[u8], because: &'static str) -> Stop {
    Stop::Refused { reached: Reached::Path(path.to_vec()), because, errno: libc::EPERM }
}

/// An object's identity in the engine's words.
pub fn inode(stat: &Stat) -> Inode {
    Inode { device: stat.device, number: stat.inode }
}
