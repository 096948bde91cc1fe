//! What the supervisor acts as: without a umask, and as root a thread with the ids, groups and capabilities of the caller.
//!
//! All calls are raw, hence of the calling thread alone (glibc's wrappers would change every thread). Reading another
//! thread's credentials is `door::seen::caller`'s; whether they are needed at all is the session's.

use super::errno::{Errno, Sys, check};
pub use interlock_abi::status::Identity;
use std::cell::{Cell, OnceCell};

/// Most supplementary groups the kernel takes (NGROUPS_MAX).
pub const GROUPS_MAX: usize = 65_536;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    thread: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySet {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

thread_local! {
    static LOST: Cell<bool> = const { Cell::new(false) };
    /// How many identities this thread has put on over its own.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Who this thread is while it is itself.
    static OWN: OnceCell<Identity> = const { OnceCell::new() };
}

/// Sets the umask of this process, its threads and whoever else shares its file context.
pub fn set_umask(mask: u32) {
    // SAFETY: umask cannot fail and takes no memory.
    unsafe { libc::umask(mask & 0o777) };
}

/// The user this thread acts on files as.
pub fn user() -> u32 {
    // SAFETY: a change to an impossible id changes nothing and returns the present one (setfsuid(2)).
    unsafe { libc::syscall(libc::SYS_setfsuid, u32::MAX) as u32 }
}

/// This thread's own identity.
pub fn own() -> Sys<Identity> {
    // SAFETY: a change to an impossible id changes nothing and returns the present one (setfsgid(2)).
    let group = unsafe { libc::syscall(libc::SYS_setfsgid, u32::MAX) } as u32;
    Ok(Identity { user: user(), group, groups: own_groups()?, capabilities: capabilities()?.0 })
}

/// Whether real, effective and saved ids are all these (getresuid(2)); the file-system ids follow them until somebody sets those.
pub fn are_all((user, group): (u32, u32)) -> Sys<bool> {
    let (mut users, mut groups) = ([0_u32; 3], [0_u32; 3]);
    let [real, effective, saved] = users.each_mut().map(std::ptr::from_mut);
    // SAFETY: three live words.
    check(unsafe { libc::syscall(libc::SYS_getresuid, real, effective, saved) })?;
    let [real, effective, saved] = groups.each_mut().map(std::ptr::from_mut);
    // SAFETY: three live words.
    check(unsafe { libc::syscall(libc::SYS_getresgid, real, effective, saved) })?;
    Ok(users == [user; 3] && groups == [group; 3])
}

fn own_groups() -> Sys<Vec<u32>> {
    // SAFETY: a size of 0 asks for the count and writes nothing.
    let count = check(unsafe { libc::syscall(libc::SYS_getgroups, 0, std::ptr::null_mut::<u32>()) })?;
    let mut groups = vec![0_u32; (count as usize).min(GROUPS_MAX)];
    // SAFETY: the buffer is live for the length given.
    let count = check(unsafe { libc::syscall(libc::SYS_getgroups, groups.len(), groups.as_mut_ptr()) })?;
    groups.truncate(count as usize);
    Ok(groups)
}

/// Effective and permitted capabilities of this thread.
pub(super) fn capabilities() -> Sys<(u64, u64)> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, thread: 0 };
    let mut sets = [CapabilitySet::default(); 2];
    // SAFETY: version 3 writes two sets; both are live.
    check(unsafe { libc::syscall(libc::SYS_capget, &header as *const CapabilityHeader, sets.as_mut_ptr()) })?;
    let [low, high] = sets;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    Ok((join(low.effective, high.effective), join(low.permitted, high.permitted)))
}

/// Sets both of this thread, the permitted ones no wider than they are.
pub(super) fn set_effective(effective: u64, permitted: u64) -> Sys<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, thread: 0 };
    let part = |shift: u32| CapabilitySet {
        effective: ((effective & permitted) >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: 0,
    };
    let sets = [part(0), part(32)];
    // SAFETY: version 3 reads two sets; both are live.
    check(unsafe { libc::syscall(libc::SYS_capset, &header as *const CapabilityHeader, sets.as_ptr()) }).map(drop)
}

/// This thread acting as somebody else until dropped.
///
/// INVARIANT: a thread that could not become itself again never acts again ([`assume`] fails for ever after).
#[derive(Debug)]
pub struct Assumed(Option<Before>);

#[derive(Debug)]
struct Before {
    identity: Identity,
    permitted: u64,
}

/// Makes this thread act on files as `identity`, with no capability that the supervisor lacks.
///
/// # Errors
/// EPERM when the thread has lost itself before; else what the kernel says. On an error the thread is itself again, or lost.
pub fn assume(identity: &Identity) -> Sys<Assumed> {
    if LOST.get() {
        return Err(Errno(libc::EPERM));
    }
    let before = itself()?;
    if before == *identity {
        return Ok(Assumed(None));
    }
    let (_, permitted) = capabilities()?;
    let assumed = Assumed(Some(Before { identity: before, permitted }));
    DEPTH.set(DEPTH.get() + 1);
    // What is permitted to the supervisor and not effective (`raised`) is not taken up by anybody's leave.
    let ours = OWN.with(|known| known.get().map_or(0, |own| own.capabilities));
    become_(&Identity { capabilities: identity.capabilities & ours, ..identity.clone() }, permitted)?;
    Ok(assumed)
}

/// Who this thread is now: asked of the kernel once, and again only while it acts as somebody else.
fn itself() -> Sys<Identity> {
    if DEPTH.get() > 0 {
        return own();
    }
    if let Some(known) = OWN.with(|known| known.get().cloned()) {
        return Ok(known);
    }
    let found = own()?;
    Ok(OWN.with(|known| known.get_or_init(|| found).clone()))
}

/// Ends this thread's authority if it cannot be itself.
pub fn usable() -> bool {
    !LOST.get()
}

fn become_(identity: &Identity, permitted: u64) -> Sys<()> {
    // SAFETY: the buffer is live for the length given.
    check(unsafe { libc::syscall(libc::SYS_setgroups, identity.groups.len(), identity.groups.as_ptr()) })?;
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_setfsgid, identity.group) };
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_setfsuid, identity.user) };
    // setfsuid and setfsgid report no failure: only asking again tells.
    // SAFETY: a change to an impossible id changes nothing and returns the present one (setfsgid(2)).
    let group = unsafe { libc::syscall(libc::SYS_setfsgid, u32::MAX) } as u32;
    if user() != identity.user || group != identity.group {
        return Err(Errno(libc::EPERM));
    }
    set_effective(identity.capabilities, permitted)
}

impl Drop for Assumed {
    fn drop(&mut self) {
        let Some(Before { identity, permitted }) = &self.0 else { return };
        DEPTH.set(DEPTH.get().saturating_sub(1));
        // First the capabilities back, without which the ids cannot be changed.
        let restored = set_effective(identity.capabilities, *permitted).and_then(|()| become_(identity, *permitted));
        if restored.is_err() {
            LOST.set(true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_assumed_by_one_thread_and_given_back() {
        let before = own().unwrap();
        if before.user != 0 {
            return; // an ordinary user never assumes an identity
        }
        let other = Identity { user: 1234, group: 1235, groups: vec![7, 8], capabilities: 0 };
        {
            let _assumed = assume(&other).unwrap();
            assert_eq!(own().unwrap(), other);
            let elsewhere = std::thread::spawn(|| own().unwrap().user).join().unwrap();
            assert!(elsewhere == 0 || elsewhere == 1234); // a thread inherits from its maker; others are untouched
            assert!(std::fs::File::open("/etc/shadow").is_err());
        }
        assert_eq!(own().unwrap(), before);
    }
}
