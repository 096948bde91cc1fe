//! The emitted program against the table's meaning: an interpreter of classic BPF runs it on every number and on registers near every condition.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use interlock_linux::filter::need::Need;
use interlock_linux::filter::program::program;
use interlock_linux::filter::table::{Class, ROWS, Row, Ruling, Test};
use interlock_linux::sys::notify::Instruction;

const X86_64: u32 = 0xc000_003e;
const KILL: u32 = 0x8000_0000;

fn run(program: &[Instruction], architecture: u32, number: u32, arguments: &[u64; 6]) -> u32 {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&architecture.to_le_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        data[16 + index * 8..24 + index * 8].copy_from_slice(&argument.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0usize, 0u32);
    loop {
        let Instruction { code, jump_true, jump_false, constant } = program[at];
        at += 1;
        let mut branch = |taken: bool| at += usize::from(if taken { jump_true } else { jump_false });
        match code {
            0x20 => accumulator = u32::from_le_bytes(data[constant as usize..constant as usize + 4].try_into().unwrap()),
            0x05 => at += constant as usize,
            0x15 => branch(accumulator == constant),
            0x35 => branch(accumulator >= constant),
            0x45 => branch(accumulator & constant != 0),
            0x54 => accumulator &= constant,
            0x06 => return constant,
            other => panic!("instruction {other:#x} is not of those emitted"),
        }
    }
}

fn meant(ruling: Ruling) -> u32 {
    match ruling {
        Ruling::Allow => 0x7fff_0000,
        Ruling::Notify | Ruling::Refuse(_) => 0x7fc0_0000,
        Ruling::Errno(errno) => 0x0005_0000 | errno.unsigned_abs(),
    }
}

/// Of a row that is looked at in one program instead of in all.
const MANY: usize = 100;

/// Values on, beside, above and inverted to every value the row's clauses speak of.
fn interesting(row: &Row) -> Vec<u64> {
    let clauses = match row.class {
        Class::Mediated(_, clauses) | Class::ByNeed(_, _, clauses) | Class::Filtered(_, clauses, _) => clauses,
        _ => return vec![0],
    };
    let mut values = vec![0, 1, u64::MAX, 1 << 32, 0x8000_0000, u64::from(u32::MAX)];
    for test in clauses.iter().flat_map(|clause| clause.all) {
        match *test {
            Test::Is { values: of, .. } => values.extend(of.iter().flat_map(|value| {
                let value = u64::from(*value);
                [value, value + 1, value.wrapping_sub(1), value | 1 << 32, value | 0x800, value | 0x8_0000]
            })),
            Test::Any { bits, .. } => values.extend((0..32).filter(|bit| bits >> bit & 1 == 1).flat_map(|bit| [1 << bit, (1 << bit) | 17])),
            Test::Given(_) => {}
        }
    }
    values.sort_unstable();
    values.dedup();
    values
}

fn needs() -> Vec<Need> {
    (0..8).map(|bits| Need { sends: bits & 1 == 0, ids: bits & 2 == 0, shared_ipc: bits & 4 == 0 }).collect()
}

#[test]
fn what_is_not_needed_is_left_to_the_kernel_and_nothing_else() {
    const FAST_OPEN: u64 = 0x2000_0000;
    let ids = ["setuid", "setgid", "setreuid", "setregid", "setgroups", "setresuid", "setresgid", "setfsuid", "setfsgid", "capset"];
    for need in needs() {
        let program = program(need);
        for row in ROWS {
            let (found, all) = (run(&program, X86_64, row.number, &[0; 6]), meant(row.ruling(&[0; 6], Need::ALL)));
            let left = (!need.sends && ["sendmsg", "sendmmsg"].contains(&row.name)) || (!need.ids && ids.contains(&row.name));
            let private = !need.shared_ipc && matches!(row.class, Class::Private(_));
            assert_eq!(found, if left || private { meant(Ruling::Allow) } else { all }, "{} {need:?}", row.name);
            assert!(!left || all == meant(Ruling::Notify));
            assert_eq!(row.is_trapped(need), row.handler().is_some() && !left && !private, "{}", row.name);
        }
        assert_eq!(run(&program, X86_64, 46, &[3, 8, FAST_OPEN, 0, 0, 0]), meant(Ruling::Notify));
        assert_eq!(run(&program, X86_64, 307, &[3, 8, 1, FAST_OPEN, 0, 0]), meant(Ruling::Notify));
    }
}

#[test]
fn the_program_says_what_the_table_means() {
    for need in needs() {
        let program = program(need);
        assert!(program.len() < 4096, "the kernel takes 4096 instructions, not {}", program.len());
        for row in ROWS {
            let values = interesting(row);
            // What a session needs turns none of these, and each pair of many values is looked at.
            if values.len() > MANY && need != Need::ALL && !matches!(row.class, Class::ByNeed(..) | Class::Private(_)) {
                continue;
            }
            for (first, second) in values.iter().flat_map(|first| values.iter().map(move |second| (*first, *second))) {
                for rest in [0, 1, 6, 17, 0x20_0000_0000] {
                    let arguments = [first, second, rest, 0, rest, 0];
                    let found = run(&program, X86_64, row.number, &arguments);
                    assert_eq!(found, meant(row.ruling(&arguments, need)), "{} {arguments:x?}", row.name);
                }
            }
        }
    }
}

#[test]
fn what_the_table_lacks_is_not_there() {
    let program = program(Need::ALL);
    for number in 0..2000u32 {
        if !ROWS.iter().any(|row| row.number == number) {
            assert_eq!(run(&program, X86_64, number, &[0; 6]), meant(Ruling::Errno(libc::ENOSYS)), "{number}");
        }
    }
}

#[test]
fn other_tables_kill() {
    let program = program(Need::ALL);
    for number in [0, 1, 2, 59, 512, 520, 547, 0x3fff_ffff] {
        assert_eq!(run(&program, X86_64, 0x4000_0000 | number, &[0; 6]), KILL);
        for architecture in [0x4000_0003, 0xc000_00b7, 0, u32::MAX] {
            assert_eq!(run(&program, architecture, number, &[0; 6]), KILL);
        }
    }
}

#[test]
fn rows_are_in_order_and_named_once() {
    assert!(ROWS.windows(2).all(|pair| pair[0].number < pair[1].number));
    let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ROWS.len());
    assert!(ROWS.iter().all(|row| !row.why.is_empty()));
}

/// Calls the running kernel has (by the symbols of their entry points) that are not reachable as 64-bit calls, or go by another name.
const NOT_OURS: &[&str] = &[
    "newstat",
    "newlstat",
    "newfstat",
    "newuname",
    "sendfile64",
    "ni_syscall",
    "gethostname",
    "ipc",
    "llseek",
    "mmap_pgoff",
    "nice",
    "old_getrlimit",
    "old_msgctl",
    "old_readdir",
    "old_semctl",
    "old_shmctl",
    "oldumount",
    "olduname",
    "pciconfig_iobase",
    "pciconfig_read",
    "pciconfig_write",
    "recv",
    "rtas",
    "s390_ipc",
    "s390_pci_mmio_read",
    "s390_pci_mmio_write",
    "send",
    "sgetmask",
    "signal",
    "sigpending",
    "sigprocmask",
    "sigsuspend",
    "socketcall",
    "spu_create",
    "spu_run",
    "ssetmask",
    "stime",
    "subpage_prot",
    "sync_file_range2",
    "umount",
    "vm86",
    "vm86old",
    "waitpid",
    "fadvise64_64",
    "fstatfs64",
    "statfs64",
];

/// A kernel whose symbols are hidden (no root) is probed above the table's last number instead.
#[test]
fn the_running_kernel_has_no_call_the_table_lacks() {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let calls: Vec<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.strip_prefix("__x64_sys_"))
        .filter(|name| !name.contains('.') && !name.ends_with("32") && !name.ends_with("16") && !name.starts_with("ia32_"))
        .collect();
    let missing: Vec<&&str> = calls.iter().filter(|name| !NOT_OURS.contains(name) && !ROWS.iter().any(|row| row.name == **name)).collect();
    assert!(missing.is_empty(), "the table lacks {missing:?}");
    let last = ROWS.last().unwrap().number;
    for number in last + 1..last + 64 {
        let errno = interlock_linux::sys::process::probe(i64::from(number), [u64::MAX; 6]);
        assert_eq!(errno, libc::ENOSYS, "the kernel has call {number}");
    }
}
