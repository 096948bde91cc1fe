//! Where an argument stands, and whether a server could read it otherwise than a condition does.
//!
//! Libraries take a key without regard to case (Go's `encoding/json`, others by an option) or to how its words are joined (`file_path` for
//! `filePath`), and resolve `..`, `\\` and `%2e` in what is a path to them. What they do is not known here, so it is not guessed: such
//! arguments cannot be judged.

use serde_json::{Map, Value};

/// The value at a JSON pointer (RFC 6901), if there is one. An error where a key on the way only folds to the one that is asked for.
pub fn at<'a>(arguments: &'a Value, pointer: &str) -> Result<Option<&'a Value>, String> {
    let mut value = arguments;
    for step in pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        let next = match value {
            Value::Object(entries) => {
                if let Some(other) = meets(entries, &key) {
                    return Err(format!("the arguments hold a key that a server may take for the one at `{pointer}`: `{other}`"));
                }
                entries.get(&key)
            }
            Value::Array(_) => value.pointer(&format!("/{step}")),
            _ => None,
        };
        let Some(next) = next else { return Ok(None) };
        value = next;
    }
    Ok(Some(value))
}

fn meets<'a>(entries: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let folded = folded(key);
    entries.keys().map(String::as_str).find(|other| *other != key && self::folded(other) == folded)
}

/// A key without its case, and without what joins its words.
fn folded(key: &str) -> String {
    let upper: String = key.chars().filter(|one| !matches!(one, '_' | '-' | ' ')).flat_map(char::to_uppercase).collect();
    upper.to_lowercase()
}

/// Whether a text, read as a path or a URI, is not where its front says: `..`, `.` or nothing between two separators, in any of the ways to
/// write it that a reader may undo (`%2e`, `%252e`, `\\`), or a zero byte, at which C ends it.
pub fn strays(text: &str) -> bool {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        if bytes.contains(&0) || is_crooked(&bytes) {
            return true;
        }
        bytes = decoded(&bytes);
    }
    false
}

fn is_crooked(text: &[u8]) -> bool {
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let is_end = |byte: &u8| matches!(byte, b'?' | b'#');
    if text.split(|byte| is_separator(byte) || is_end(byte)).any(|part| part == b"..") {
        return true;
    }
    let path = text.split(is_end).next().unwrap_or_default();
    let path = path.windows(3).position(|three| three == b"://").and_then(|at| path.get(at + 3..)).unwrap_or(path);
    let parts: Vec<_> = path.split(is_separator).collect();
    let inner = parts.get(1..parts.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().any(|part| part.is_empty()) || (parts.len() > 1 && parts.contains(&&b"."[..]))
}

/// A text may have been encoded twice, hardly more often.
const DECODINGS: usize = 4;

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_found_by_itself_alone() {
        let arguments = json!({"a": {"path": 1}, "list": [{"b": 2}]});
        assert_eq!(at(&arguments, "/a/path"), Ok(Some(&json!(1))));
        assert_eq!(at(&arguments, "/list/0/b"), Ok(Some(&json!(2))));
        assert_eq!(at(&arguments, "/nothing"), Ok(None));
        assert_eq!(at(&arguments, ""), Ok(Some(&arguments)));
        for other in ["Path", "PATH", "pa_th", "pa-th", "path "] {
            let key = "path";
            assert!(at(&json!({(other): 1}), &format!("/{key}")).is_err(), "{other}");
            assert!(at(&json!({(other): 1, (key): 2}), &format!("/{key}")).is_err(), "{other}");
        }
    }

    #[test]
    fn a_text_strays_however_it_is_written() {
        let ways = [
            "..",
            "/srv/../x",
            "/srv/..",
            "../x",
            "a\\..\\b",
            "/srv/%2e%2e/x",
            "/srv/.%2E/x",
            "/srv%2f..%2fx",
            "/srv/%252e%252e/x",
            "/srv/x\0",
            "/./etc",
            "//etc",
            "/srv//etc",
            "file:///srv//x",
            "http://h/%2e/x",
            "/srv/%00",
        ];
        for text in ways {
            assert!(strays(text), "{text}");
        }
        let others = [
            "",
            "/srv/a..b",
            "...",
            "/srv/...",
            "a.b",
            "100%",
            "%2",
            "50%25 off",
            "file:///srv/x",
            "https://h/x/?u=http://y",
            "/srv/x/",
            ".",
        ];
        for text in others {
            assert!(!strays(text), "{text}");
        }
    }
}
