//! Git itself is the oracle: of text made from pieces of its grammar, both read the same settings, or both refuse it.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use interlock_core::content::Format;
use interlock_keys::{read, settings};
use std::io::Write as _;
use std::process::{Command, Stdio};

const PIECES: &[&str] = &[
    "[core]",
    "[Core]",
    "[a \"b.C\"]",
    "[a.B]",
    "[a \"x\\\"y\"]",
    "[a\t\"\"]",
    "[ a]",
    "[a ]",
    "[a\"b\"]",
    "[a \"b\" ]",
    "[a-1.2]",
    "[",
    "]",
    "\n",
    "\n",
    "\n",
    " ",
    "\t",
    "\r\n",
    "\r",
    "key",
    "Key-2",
    "2k",
    "k",
    "=",
    " = ",
    "v",
    "value",
    "\"",
    "\"q # q\"",
    "\\",
    "\\\n",
    "\\n",
    "\\t",
    "\\b",
    "\\\"",
    "\\x",
    "#",
    ";",
    "# c\n",
    "\u{feff}",
    "ü",
    "hooksPath = x\n",
    "k\n",
    "k =\n",
    "k = a  b \n",
    "include.path",
    ".",
];
const BYTES: &[u8] = b"{}[]\":,=\\ \n\r#;aZ0.-'\xef\xbb\xbf\xff\0";
const TRIES: usize = 1_500;

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn seed() -> u64 {
    let seed = std::env::var("INTERLOCK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_128);
    println!("INTERLOCK_SEED={seed}");
    seed
}

fn text(state: &mut u64) -> String {
    let mut text = if next(state) % 4 == 0 { String::new() } else { "[s]\n".to_owned() };
    for _ in 0..next(state) % 14 {
        text.push_str(PIECES[next(state) as usize % PIECES.len()]);
    }
    text
}

/// Names and values as git lists them; a key alone is true.
fn by_git(text: &str) -> Option<Vec<(String, String)>> {
    let mut git = Command::new("git")
        .args(["config", "--file", "-", "--no-includes", "--list", "-z"])
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = git.wait_with_output().unwrap();
    let listed = String::from_utf8(done.stdout).unwrap();
    let pair = |entry: &str| match entry.split_once('\n') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (entry.to_owned(), "true".to_owned()),
    };
    done.status.success().then(|| listed.split_terminator('\0').map(pair).collect())
}

fn by_us(text: &str) -> Option<Vec<(String, String)>> {
    Some(settings(text)?.into_iter().map(|of| (of.name(), of.value)).collect())
}

/// Older versions of git make a space of each white space within a value.
fn spaced(all: Vec<(String, String)>) -> Vec<(String, String)> {
    all.into_iter().map(|(name, value)| (name, value.replace(['\t', '\r', '\n'], " "))).collect()
}

#[test]
fn both_read_the_same() {
    let mut state = seed();
    for _ in 0..TRIES {
        let text = text(&mut state);
        let git = by_git(&text);
        match by_us(&text) {
            Some(ours) => assert_eq!(Some(spaced(ours)), git.map(spaced), "{text:?}"),
            // A setting outside of every section git lists and never asks for: it is not read here.
            None => assert!(git.is_none_or(|all| all.iter().any(|(name, _)| !name.contains('.'))), "{text:?}"),
        }
    }
}

#[test]
fn no_text_is_too_much() {
    let mut state = seed();
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..next(&mut state) % 40).map(|_| BYTES[next(&mut state) as usize % BYTES.len()]).collect();
        for format in Format::ALL {
            let _read = read(*format, b"", &bytes);
        }
    }
    for (format, deep) in [
        (Format::Json, "[".repeat(100_000)),
        (Format::Json, "{\"a\":".repeat(100_000)),
        (Format::Toml, format!("a = {}", "[".repeat(100_000))),
    ] {
        assert!(read(format, b"", deep.as_bytes()).is_err());
    }
    // Dotted keys nest without brackets.
    let _read = read(Format::Toml, b"", format!("{}a = 1", "a.".repeat(100_000)).as_bytes());
}
