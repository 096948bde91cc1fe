//! A JSON text of a peer, looked through once before a parser builds anything of it: how deep it nests, how many values it holds, and
//! whether an object repeats a key, which is how two readers come to read two things (RFC 8259, section 4).
//!
//! It tells what is wrong with a text that is JSON. That it is JSON says the parser that reads it afterwards; of any other text nothing
//! that is told here matters.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Keys of one object among which a key is looked for one by one.
const FEW: usize = 16;

/// What no text may go beyond.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Lists and objects within each other.
    pub depth_max: usize,
    /// Values, as their commas tell.
    pub items_max: usize,
    /// The largest integer, in digits, beyond which a reader with doubles takes one integer for another; none where numbers are only
    /// handed on.
    pub integer_max: Option<&'static str>,
}

/// 2^53-1.
pub const EXACT_MAX: &str = "9007199254740991";
/// Digits that are shown of an integer which is refused.
const SHOWN: usize = 24;

/// Why a text is not read, in words; none for a text that may be.
#[must_use]
pub fn fault(text: &[u8], bounds: Bounds) -> Option<String> {
    Look { text, bounds, at: 0, commas: 0, open: Vec::new() }.through().err()
}

struct Look<'a> {
    text: &'a [u8],
    bounds: Bounds,
    at: usize,
    commas: usize,
    open: Vec<Within<'a>>,
}

/// A list or object that has begun.
enum Within<'a> {
    List,
    /// An object: its keys so far, and whether the next string is one.
    Object(Keys<'a>, bool),
}

impl<'a> Look<'a> {
    fn through(mut self) -> Result<(), String> {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.string()?,
                b'{' => self.begin(Within::Object(Keys::default(), true))?,
                b'[' => self.begin(Within::List)?,
                b'}' | b']' => drop(self.open.pop()),
                b',' => self.comma()?,
                b'0'..=b'9' => self.number()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The number that has begun with a digit: its end, and whether it is an integer that two readers could read apart.
    fn number(&mut self) -> Result<(), String> {
        let begin = self.at - 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')).count();
        let digits = self.text.get(begin..self.at).unwrap_or_default();
        let Some(most) = self.bounds.integer_max else { return Ok(()) };
        if digits.len() < most.len() || !digits.iter().all(u8::is_ascii_digit) || (digits.len(), digits) <= (most.len(), most.as_bytes()) {
            return Ok(());
        }
        let from = if begin > 0 && self.text.get(begin - 1) == Some(&b'-') { begin - 1 } else { begin };
        let written = String::from_utf8_lossy(self.text.get(from..self.at).unwrap_or_default());
        let shown: String = written.chars().take(SHOWN).collect();
        Err(format!("the integer `{shown}` is beyond 2^53-1, where readers disagree"))
    }

    fn begin(&mut self, within: Within<'a>) -> Result<(), String> {
        self.open.push(within);
        if self.open.len() > self.bounds.depth_max {
            return Err(format!("nested deeper than {}", self.bounds.depth_max));
        }
        Ok(())
    }

    fn comma(&mut self) -> Result<(), String> {
        self.commas += 1;
        if self.commas > self.bounds.items_max {
            return Err(format!("the text holds more than {} values", self.bounds.items_max));
        }
        if let Some(Within::Object(_, next)) = self.open.last_mut() {
            *next = true;
        }
        Ok(())
    }

    /// The string that has begun: its end, and whether it is a key that was there before.
    fn string(&mut self) -> Result<(), String> {
        let begin = self.at;
        let mut plain = true;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    plain = false;
                    self.at += 1;
                }
                _ => {}
            }
        }
        let Some(Within::Object(keys, next @ true)) = self.open.last_mut() else { return Ok(()) };
        *next = false;
        let written = self.text.get(begin..self.at.saturating_sub(1)).unwrap_or_default();
        if keys.hold(if plain { Cow::Borrowed(written) } else { meant(written) }) {
            return Err("an object holds the same key twice".into());
        }
        Ok(())
    }
}

/// A key that is written with escapes, as it is read. One that is not a string at all stands for itself.
fn meant(written: &[u8]) -> Cow<'_, [u8]> {
    let quoted = [b"\"", written, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or(Cow::Borrowed(written), |text| Cow::Owned(text.into_bytes()))
}

/// The keys of one object: a few in a list, more in a set, so that no number of them costs more than it should.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, [u8]>>,
    many: BTreeSet<Cow<'a, [u8]>>,
}

impl<'a> Keys<'a> {
    /// Takes a key; whether it was there.
    fn hold(&mut self, key: Cow<'a, [u8]>) -> bool {
        if self.few.contains(&key) {
            return true;
        }
        if self.few.len() < FEW {
            self.few.push(key);
            return false;
        }
        !self.many.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, EXACT_MAX, fault};

    const BOUNDS: Bounds = Bounds { depth_max: 3, items_max: 4, integer_max: Some(EXACT_MAX) };

    fn found(text: &str) -> String {
        fault(text.as_bytes(), BOUNDS).unwrap_or_default()
    }

    #[test]
    fn a_key_is_itself_however_it_is_written() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":1,"a":{},"a":0}]"#, "{ \"a\" : 1 ,\n\"a\" : 2 }"] {
            assert_eq!(found(text), "an object holds the same key twice", "{text}");
        }
        for text in [r#"{"a":"a","b":"a"}"#, r#"{"a":{"a":1}}"#, r#"[{"a":1},{"a":1}]"#, r#"{"a\"":1,"a":2}"#, r#"["a","a"]"#] {
            assert_eq!(found(text), "", "{text}");
        }
        let many: Vec<String> = (0..40).map(|number| format!("\"k{number}\":0")).collect();
        let wide = Bounds { items_max: 100, ..BOUNDS };
        assert_eq!(fault(format!("{{{}}}", many.join(",")).as_bytes(), wide), None);
        for key in [0, 20, 39] {
            let text = format!("{{{},\"k{key}\":1}}", many.join(","));
            assert!(fault(text.as_bytes(), wide).is_some(), "{key}");
        }
    }

    #[test]
    fn brackets_and_commas_count_outside_strings() {
        assert_eq!(found("[[[1]]]"), "");
        assert_eq!(found("[[[[1]]]]"), "nested deeper than 3");
        assert_eq!(found("[1,2,3,4,5]"), "");
        assert_eq!(found("[1,2,3,4,5,6]"), "the text holds more than 4 values");
        assert_eq!(found(r#"["[[[[[{{{{,,,,,,,\"[[[[,,,,,"]"#), "");
        assert_eq!(found("[[1],[2],[3]]"), "");
    }

    #[test]
    fn an_integer_is_one_that_every_reader_holds() {
        for text in
            ["9007199254740991", "[-9007199254740991]", "0", "0.30000000000000004", "1e300", "90071992547409929.5", "\"90071992547409929\""]
        {
            assert_eq!(found(text), "", "{text}");
        }
        for text in ["9007199254740992", "[1,-9007199254740992]", "{\"a\":123456789012345678901234567890}"] {
            assert!(found(text).contains("where readers disagree"), "{text}");
        }
        assert_eq!(found("-90071992547409929"), "the integer `-90071992547409929` is beyond 2^53-1, where readers disagree");
        assert_eq!(fault(b"90071992547409929", Bounds { integer_max: None, ..BOUNDS }), None);
    }

    #[test]
    fn no_text_is_too_strange_to_be_looked_through() {
        for text in ["", "\"", "\"\\", "\\", "{\"", "}}]]", "{\"a\\", "{\"a\":1,\"a\\u00\":", "{\"\\ud800\":1}"] {
            assert_eq!(found(text), "", "{text}");
        }
    }
}
