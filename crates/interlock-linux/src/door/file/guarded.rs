//! Names at which policy guards keys of a structured file: what an act would put there, compared key by key with what is there.
//!
//! Left out: which keys matter (the engine), how files are read (`interlock-keys`), and putting the content there (`installed`).

use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::ground::Ground;
use crate::sys::errno::Sys;
use crate::sys::files::{self, Stat};
use interlock_core::action::FileEnd;
use interlock_core::content::{Content, Format, Reading};
use interlock_core::keys::Keys;
use interlock_keys::BYTES_MAX;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a name holds, as far as its keys are concerned.
pub enum Held {
    /// Nothing: no keys.
    Nothing,
    /// A file, open for reading, and all of its bytes.
    File(OwnedFd, Vec<u8>),
    /// Something whose keys nobody knows, and why.
    Unknown(&'static str),
}

impl Held {
    /// What an object holds, read as the caller would read it. A folder holds nothing itself: what lies below has names of its own.
    pub fn of(errand: &Errand<'_>, object: Option<(BorrowedFd<'_>, &Stat)>) -> Result<Self, Stop> {
        let Some((file, stat)) = object.filter(|(_, stat)| stat.kind() != libc::S_IFDIR) else { return Ok(Self::Nothing) };
        if stat.kind() != libc::S_IFREG {
            return Ok(Self::Unknown("it is not a file"));
        }
        errand.as_caller(|| Ok(read(&errand.session.ground, file).unwrap_or(Self::Unknown("it cannot be read"))))
    }

    /// The bytes, if there are any.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::File(_, bytes) = self { Some(bytes) } else { None }
    }

    /// Whether both hold the same bytes.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::File(_, one), Self::File(_, other)) => one == other,
            _ => false,
        }
    }
}

/// The same as whom this thread acts, of what is known to be a file.
pub fn read(ground: &Ground, file: BorrowedFd<'_>) -> Sys<Held> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = files::open_at(ground.own.as_fd(), files::magic(file).as_c_str(), flags, 0)?;
    let mut bytes = Vec::new();
    std::fs::File::from(files::duplicate(file.as_fd())?).take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > BYTES_MAX { Held::Unknown("it is too long") } else { Held::File(file, bytes) })
}

/// The keys that policy guards at an end of an act.
pub fn keys_at<'a>(errand: &'a Errand<'_>, end: &FileEnd) -> Vec<&'a Keys> {
    errand.session.line.judge.plan.keys_at(end)
}

/// What would come of these keys if `now` took the place of `before` at `name`. Only what some rule guards is told.
pub fn content(name: &[u8], keys: &[&Keys], before: &Held, now: &Held) -> Content {
    let formats = keys.iter().map(|keys| keys.format);
    Content::Read(formats.map(|format| (format, reading(keys, (format, name), before, now))).collect())
}

fn reading(keys: &[&Keys], (format, name): (Format, &[u8]), before: &Held, now: &Held) -> Reading {
    match (before, now) {
        (Held::Unknown(why), _) | (_, Held::Unknown(why)) => Reading::Unreadable((*why).to_owned()),
        _ => interlock_keys::compare((format, name), before.bytes(), now.bytes(), |change| {
            keys.iter().any(|keys| keys.format == format && keys.concern(change))
        }),
    }
}

/// The content of a folder that is made at a name where some rule guards keys.
pub fn of_folder(errand: &Errand<'_>, name: &[u8]) -> Option<Content> {
    let end = errand.end_at(name, None);
    let keys = if errand.session.line.judge.plan.guards_keys() { keys_at(errand, &end) } else { Vec::new() };
    (!keys.is_empty()).then(|| unchanged(&keys))
}

/// Content by which no key changes: of what goes on under another name that guards the same keys.
pub fn unchanged(keys: &[&Keys]) -> Content {
    let readings: BTreeMap<Format, Reading> = keys.iter().map(|keys| (keys.format, Reading::Changes(Vec::new()))).collect();
    Content::Read(readings)
}
