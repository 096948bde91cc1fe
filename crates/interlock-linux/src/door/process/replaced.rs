//! Another command in the place of one: started by the same process, after the kernel has committed the one that was asked for, and before its first
//! instruction.
//!
//! At that moment the process has one thread, memory that nobody else has, and nothing that can run but what is put there: the call that starts the
//! other command, and a breakpoint behind it. That call arrives at the door as any does; the door knows it (`Replaced`), and what it commits is
//! verified as the first was. So descriptors, directory, environment and status are the caller's, and `ps` shows what runs.
//! Left out: what is steered to what (`exec`), and following the stops (`traced`). Source: execve(2), ptrace(2), `create_elf_tables` of Linux.

use super::expected::Expected;
use crate::sys::errno::{Errno, Sys};
use crate::sys::memory::{self, Held};
use crate::sys::notify::Call;
use crate::sys::ptrace;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Stops on the way: one for each signal that waits, and the one that was asked for at the end of the first call.
pub const STOPS_MAX: usize = 64;
/// What fits below the top of a new stack, of which the kernel maps 128 KiB.
const BLOCK_BYTES_MAX: usize = 96 * 1024;
/// Words of a new stack that are gone through: arguments, environment, auxiliary vector.
const WORDS_MAX: u64 = 64 * 1024;
/// AT_EXECFN (getauxval(3)): the name by which it was started.
const STARTED_AS: u64 = 31;
/// `mov $59, %eax; syscall; int3`: execve with what stands in the other registers, and a breakpoint for when it fails.
const START: [u8; 8] = [0xb8, 59, 0, 0, 0, 0x0f, 0x05, 0xcc];

/// Processes that are about to start another command in the place of one.
#[derive(Default)]
pub struct Starting(Mutex<HashMap<i32, Words>>);

/// Where the name, the arguments and the environment of a call stand.
type Words = [u64; 3];

impl Starting {
    /// Whether a call is the one by which such a process does.
    pub fn expects(&self, call: &Call) -> Option<Replaced> {
        let [name, arguments, environment, ..] = call.arguments;
        let said = (i64::from(call.number) == libc::SYS_execve).then_some([name, arguments, environment]);
        let mut all = self.all();
        let is_it = said.is_some() && all.get(&call.thread) == said.as_ref();
        is_it.then(|| all.remove(&call.thread)).map(|_| Replaced { call: call.id })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<i32, Words>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That the call is one that a receiver makes its tracee do, and whose outcome it verifies: earned from [`Starting`].
#[derive(Debug)]
pub struct Replaced {
    call: u64,
}

impl Replaced {
    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }
}

/// A process is announced as long as this lives.
pub struct Announced<'s> {
    starting: &'s Starting,
    process: i32,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.starting.all().remove(&self.process);
    }
}

/// The command that is started instead.
pub struct Replacement<'e> {
    /// Its arguments, the first its own name.
    pub arguments: &'e [Vec<u8>],
    /// What must be committed then.
    pub expected: Expected<'e>,
    /// Where its call is expected.
    pub starting: &'e Starting,
}

impl<'e> Replacement<'e> {
    /// Has a process that stands before the first instruction of its program start this one, by the name by which it was started itself.
    ///
    /// # Errors
    /// E2BIG: too long to be steered. What ptrace(2) and the memory say.
    pub fn begin(&self, process: i32) -> Sys<Announced<'e>> {
        let mut registers = ptrace::registers(process).map_err(Errno::from)?;
        let top = registers.rsp;
        let (environment, name) = laid_out(process, top)?;
        let block = block(self.arguments, top).ok_or(Errno(libc::E2BIG))?;
        Held::of(process)?.write(block.at, &block.bytes)?;
        ptrace::poke(process, registers.rip, START).map_err(Errno::from)?;
        registers.rdi = name;
        registers.rsi = block.at;
        registers.rdx = environment;
        registers.rsp = block.at;
        ptrace::set_registers(process, &registers).map_err(Errno::from)?;
        self.starting.all().insert(process, [name, block.at, environment]);
        let announced = Announced { starting: self.starting, process };
        ptrace::go_on(process, 0).map_err(Errno::from)?;
        Ok(announced)
    }
}

/// Where the environment begins in a new stack, and the name by which the program was started.
fn laid_out(process: i32, top: u64) -> Sys<(u64, u64)> {
    let mut at = top;
    let mut next = || -> Sys<u64> {
        let mut word = [0; 8];
        memory::read(process, at, &mut word)?;
        at = at.checked_add(8).filter(|at| at - top < WORDS_MAX * 8).ok_or(Errno(libc::E2BIG))?;
        Ok(u64::from_ne_bytes(word))
    };
    let count = next()?;
    while next()? != 0 {}
    let environment = count.checked_add(2).and_then(|words| words.checked_mul(8)?.checked_add(top)).ok_or(Errno(libc::EFAULT))?;
    while next()? != 0 {}
    loop {
        match (next()?, next()?) {
            (STARTED_AS, name) => return Ok((environment, name)),
            (0, _) => return Err(Errno(libc::ENOENT)),
            _ => {}
        }
    }
}

/// An argument vector and its texts, as they stand in memory.
struct Block {
    at: u64,
    bytes: Vec<u8>,
}

fn block(arguments: &[Vec<u8>], top: u64) -> Option<Block> {
    let texts: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
    let pointers = (arguments.len() + 1) * 8;
    let length = pointers.checked_add(texts).filter(|length| *length <= BLOCK_BYTES_MAX)?;
    let at = top.checked_sub(length as u64)? & !15;
    let mut bytes = Vec::with_capacity(length);
    let mut text = at.checked_add(pointers as u64)?;
    for argument in arguments {
        bytes.extend(text.to_ne_bytes());
        text += argument.len() as u64 + 1;
    }
    bytes.extend(0_u64.to_ne_bytes());
    for argument in arguments {
        bytes.extend(argument);
        bytes.push(0);
    }
    Some(Block { at, bytes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_below_the_top() {
        let Block { at, bytes } = block(&[b"git".to_vec(), b"push".to_vec()], 0x7fff_0000_1000).unwrap();
        assert!(at % 16 == 0 && at + bytes.len() as u64 <= 0x7fff_0000_1000);
        let text = |index: usize| {
            let pointer = u64::from_ne_bytes(bytes[index * 8..][..8].try_into().unwrap());
            let from = usize::try_from(pointer - at).unwrap();
            bytes[from..].split(|byte| *byte == 0).next().unwrap().to_vec()
        };
        assert_eq!((text(0), text(1)), (b"git".to_vec(), b"push".to_vec()));
        assert_eq!(bytes[16..24], [0; 8]);
        assert!(block(&[vec![b'x'; BLOCK_BYTES_MAX]], 0x7fff_0000_1000).is_none());
    }
}
