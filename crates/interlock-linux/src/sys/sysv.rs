//! System V objects (shared memory, semaphore sets, message queues): made, looked at and removed by number, as this thread.
//!
//! Left out: using them, which a session's processes do by themselves. Source: shmctl(2), semctl(2), msgctl(2), linux/ipc/util.c.

use super::errno::{Errno, Sys, check};

/// What an object is; each kind has keys and ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Memory,
    Semaphores,
    Queue,
}

/// What the kernel says of the object in an id's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its whole id: the slot and how often the slot was used.
    pub id: i32,
    /// The key it was made with; 0 (IPC_PRIVATE) for memory that is removed and still attached.
    pub key: i32,
    /// The number that the process which made it has or had, for memory; 0 for one that this namespace of processes does not show.
    pub creator: Option<i32>,
}

/// {SHM,SEM,MSG}_STAT_ANY (4.17): by slot, and without the right to read, which an owner may have taken from itself.
const SHM_STAT_ANY: i32 = 15;
const SEM_STAT_ANY: i32 = 20;
const MSG_STAT_ANY: i32 = 13;

/// The kernel's description of an object of one kind.
enum Description {
    Memory(libc::shmid_ds),
    Semaphores(libc::semid_ds),
    Queue(libc::msqid_ds),
}

/// A key that nobody knows yet, never IPC_PRIVATE.
///
/// # Errors
/// As getrandom(2).
pub fn random_key() -> Sys<i32> {
    let mut bytes = [0_u8; 4];
    // SAFETY: fills a live buffer of that length.
    let read = check(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) } as i64)?;
    if read != 4 {
        return Err(Errno(libc::EAGAIN));
    }
    Ok(i32::from_ne_bytes(bytes) | 1)
}

/// shmget, semget (`size` is the number of semaphores) and msgget (`size` means nothing).
///
/// # Errors
/// As these calls.
pub fn get(kind: Kind, key: i32, size: u64, flags: i32) -> Sys<i32> {
    // SAFETY: integers.
    let id = check(unsafe {
        match kind {
            Kind::Memory => libc::syscall(libc::SYS_shmget, key, size, flags),
            Kind::Semaphores => libc::syscall(libc::SYS_semget, key, size, flags),
            Kind::Queue => libc::syscall(libc::SYS_msgget, key, flags),
        }
    })?;
    Ok(id as i32)
}

/// What stands in the slot of `id`, whoever made it.
///
/// # Errors
/// EINVAL when nothing does.
pub fn look(kind: Kind, id: i32) -> Sys<Seen> {
    let (id, description) = describe(kind, id)?;
    Ok(match description {
        Description::Memory(found) => Seen { id, key: found.shm_perm.__key, creator: Some(found.shm_cpid) },
        Description::Semaphores(found) => Seen { id, key: found.sem_perm.__key, creator: None },
        Description::Queue(found) => Seen { id, key: found.msg_perm.__key, creator: None },
    })
}

fn describe(kind: Kind, id: i32) -> Sys<(i32, Description)> {
    // SAFETY: each description is plain data for which all zeroes is a value.
    let mut description = unsafe {
        match kind {
            Kind::Memory => Description::Memory(std::mem::zeroed()),
            Kind::Semaphores => Description::Semaphores(std::mem::zeroed()),
            Kind::Queue => Description::Queue(std::mem::zeroed()),
        }
    };
    // SAFETY: the kernel fills the live description of the kind that is asked for.
    let found = check(unsafe {
        match &mut description {
            Description::Memory(into) => libc::syscall(libc::SYS_shmctl, id, SHM_STAT_ANY, &raw mut *into),
            Description::Semaphores(into) => libc::syscall(libc::SYS_semctl, id, 0, SEM_STAT_ANY, &raw mut *into),
            Description::Queue(into) => libc::syscall(libc::SYS_msgctl, id, MSG_STAT_ANY, &raw mut *into),
        }
    })?;
    Ok((found as i32, description))
}

/// Makes `user` and `group` the owner of an object that this process made.
///
/// # Errors
/// As IPC_SET.
pub fn give(kind: Kind, id: i32, (user, group): (u32, u32)) -> Sys<()> {
    let (_, mut description) = describe(kind, id)?;
    // SAFETY: the kernel reads the live description of the kind that is asked for.
    check(unsafe {
        match &mut description {
            Description::Memory(told) => {
                (told.shm_perm.uid, told.shm_perm.gid) = (user, group);
                libc::syscall(libc::SYS_shmctl, id, libc::IPC_SET, &raw mut *told)
            }
            Description::Semaphores(told) => {
                (told.sem_perm.uid, told.sem_perm.gid) = (user, group);
                libc::syscall(libc::SYS_semctl, id, 0, libc::IPC_SET, &raw mut *told)
            }
            Description::Queue(told) => {
                (told.msg_perm.uid, told.msg_perm.gid) = (user, group);
                libc::syscall(libc::SYS_msgctl, id, libc::IPC_SET, &raw mut *told)
            }
        }
    })
    .map(drop)
}

/// Removes an object; memory goes when nobody is attached to it any more.
///
/// # Errors
/// As IPC_RMID.
pub fn remove(kind: Kind, id: i32) -> Sys<()> {
    // SAFETY: integers; IPC_RMID reads no memory.
    check(unsafe {
        match kind {
            Kind::Memory => libc::syscall(libc::SYS_shmctl, id, libc::IPC_RMID, 0),
            Kind::Semaphores => libc::syscall(libc::SYS_semctl, id, 0, libc::IPC_RMID, 0),
            Kind::Queue => libc::syscall(libc::SYS_msgctl, id, libc::IPC_RMID, 0),
        }
    })
    .map(drop)
}
