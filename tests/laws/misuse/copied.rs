//! A second copy of what a call is answered with.

use crate::door::answer::{Pending, Proof};

#[cfg(misuse)]
fn of_a_call(pending: &Pending) -> Pending {
    pending.clone() //~ E0308 Pending
}

#[cfg(misuse)]
fn of_a_proof(proof: &Proof) -> Proof {
    proof.clone() //~ E0308 Proof
}

#[cfg(not(misuse))]
fn of_registers(pending: &Pending) -> crate::sys::notify::Call {
    *pending.call()
}

#[cfg(not(misuse))]
fn handed_on(proof: Proof) -> Proof {
    proof
}
