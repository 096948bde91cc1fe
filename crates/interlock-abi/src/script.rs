//! The first line of a script, read as the kernel's `load_script` reads it: which program runs it, and with which arguments.
//!
//! Left out: resolving the interpreter's path. Source: execve(2), fs/binfmt_script.c's documented behaviour.

/// The kernel looks at this much of a file (BINPRM_BUF_SIZE).
pub const HEAD_BYTES: usize = 256;
/// Interpreters of interpreters the kernel follows.
pub const DEPTH_MAX: usize = 5;

/// What the head of a program file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// `#!`: the interpreter's path as written, and its one optional argument.
    Script {
        /// May be relative: to the caller's directory.
        interpreter: Vec<u8>,
        /// The rest of the line, inner blanks and all.
        argument: Option<Vec<u8>>,
    },
    /// An ELF image.
    Binary,
    /// Anything else: the kernel refuses it (ENOEXEC), unless a binary format was registered for it (binfmt_misc).
    Other,
}

impl Head {
    /// Reads the first bytes of a file; fewer than [`HEAD_BYTES`] mean that the file ends there.
    pub fn of(bytes: &[u8]) -> Head {
        let mut buffer = [0_u8; HEAD_BYTES];
        buffer.iter_mut().zip(bytes).for_each(|(into, byte)| *into = *byte);
        match bytes {
            [0x7f, b'E', b'L', b'F', ..] => Head::Binary,
            [b'#', b'!', ..] => script(&buffer).unwrap_or(Head::Other),
            _ => Head::Other,
        }
    }
}

/// Step for step as the kernel does it on its zero-filled buffer, odd ends included: what it makes of a line is compared with this.
fn script(buffer: &[u8; HEAD_BYTES]) -> Option<Head> {
    let text = buffer.split(|byte| *byte == 0).next()?;
    let mut end = match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => end,
        // No end of line in what the kernel reads: the interpreter's name must at least be whole.
        None => next(buffer, 2, LAST, |byte| !blank(byte)).and_then(|name| next(buffer, name, LAST, ends_name)).map(|_| LAST)?,
    };
    while end > 2 && buffer.get(end - 1).copied().is_some_and(blank) {
        end -= 1;
    }
    let name = next(buffer, 2, end, |byte| !blank(byte)).filter(|name| *name != end)?;
    let stop = next(buffer, name, end, ends_name).unwrap_or(end);
    let argument = (buffer.get(stop) != Some(&0)).then(|| next(buffer, stop, end, |byte| !blank(byte))).flatten().filter(|at| *at < end);
    let interpreter = until_zero(buffer.get(name..stop)?);
    let argument = argument.and_then(|at| buffer.get(at..end)).map(until_zero);
    (!interpreter.is_empty()).then_some(Head::Script { interpreter, argument })
}

const LAST: usize = HEAD_BYTES - 1;

fn next(buffer: &[u8], first: usize, last: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    (first..=last).find(|at| buffer.get(*at).copied().is_some_and(&wanted))
}

fn until_zero(text: &[u8]) -> Vec<u8> {
    text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn ends_name(byte: u8) -> bool {
    blank(byte) || byte == 0
}

/// The arguments the interpreter gets: its own name as written, its argument, the script's name, and the caller's from the second on.
pub fn arguments(interpreter: &[u8], argument: Option<&[u8]>, name: &[u8], given: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = vec![interpreter.to_vec()];
    all.extend(argument.map(<[u8]>::to_vec));
    all.push(name.to_vec());
    all.extend(given.iter().skip(1).cloned());
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn script(interpreter: &str, argument: Option<&str>) -> Head {
        Head::Script { interpreter: interpreter.into(), argument: argument.map(Into::into) }
    }

    #[test]
    fn lines_as_the_kernel_reads_them() {
        assert_eq!(Head::of(b"#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(Head::of(b"#! \t/bin/sh \t\n"), script("/bin/sh", None));
        assert_eq!(Head::of(b"#!/usr/bin/env  python3 -u \n"), script("/usr/bin/env", Some("python3 -u")));
        assert_eq!(Head::of(b"#!/bin/sh"), script("/bin/sh", None));
        assert_eq!(Head::of(b"#!/bin/sh\r\n"), script("/bin/sh\r", None));
        assert_eq!(Head::of(b"#!bin/sh\n"), script("bin/sh", None));
        assert_eq!(Head::of(b"#!/bin/sh\0x y\n"), script("/bin/sh", None));
        // The file ends after a blank: the kernel takes the zero after it for an (empty) argument.
        assert_eq!(Head::of(b"#!/bin/sh "), script("/bin/sh", Some("")));
    }

    #[test]
    fn what_is_no_script() {
        assert_eq!(Head::of(b"#!\n/bin/sh"), Head::Other);
        assert_eq!(Head::of(b"#!   \n"), Head::Other);
        assert_eq!(Head::of(b""), Head::Other);
        assert_eq!(Head::of(b"echo hi\n"), Head::Other);
        assert_eq!(Head::of(b"\x7fELF\x02"), Head::Binary);
    }

    #[test]
    fn a_long_line_is_cut_but_its_interpreter_must_be_whole() {
        let mut long = b"#!/bin/sh ".to_vec();
        long.resize(400, b'x');
        let Head::Script { argument, .. } = Head::of(&long) else { unreachable!() };
        assert_eq!(argument.unwrap().len(), HEAD_BYTES - 1 - b"#!/bin/sh ".len());
        let mut cut = b"#!/".to_vec();
        cut.resize(400, b'x');
        assert_eq!(Head::of(&cut), Head::Other);
    }

    #[test]
    fn arguments_of_an_interpreter() {
        let given = [b"zero".to_vec(), b"one".to_vec()];
        let all = arguments(b"/bin/sh", Some(b"-e"), b"./s", &given);
        assert_eq!(all, [b"/bin/sh".to_vec(), b"-e".to_vec(), b"./s".to_vec(), b"one".to_vec()]);
    }
}
