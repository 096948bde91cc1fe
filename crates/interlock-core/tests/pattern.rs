//! Patterns under attack: bytes that are no text, blow-ups, lengths, and what could lie below a directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use interlock_core::action::Bytes;
use interlock_core::glob::Glob;
use interlock_core::pattern::Pattern;
use std::time::{Duration, Instant};

fn pattern(text: &str) -> Pattern {
    Pattern::compile(&Bytes::from(text)).unwrap()
}

/// Generous: what is exponential takes years.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn bytes_that_are_no_text_match_as_bytes() {
    assert!(pattern("/w/*").matches(b"/w/\xff\xfe"));
    assert!(pattern("/w/?").matches(b"/w/\xff"));
    assert!(pattern("/w/[!a]").matches(b"/w/\xff"));
    assert!(pattern("**/a").matches(b"/\xff/a"));
    assert!(!pattern("/w/?").matches(b"/w/\xff\xfe"));
    let raw = Pattern::compile(&Bytes(b"/w/\xff*".to_vec())).unwrap();
    assert!(raw.matches(b"/w/\xff\x00x"));
    assert!(!raw.matches(b"/w/\xfe"));
}

#[test]
fn a_match_begins_in_the_folder_nearest_to_the_root() {
    let begins =
        |text: &str, path: &str| pattern(text).begins_in(path.as_bytes()).map(|folder| String::from_utf8(folder.to_vec()).unwrap());
    assert_eq!(begins("**/.tool/**", "/w/a/.tool/x").unwrap(), "/w/a");
    assert_eq!(begins("**/.tool/**", "/.tool").unwrap(), "/");
    assert_eq!(begins("**/.tool/**", "/w/.tool/tree/.tool/x").unwrap(), "/w");
    assert_eq!(begins("**/.tool/**/x", "/w/.tool/.tool/x").unwrap(), "/w");
    assert_eq!(begins("**/a/b", "/a/b/a/b").unwrap(), "/a/b");
    assert_eq!(begins("**/a/b", "/a/a/b").unwrap(), "/a");
    assert_eq!(begins("**/.tool/**", "/w/tool"), None);
    assert_eq!(begins("/w/**/x", "/w/a/x"), None);
    let towards = |text: &str, path: &str| pattern(text).begins_towards(path.as_bytes()).map(<[u8]>::to_vec);
    assert_eq!(towards("**/.tool/a/b", "/w/.tool").unwrap(), b"/w");
    assert_eq!(towards("**/.tool/a/b", "/w/.tool/c"), None);
}

#[test]
fn nested_stars_take_no_exponential_time() {
    let start = Instant::now();
    let name = "a".repeat(250);
    assert!(!pattern(&format!("/{}b", "*a".repeat(100))).matches(format!("/{name}").as_bytes()));
    let path = "/a".repeat(2000);
    assert!(!pattern(&format!("/{}b", "**/a/".repeat(300))).matches(path.as_bytes()));
    assert!(!pattern(&format!("/{}b", "**/*a*a*/".repeat(200))).matches(path.as_bytes()));
    assert!(!pattern(&format!("/{}b", "**/".repeat(2000))).matches(path.as_bytes()));
    assert!(!Glob::compile("*a".repeat(2000).as_bytes()).unwrap().matches("b".repeat(100_000).as_bytes()));
    assert!(!Glob::compile(format!("{}b", "*a".repeat(500)).as_bytes()).unwrap().matches("a".repeat(20_000).as_bytes()));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn a_path_of_any_length_is_taken() {
    let deep = "/a".repeat(100_000);
    assert!(pattern("/**/a").matches(deep.as_bytes()));
    assert!(!pattern("/**/b").matches(deep.as_bytes()));
    assert!(pattern("/a/**").could_match_below(deep.as_bytes()));
}

#[test]
fn ill_formed_paths_are_no_fault() {
    for path in [b"".as_slice(), b"a", b"//", b"/a//b", b"/a/", b"\xff"] {
        for text in ["/", "/**", "/a/**", "**/a", "/a/*/b", "/*"] {
            let pattern = pattern(text);
            let _ = (pattern.matches(path), pattern.could_match_below(path));
        }
    }
}

#[test]
fn below_a_directory() {
    for (text, directory, expect) in [
        ("/a/b", "/a", true),
        ("/a/b", "/a/b", false),
        ("/a/b", "/", true),
        ("/a/b", "/ab", false),
        ("/a/b/c", "/a", true),
        ("/ab", "/a", false),
        ("/", "/", false),
        ("/**", "/", true),
        ("/a/**", "/a/b/c", true),
        ("/a/**", "/b", false),
        ("/a/*", "/a", true),
        ("/a/*", "/a/b", false),
        ("/a/*/c", "/a/b", true),
        ("/a/*/c", "/a/b/c", false),
        ("**/.env", "/x/y", true),
        ("/a/**/b", "/a/b", true),
        ("/[ab]/x", "/a", true),
        ("/[ab]/x", "/c", false),
        ("/*/x/y", "/q/x", true),
        ("/*/x/y", "/q/z", false),
    ] {
        assert_eq!(pattern(text).could_match_below(directory.as_bytes()), expect, "{text} below {directory}");
    }
}

/// Against every path of up to four components from a small alphabet: below is exactly what some longer path shows.
#[test]
fn below_is_what_some_path_below_shows() {
    let names = ["a", "b", "c"];
    let mut levels: Vec<Vec<String>> = vec![vec![String::new()]];
    for level in 0..5 {
        let next = levels[level].iter().flat_map(|path| names.iter().map(move |name| format!("{path}/{name}"))).collect();
        levels.push(next);
    }
    let texts = ["/a/**/b", "/**", "**/a/b", "/a", "/*/b", "/a/*/c", "/a/b/**", "**/a/**/c", "/[ab]/c/*", "**/b", "/a/b/c"];
    for text in texts {
        let pattern = pattern(text);
        for directory in levels[..3].iter().flatten() {
            let below = levels.iter().flatten().any(|path| {
                path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
                    && pattern.matches(path.as_bytes())
            });
            let directory = if directory.is_empty() { "/" } else { directory };
            assert_eq!(pattern.could_match_below(directory.as_bytes()), below, "{text} below {directory}");
        }
    }
}
