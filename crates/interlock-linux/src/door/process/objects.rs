//! The System V objects that this session's door made: keys of the session's own, and whether an id is one of its objects.
//!
//! Keys and ids are machine-wide numbers. A session without an IPC namespace of its own has a list of keys of its own instead: the kernel is
//! given a random key for each object, so a key inside reaches nothing outside and none outside reaches in by accident. What an id in use
//! names is asked of the kernel each time (`docs/adr/0026-system-v-objects-by-number.md`).

use crate::sys::errno::{Errno, Sys};
use crate::sys::notify::Call;
use crate::sys::process;
use crate::sys::sysv::{self, Kind};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Objects remembered before the first look for those that are gone.
const REMEMBERED: usize = 256;
/// Random keys tried for one object: each fails with the odds of a full machine against 2^31.
const TRIES: usize = 16;

/// Limits and sums of the machine: the id is not looked at.
const IPC_INFO: i32 = 3;
const SHM_INFO: i32 = 14;
const SEM_INFO: i32 = 19;
const MSG_INFO: i32 = 12;

/// That the object behind the id in a call's first register was made by this session's door: earned from [`Objects::named_by`]. The id cannot come
/// to name another before the kernel looks.
#[derive(Debug)]
pub struct MadeHere {
    call: u64,
}

impl MadeHere {
    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }
}

/// That a call tells limits and sums of the machine, and looks at no object: earned from [`Limits::asked_by`].
#[derive(Debug)]
pub struct Limits {
    call: u64,
}

impl Limits {
    /// The proof, where shmctl, semctl or msgctl with `command` is such a call.
    #[must_use]
    pub fn asked_by(call: &Call, kind: Kind, command: i32) -> Option<Self> {
        let is =
            matches!((kind, command), (_, IPC_INFO) | (Kind::Memory, SHM_INFO) | (Kind::Semaphores, SEM_INFO) | (Kind::Queue, MSG_INFO));
        is.then_some(Self { call: call.id })
    }

    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }
}

/// What a call's first register names.
#[derive(Debug)]
pub enum Named {
    /// An object of this session.
    Here(MadeHere),
    /// Somebody else's.
    Elsewhere,
    /// There is none.
    Nothing,
}

/// Whose the object behind an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// This session's.
    Here,
    /// Somebody else's.
    Elsewhere,
    /// There is none.
    Nobody,
}

/// The objects of one session.
#[derive(Default)]
pub struct Objects(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The key that a program named, and the object it stands for.
    named: HashMap<(Kind, i32), i32>,
    /// The kernel's key of each object.
    made: HashMap<(Kind, i32), i32>,
    /// How many may be remembered before those that are gone are looked for.
    remembered: usize,
    closed: bool,
}

/// What a program asks for: shmget, semget or msgget.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Wanted {
    pub kind: Kind,
    pub key: i32,
    pub size: u64,
    pub flags: i32,
}

impl Objects {
    /// Finds or makes what is asked for, as the kernel would among this session's objects. `owner`: who else than the supervisor is to own what is made.
    ///
    /// # Errors
    /// As shmget(2), semget(2), msgget(2).
    pub fn get(&self, wanted: Wanted, owner: Option<(u32, u32)>) -> Sys<i32> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.closed {
            return Err(Errno(libc::EIDRM));
        }
        if wanted.key == libc::IPC_PRIVATE {
            return known.make(wanted, owner);
        }
        match known.find(wanted) {
            Err(Errno(libc::ENOENT)) if wanted.flags & libc::IPC_CREAT != 0 => {
                let id = known.make(wanted, owner)?;
                known.named.insert((wanted.kind, wanted.key), id);
                Ok(id)
            }
            Err(Errno(libc::ENOENT)) => Err(Errno(libc::ENOENT)),
            _ if wanted.flags & libc::IPC_CREAT != 0 && wanted.flags & libc::IPC_EXCL != 0 => Err(Errno(libc::EEXIST)),
            found => found,
        }
    }

    /// What the first register of `call` names, now.
    pub fn named_by(&self, call: &Call, kind: Kind) -> Named {
        let [id, ..] = call.arguments;
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).whose(kind, id as i32) {
            Whose::Here => Named::Here(MadeHere { call: call.id }),
            Whose::Elsewhere => Named::Elsewhere,
            Whose::Nobody => Named::Nothing,
        }
    }

    /// Removes what the session left, and makes nothing any more.
    pub fn close(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.closed = true;
        for (kind, id) in known.made.keys().copied().collect::<Vec<_>>() {
            if matches!(known.whose(kind, id), Whose::Here) {
                // Somebody else of the same user may have removed it meanwhile.
                let _gone = sysv::remove(kind, id);
            }
        }
    }
}

impl Known {
    /// The session's object of that key. The kernel says whether it is there still, large enough and open to the caller.
    fn find(&mut self, wanted: Wanted) -> Sys<i32> {
        let (kind, name) = (wanted.kind, (wanted.kind, wanted.key));
        let Some(id) = self.named.get(&name).copied() else { return Err(Errno(libc::ENOENT)) };
        let Some(key) = self.made.get(&(kind, id)).copied() else { return Err(Errno(libc::ENOENT)) };
        let found = sysv::get(kind, key, wanted.size, wanted.flags & !(libc::IPC_CREAT | libc::IPC_EXCL));
        let gone = match found {
            // Removed, and another made with the same key: by somebody outside.
            Ok(now) => now != id || !matches!(self.whose(kind, id), Whose::Here),
            Err(error) => error == Errno(libc::ENOENT),
        };
        if gone {
            self.named.remove(&name);
            return Err(Errno(libc::ENOENT));
        }
        found
    }

    fn make(&mut self, wanted: Wanted, owner: Option<(u32, u32)>) -> Sys<i32> {
        self.forget_the_gone();
        let flags = wanted.flags | libc::IPC_CREAT | libc::IPC_EXCL;
        for _ in 0..TRIES {
            let key = sysv::random_key()?;
            match sysv::get(wanted.kind, key, wanted.size, flags) {
                Err(Errno(libc::EEXIST)) => {}
                made => {
                    let id = made?;
                    self.made.insert((wanted.kind, id), key);
                    return self.owned(wanted.kind, id, owner);
                }
            }
        }
        Err(Errno(libc::ENOSPC))
    }

    fn owned(&self, kind: Kind, id: i32, owner: Option<(u32, u32)>) -> Sys<i32> {
        let Some(owner) = owner else { return Ok(id) };
        sysv::give(kind, id, owner).map(|()| id).inspect_err(|_| {
            let _kept = sysv::remove(kind, id);
        })
    }

    /// An id is used again after some four million others, so the number alone says nothing. What else has the id of an object of ours was made
    /// after it, while this process lived: by a process of another number, which memory tells. A set or a queue tells its key, which was random.
    fn whose(&self, kind: Kind, id: i32) -> Whose {
        let Ok(seen) = sysv::look(kind, id) else { return Whose::Nobody };
        if id < 0 || seen.id != id {
            return Whose::Nobody;
        }
        let here = self.made.get(&(kind, id)).is_some_and(|key| match seen.creator {
            Some(creator) => creator == process::id(),
            None => seen.key == *key,
        });
        if here { Whose::Here } else { Whose::Elsewhere }
    }

    /// Keeps the memory of a program that makes and removes for ever from growing with it.
    fn forget_the_gone(&mut self) {
        if self.made.len() < self.remembered.max(REMEMBERED) {
            return;
        }
        let kept: Vec<_> = self.made.keys().copied().filter(|(kind, id)| matches!(self.whose(*kind, *id), Whose::Here)).collect();
        self.made.retain(|object, _| kept.contains(object));
        let made = &self.made;
        self.named.retain(|(kind, _), id| made.contains_key(&(*kind, *id)));
        self.remembered = 2 * self.made.len();
    }
}
