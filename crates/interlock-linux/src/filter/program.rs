//! The seccomp program, emitted from the table: a binary search over call numbers whose leaves are returns or register tests.
//!
//! Only loads of `nr` and `arch`, comparisons, jumps and constant returns stand on the path of a call that is always allowed, so that the
//! kernel's action cache (5.11) answers it without running the program.

use super::need::Need;
use super::table::{Class, Clause, ROWS, Row, Ruling, Test};
use crate::sys::notify::Instruction;

const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const KILL_PROCESS: u32 = 0x8000_0000;
const USER_NOTIFICATION: u32 = 0x7fc0_0000;
const ERRNO: u32 = 0x0005_0000;
const ALLOWED: u32 = 0x7fff_0000;

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const X86_64: u32 = 0xc000_003e;
/// Numbers from here on are x32's: another table under the same architecture.
const X32: u32 = 0x4000_0000;

/// Emits the filter of a session that needs so much of the table.
#[must_use]
pub fn program(need: Need) -> Vec<Instruction> {
    let mut out = vec![
        load(ARCHITECTURE),
        jump(JUMP_EQUAL, X86_64, 1, 0),
        give(KILL_PROCESS),
        load(NUMBER),
        jump(JUMP_AT_LEAST, X32, 0, 1),
        give(KILL_PROCESS),
    ];
    out.extend(search(&leaves(need)));
    out
}

/// A run of numbers from `first` on that share one treatment.
struct Leaf {
    first: u32,
    treatment: Treatment,
}

#[derive(Clone, Copy)]
enum Treatment {
    Plain(Ruling),
    Tested(&'static [Clause], Ruling),
}

fn leaves(need: Need) -> Vec<Leaf> {
    let mut out: Vec<Leaf> = Vec::new();
    let mut next = 0;
    for row in ROWS {
        if row.number > next {
            push(&mut out, next, Treatment::Plain(Ruling::Errno(libc::ENOSYS)));
        }
        push(&mut out, row.number, treatment(row, need));
        next = row.number + 1;
    }
    push(&mut out, next, Treatment::Plain(Ruling::Errno(libc::ENOSYS)));
    out
}

fn push(out: &mut Vec<Leaf>, first: u32, treatment: Treatment) {
    let same = match (out.last().map(|leaf| leaf.treatment), treatment) {
        (Some(Treatment::Plain(before)), Treatment::Plain(now)) => before == now,
        _ => false,
    };
    if !same {
        out.push(Leaf { first, treatment });
    }
}

fn treatment(row: &Row, need: Need) -> Treatment {
    match row.class {
        Class::Mediated(_, []) => Treatment::Plain(Ruling::Notify),
        Class::Mediated(_, clauses) => Treatment::Tested(clauses, Ruling::Notify),
        Class::ByNeed(_, what, _) if need.of_this(what) => Treatment::Plain(Ruling::Notify),
        Class::ByNeed(_, _, []) => Treatment::Plain(Ruling::Allow),
        Class::ByNeed(_, _, clauses) => Treatment::Tested(clauses, Ruling::Allow),
        Class::Filtered(_, clauses, otherwise) => Treatment::Tested(clauses, otherwise),
        Class::Walled | Class::Harmless | Class::Refused(_) | Class::Recorded(_) | Class::Private(_) => {
            Treatment::Plain(row.ruling(&[0; 6], need))
        }
    }
}

fn search(leaves: &[Leaf]) -> Vec<Instruction> {
    let (low, high) = leaves.split_at(leaves.len() / 2);
    match (low, high) {
        ([], [leaf]) => block(leaf.treatment),
        (_, [pivot, ..]) => {
            let (below, above) = (search(low), search(high));
            let mut out = vec![jump(JUMP_AT_LEAST, pivot.first, 0, 1), skip(below.len())];
            out.extend(below);
            out.extend(above);
            out
        }
        _ => vec![give(KILL_PROCESS)],
    }
}

fn block(treatment: Treatment) -> Vec<Instruction> {
    match treatment {
        Treatment::Plain(ruling) => vec![answer(ruling)],
        Treatment::Tested(clauses, otherwise) => {
            let mut out: Vec<Instruction> = clauses.iter().flat_map(clause).collect();
            out.push(answer(otherwise));
            out
        }
    }
}

/// Tests that fall through when they hold and leave the clause when they do not; then the clause's answer.
fn clause(clause: &Clause) -> Vec<Instruction> {
    let mut out = vec![answer(clause.ruling)];
    for test in clause.all.iter().rev() {
        let mut tested = emit(*test, out.len());
        tested.extend(out);
        out = tested;
    }
    out
}

fn emit(test: Test, rest: usize) -> Vec<Instruction> {
    match test {
        Test::Is { argument, mask, values } => {
            let mut out = vec![load(low(argument)), plain(AND, mask)];
            for (index, value) in values.iter().enumerate() {
                out.push(jump(JUMP_EQUAL, *value, near(values.len() - index), 0));
            }
            out.push(skip(rest));
            out
        }
        Test::Any { argument, bits } => vec![load(low(argument)), jump(JUMP_SET, bits, 1, 0), skip(rest)],
        Test::Given(argument) => {
            vec![load(low(argument)), jump(JUMP_EQUAL, 0, 0, 3), load(low(argument) + 4), jump(JUMP_EQUAL, 0, 0, 1), skip(rest)]
        }
    }
}

fn answer(ruling: Ruling) -> Instruction {
    give(match ruling {
        Ruling::Allow => ALLOWED,
        Ruling::Notify | Ruling::Refuse(_) => USER_NOTIFICATION,
        Ruling::Errno(errno) => ERRNO | (errno.unsigned_abs() & 0xfff),
    })
}

fn low(argument: u8) -> u32 {
    ARGUMENTS + 8 * u32::from(argument)
}

fn load(offset: u32) -> Instruction {
    plain(LOAD_WORD, offset)
}

fn give(action: u32) -> Instruction {
    plain(RETURN, action)
}

fn skip(instructions: usize) -> Instruction {
    plain(JUMP, u32::try_from(instructions).unwrap_or(u32::MAX))
}

fn plain(code: u16, constant: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, constant }
}

fn jump(code: u16, constant: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, constant }
}

/// A forward jump within one clause. Clauses are short lists; one that outgrew a byte would be refused by the kernel, and fail the filter's test.
fn near(instructions: usize) -> u8 {
    u8::try_from(instructions).unwrap_or(u8::MAX)
}

/// SHA-256 of the program's bytes, for the record of the wall.
#[must_use]
pub fn digest(program: &[Instruction]) -> String {
    let bytes: Vec<u8> = program
        .iter()
        .flat_map(|instruction| {
            let [a, b] = instruction.code.to_le_bytes();
            let [c, d, e, f] = instruction.constant.to_le_bytes();
            [a, b, instruction.jump_true, instruction.jump_false, c, d, e, f]
        })
        .collect();
    format!("sha256:{}", interlock_core::digest::hex(&bytes))
}
