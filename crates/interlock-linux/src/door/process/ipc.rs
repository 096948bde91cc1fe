//! System V shared memory, semaphores and message queues where the session has no IPC namespace of its own: everything among itself, nothing outside.
//!
//! Keys, ids and commands are registers. An object is made on behalf under a random key; a call on an id goes on in the kernel, which checks the
//! caller's rights, once the id is seen to be an object that this session made. Policy is not asked, for it reaches nothing outside.
//! Source: shmget(2), shmctl(2), semget(2), semctl(2), semop(2), msgget(2), msgctl(2), msgop(2).

use super::objects::{Limits, Named, Wanted};
use crate::door::answer::{Answered, Pending, Proof};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::filter::table::Row;
use crate::sys::credentials;
use crate::sys::errno::Errno;
use crate::sys::sysv::Kind;
use std::sync::atomic::Ordering;

/// What a slot holds, for `ipcs`, by the slot's number instead of an id: whose it is may change before the kernel looks, so every slot is empty.
const SHM_STAT: i32 = 13;
const SHM_STAT_ANY: i32 = 15;
const SEM_STAT: i32 = 18;
const SEM_STAT_ANY: i32 = 20;
const MSG_STAT: i32 = 11;
const MSG_STAT_ANY: i32 = 13;

/// What a call comes to.
enum End {
    Value(i64),
    Continue(Proof),
}

/// Answers the calls of the three families.
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    match attempt(errand) {
        Ok(End::Value(value)) => pending.value(value),
        Ok(End::Continue(proof)) => pending.go_on(proof),
        Err(Stop::Errno(Errno(errno)) | Stop::Refused { errno, .. }) => pending.errno(errno),
        Err(Stop::Denied | Stop::Interrupted | Stop::Gone) => pending.errno(libc::EACCES),
    }
}

fn attempt(errand: &Errand<'_>) -> Result<End, Stop> {
    let caller = &errand.caller;
    let (key, number) = (caller.int(0), i64::from(caller.number()));
    let wanted = |kind, size, flags| make(errand, Wanted { kind, key, size, flags });
    match number {
        libc::SYS_shmget => wanted(Kind::Memory, caller.argument(1), caller.int(2)),
        libc::SYS_semget => wanted(Kind::Semaphores, caller.argument(1), caller.int(2)),
        libc::SYS_msgget => wanted(Kind::Queue, 0, caller.int(1)),
        libc::SYS_shmat => on_object(errand, Kind::Memory),
        libc::SYS_semop | libc::SYS_semtimedop => on_object(errand, Kind::Semaphores),
        libc::SYS_msgsnd | libc::SYS_msgrcv => on_object(errand, Kind::Queue),
        libc::SYS_shmctl => control(errand, Kind::Memory, caller.int(1)),
        libc::SYS_semctl => control(errand, Kind::Semaphores, caller.int(2)),
        libc::SYS_msgctl => control(errand, Kind::Queue, caller.int(1)),
        _ => Err(Errno(libc::ENOSYS).into()),
    }
}

/// Made or found by the supervisor. Where callers have ids of their own (root), what is made belongs to the caller.
fn make(errand: &Errand<'_>, wanted: Wanted) -> Result<End, Stop> {
    let owner = owner(errand)?;
    errand.caller.confirm()?;
    let id = errand.as_caller(|| Ok(errand.session.objects.get(wanted, owner)?))?;
    Ok(End::Value(i64::from(id)))
}

fn owner(errand: &Errand<'_>) -> Result<Option<(u32, u32)>, Stop> {
    if !(errand.session.ground.privileged && errand.session.standing.ids_may_differ.load(Ordering::Acquire)) {
        return Ok(None);
    }
    let (own, identity) = (credentials::own()?, &errand.status()?.identity);
    let wanted = (identity.user, identity.group);
    Ok((wanted != (own.user, own.group)).then_some(wanted))
}

fn control(errand: &Errand<'_>, kind: Kind, command: i32) -> Result<End, Stop> {
    if let Some(limits) = Limits::asked_by(errand.call, kind, command) {
        return Ok(End::Continue(Proof::Limits(limits)));
    }
    match (kind, command) {
        (Kind::Memory, SHM_STAT | SHM_STAT_ANY) | (Kind::Semaphores, SEM_STAT | SEM_STAT_ANY) | (Kind::Queue, MSG_STAT | MSG_STAT_ANY) => {
            Err(Errno(libc::EINVAL).into())
        }
        _ => on_object(errand, kind),
    }
}

/// An object of somebody else does not exist here, as it would not in a namespace; that it was reached for is recorded.
fn on_object(errand: &Errand<'_>, kind: Kind) -> Result<End, Stop> {
    match errand.session.objects.named_by(errand.call, kind) {
        Named::Here(made) => Ok(End::Continue(Proof::MadeHere(made))),
        Named::Nothing => Err(Errno(libc::EINVAL).into()),
        Named::Elsewhere => {
            let name = Row::of(errand.caller.number()).map_or("", |row| row.name);
            errand.session.line.refuse_call(errand.call, name, "an object of System V that this session did not make", libc::EINVAL);
            Err(Errno(libc::EINVAL).into())
        }
    }
}
