//! A call is answered twice, or its one answer is copied first.

use crate::door::answer::{Answered, Pending};

#[cfg(misuse)]
fn twice(pending: Pending) -> Answered {
    let _first = pending.value(0);
    pending.errno(libc::EACCES) //~ E0382 Pending
}

#[cfg(misuse)]
fn after_all(pending: Pending) -> (Answered, u64) {
    let answered = pending.errno(libc::EACCES);
    (answered, pending.call().id) //~ E0382 Pending
}

#[cfg(not(misuse))]
fn once(pending: Pending, allowed: bool) -> Answered {
    if allowed { pending.value(0) } else { pending.errno(libc::EACCES) }
}
