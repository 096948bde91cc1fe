//! Every reader takes any bytes whatever: inputs are made from a seed that is printed, each from a valid one by exchanged, cut and repeated bytes.
//! What is read keeps to what its caller may rely on; a panic is a failure as well.
//!
//! `INTERLOCK_SEED` plays one seed again. 20,000 inputs a reader by default; `INTERLOCK_LONG=1` plays 2,000,000.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use interlock_abi::address::{self, ADDRESS_BYTES_MAX, Kind, Name, Purpose};
use interlock_abi::dns::{self, Code, Family, MESSAGE_BYTES_MAX, Query, Response};
use interlock_abi::message::{Header, PARTS_MAX};
use interlock_abi::script::{HEAD_BYTES, Head};
use interlock_abi::sock_diag::Message;
use interlock_abi::status::{Signals, Status, state_and_parent, terminal};
use interlock_abi::{ancillary, membership, message, netlink, open, sock_diag};

/// xorshift64*: enough to make inputs, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// One of `valid`, changed in up to eight places.
    fn input(&mut self, valid: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one_of(valid);
        for _ in 0..self.below(9) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next() as u8),
                2 => {
                    let again: Vec<u8> = bytes[at..].to_vec();
                    bytes.extend(again);
                }
                3 if at < bytes.len() => bytes[at] = self.one_of(&[0, 1, 0x7f, 0x80, 0xff, b' ', b'\n', b':', b')']),
                4 if at + 8 <= bytes.len() => {
                    let word = self.one_of(&[0, 1, u64::from(u32::MAX), i64::MAX as u64, u64::MAX, 16, 17]);
                    bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
                }
                _ if at < bytes.len() => bytes[at] = self.next() as u8,
                _ => {}
            }
            bytes.truncate(4096);
        }
        bytes
    }
}

/// Gives `read` inputs made from `valid`.
fn played(valid: &[&[u8]], mut read: impl FnMut(&mut Random, &[u8])) {
    let long = std::env::var("INTERLOCK_LONG").is_ok_and(|said| said == "1");
    let given = std::env::var("INTERLOCK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed =
        given.unwrap_or_else(|| u64::from(std::process::id()) << 20 ^ u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    println!("INTERLOCK_SEED={seed}");
    let (mut random, valid) = (Random(seed | 1 << 63), valid.iter().map(|bytes| bytes.to_vec()).collect::<Vec<_>>());
    for _ in 0..if long { 2_000_000 } else { 20_000 } {
        let input = random.input(&valid);
        read(&mut random, &input);
    }
}

#[test]
fn addresses() {
    let six = [10, 0, 1, 187, 0, 0, 0, 7, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0];
    let valid: [&[u8]; 5] = [
        &[2, 0, 0, 80, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0],
        &six,
        b"\x01\x00/tmp/socket\0",
        b"\x01\x00\0abstract",
        &[16, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0],
    ];
    let domains = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK, libc::AF_PACKET];
    played(&valid, |random, bytes| {
        let kind = Kind { domain: random.one_of(&domains), style: random.one_of(&[libc::SOCK_STREAM, libc::SOCK_DGRAM]), protocol: 0 };
        let purpose = random.one_of(&[Purpose::Connect, Purpose::Bind, Purpose::Send]);
        let Ok(name) = address::parse(bytes, kind, purpose) else { return };
        // What the kernel is given is what was judged: read once more, it says the same.
        let wire = match &name {
            Name::Inet(endpoint) => endpoint.wire(),
            Name::Path(path) => address::unix_wire(path).expect("it came out of as many bytes"),
            Name::Abstract(name) => address::unix_wire(&[b"\0".as_slice(), name].concat()).expect("it came out of as many bytes"),
            Name::Autobind => address::autobind_wire(),
            Name::Netlink { port, groups } => address::netlink_wire(*port, *groups),
            Name::Dissolve | Name::Absent => return,
        };
        assert!(wire.len() <= ADDRESS_BYTES_MAX);
        if name != Name::Path(Vec::new()) {
            assert_eq!(address::parse(&wire, kind, purpose), Ok(name), "{bytes:?}");
        }
        let _none = address::own_endpoint(bytes);
    });
}

#[test]
fn control_data() {
    let rights = ancillary::message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[1, 0, 0, 0, 2, 0, 0, 0]);
    let two = [rights.clone(), ancillary::message(libc::IPPROTO_IP, libc::IP_TOS, &[9, 0, 0, 0])].concat();
    played(&[&rights, &two], |_, bytes| {
        let Ok(items) = ancillary::items(bytes) else { return };
        assert!(items.iter().map(|item| item.data.len() + 16).sum::<usize>() <= bytes.len());
        let written: Vec<u8> = items.iter().flat_map(|item| ancillary::message(item.level, item.kind, item.data)).collect();
        assert_eq!(ancillary::items(&written), Ok(items));
    });
}

#[test]
fn names() {
    let four = dns::question(7, "www.example.com", Family::Four).unwrap();
    let six = dns::question(7, "www.example.com", Family::Six).unwrap();
    let read = |message: &[u8]| Query::read(message).unwrap();
    let answers = [
        read(&four).answered(Code::NoError, &["203.0.113.7".parse().unwrap()], 60, true),
        read(&six).answered(Code::NoError, &["2606:4700::1".parse().unwrap(), "::1".parse().unwrap()], 60, false),
        read(&four).answered(Code::NoSuchName, &[], 0, true),
    ];
    let [first, second, third] = answers.each_ref().map(Vec::as_slice);
    played(&[&four, &six, first, second, third], |random, bytes| {
        let family = random.one_of(&[Family::Four, Family::Six]);
        if let Ok(question) = Query::read(bytes) {
            assert!(!question.name.contains('\0') && question.name.is_ascii());
            let answer = question.answered(Code::NoError, &[], 0, true);
            assert!(answer.len() <= MESSAGE_BYTES_MAX);
        }
        if let Some(answer) = Response::read(bytes, 7, "www.example.com", family) {
            assert!(answer.addresses.iter().all(|address| family.has(*address)), "{bytes:?}");
        }
    });
}

#[test]
fn message_headers() {
    let valid: Vec<u8> = [7_u64, 16, 8, 2, 9, 24, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
    played(&[&valid], |_, bytes| {
        if let Ok(parts) = message::parts(bytes) {
            assert_eq!(parts.len(), bytes.len() / 16);
            assert!(parts.iter().all(|(_, length)| i64::try_from(*length).is_ok()));
        }
        let Some(Ok(header)) = bytes.first_chunk().map(Header::of) else { return };
        assert!(header.name.is_none_or(|(_, length)| (1..=ADDRESS_BYTES_MAX as i32).contains(&length)));
        assert!(header.parts_bytes().is_ok_and(|bytes| bytes <= PARTS_MAX as usize * 16) == (header.parts.1 <= PARTS_MAX));
    });
}

#[test]
fn memberships() {
    let four = [7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 239, 1, 2, 4];
    let six = [7, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    played(&[&four, &six], |random, bytes| {
        let level = random.one_of(&[libc::IPPROTO_IP, libc::IPPROTO_IPV6]);
        let option = random.one_of(&[20, 27, 35, 39, 42, 46, 99]);
        if let Ok(group) = membership::group(level, option, bytes) {
            assert!(option != 99 && (group.is_ipv4() || level == libc::IPPROTO_IPV6));
        }
    });
}

#[test]
fn opens() {
    let valid: Vec<u8> = [libc::O_CREAT as u64, 0o644, libc::RESOLVE_BENEATH, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
    played(&[&valid[..24], &valid], |random, bytes| {
        assert_eq!(open::how_bytes(bytes.len() as u64).is_ok(), (24..=4096).contains(&bytes.len()));
        let (asked, mode) = (random.next() as i32, random.next());
        for how in [Ok(open::legacy(asked, mode)), open::extended(bytes)].into_iter().flatten() {
            assert!(how.mode <= 0o7777);
            // Whatever is not only read counts as written, and what makes a name follows none.
            let reads = how.flags & libc::O_ACCMODE == libc::O_RDONLY && how.flags & libc::O_TRUNC == 0;
            assert_eq!(how.writes(), !reads);
            assert!(how.flags & (libc::O_CREAT | libc::O_EXCL) != libc::O_CREAT | libc::O_EXCL || !how.follows());
            assert!(how.check().is_err() || !how.is_unnamed() || how.writes());
        }
    });
}

#[test]
fn scripts() {
    let valid: [&[u8]; 4] =
        [b"#!/bin/sh\necho", b"#! /usr/bin/env  python3 -u \n", b"\x7fELF\x02", &[b"#!/".as_slice(), &[b'x'; 300]].concat()];
    played(&valid, |_, bytes| match Head::of(bytes) {
        Head::Script { interpreter, argument } => {
            let line = &bytes[..bytes.len().min(HEAD_BYTES)];
            let within = |part: &[u8]| part.is_empty() || line.windows(part.len()).any(|window| window == part);
            assert!(!interpreter.is_empty() && within(&interpreter));
            assert!(!interpreter.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | 0)));
            assert!(argument.is_none_or(|argument| within(&argument) && !argument.contains(&b'\n')));
        }
        Head::Binary => assert!(bytes.starts_with(b"\x7fELF")),
        Head::Other => {}
    });
}

#[test]
fn route_netlink() {
    let message = |kind: u16| [20_u32.to_ne_bytes().to_vec(), kind.to_ne_bytes().to_vec(), vec![0; 14]].concat();
    played(&[&message(libc::RTM_GETADDR), &[message(libc::RTM_GETLINK), message(libc::RTM_NEWROUTE)].concat()], |_, bytes| {
        let Some(kind) = bytes.get(..16).map(|header| u16::from_ne_bytes([header[4], header[5]])) else { return };
        // Whatever follows, a change in front is seen.
        if kind >= 16 && kind % 4 != 2 {
            assert!(netlink::check(bytes).is_err(), "{bytes:?}");
        }
    });
}

#[test]
fn socket_answers() {
    let answer =
        [92_u32.to_ne_bytes().to_vec(), 20_u16.to_ne_bytes().to_vec(), vec![0; 10], vec![2, 10, 0, 0, 31, 144], vec![1; 70]].concat();
    let done = [16_u32.to_ne_bytes().to_vec(), 3_u16.to_ne_bytes().to_vec(), vec![0; 10]].concat();
    played(&[&answer, &[answer.clone(), done].concat(), &sock_diag::question(2, 6, 1 << 10, 80)], |_, bytes| {
        let mut rest = bytes;
        while let Some(message) = Message::first(rest) {
            let _said = message.said();
            assert!(message.rest.len() < rest.len(), "each message is behind the one before");
            rest = message.rest;
        }
    });
}

#[test]
fn process_texts() {
    let status = b"Name:\tx\nUmask:\t0027\nTgid:\t42\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nThreads:\t1\nSigPnd:\t0000000000000004\n\
        ShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000006\nCapEff:\t0000000000000003\n";
    played(&[status, b"7 (a) T (b) S 1 2 3 34816 5"], |_, bytes| {
        if let Some(status) = Status::of(bytes) {
            assert_eq!((status.identity.user, status.identity.group), (status.users[3], status.groups[3]));
        }
        let _signals = Signals::of(bytes).map(Signals::surely_own);
        assert!(state_and_parent(bytes).is_none() || bytes.contains(&b')'));
        let _terminal = terminal(bytes);
    });
}
