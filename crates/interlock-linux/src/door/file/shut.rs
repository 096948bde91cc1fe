//! A folder to which a link may lead though a rule asks for names at the link and not in the folder: they are not there, and other rules let none come.
//!
//! `a -> .git/hooks` does not make `a` a repository: no `HEAD` lies among the hooks, and none can be put there.
//! RULE: what is not known counts as something that could come. So the folder is called so itself, no link on its way; it holds plain files alone,
//! each of which would be free at its new name; and a name that a rule asks for is spelled there, since one that a wildcard matches has others
//! beside it. A folder that the session puts into it is a new one, as it would be anywhere.

use crate::door::errand::Errand;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, OpenHow};
use interlock_core::action::Verb;
use interlock_core::decision::Says;
use interlock_core::plan::{Plan, PlanAnswer};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;

/// Files in it that are looked at; with more it is not known.
const FILES_MAX: usize = 256;

/// A folder of plain files, each of which is free where a link to the folder shows it.
pub struct Shut {
    /// The link, with a `/` behind it.
    link: Vec<u8>,
    /// What it leads to, with a `/` behind it.
    folder: Vec<u8>,
    files: Vec<Vec<u8>>,
}

impl Shut {
    /// The folder that a link at `name` leads to, if it is one of these.
    pub fn at(errand: &Errand<'_>, name: &[u8], target: &[u8]) -> Option<Self> {
        let link = [name, b"/"].concat();
        let files = plain_files(errand, target).ok()?;
        let is_free = |file: &Vec<u8>| {
            let made = errand.act(Verb::FileCreate, &[link.as_slice(), file].concat(), None).alone();
            matches!(errand.session.line.judge.plan.answer(&made), PlanAnswer::Answer(decision) if decision.decision == Says::Allow)
        };
        files.iter().all(is_free).then(|| Self { link: link.clone(), folder: [target, b"/"].concat(), files })
    }

    /// Whether `asked`, a name below the link, is nothing in the folder and cannot be made there.
    pub fn keeps_out(&self, plan: &Plan, asked: &[u8]) -> bool {
        let below = asked.strip_prefix(self.link.as_slice()).unwrap_or_default();
        let first = below.split(|byte| *byte == b'/').next().filter(|first| !first.is_empty());
        first.is_some_and(|first| {
            !self.files.iter().any(|file| file == first)
                && plan.is_spelled(Verb::FileCreate, asked)
                && plan.shuts(&[self.folder.as_slice(), first].concat())
        })
    }
}

/// What the folder holds, if it holds nothing but plain files.
fn plain_files(errand: &Errand<'_>, folder: &[u8]) -> Sys<Vec<Vec<u8>>> {
    let how =
        OpenHow { flags: (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK) as u64, mode: 0, resolve: libc::RESOLVE_NO_SYMLINKS };
    let held = files::open_how(errand.session.ground.root.as_fd(), &files::text(folder)?, how)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", held.as_raw_fd()))? {
        let entry = entry?;
        if !entry.file_type()?.is_file() || names.len() >= FILES_MAX {
            return Err(Errno(libc::EXDEV));
        }
        names.push(entry.file_name().as_bytes().to_vec());
    }
    Ok(names)
}
