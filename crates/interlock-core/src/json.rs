//! JSON read strictly (a repeated key is an error) and written canonically (RFC 8785).
//!
//! One deviation from RFC 8785, on purpose: integers beyond 2^53 are written with all their digits, so that two objects with
//! different inode numbers never share a digest. A number that neither a 64-bit integer nor a double below 2^53 holds is refused.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// Longest JSON text the engine reads.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// Doubles from here on have lost their integer's last digits.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A JSON value in which no object repeats a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strict(pub Value);

impl Serialize for Strict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(Value::Number(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Strict, E> {
        match Number::from_f64(value) {
            Some(number) if value.abs() < EXACT_MAX => Ok(Strict(Value::Number(number))),
            _ => Err(E::custom(format!("`{value}` is too large a number to be held exactly"))),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Strict, E> {
        Ok(Strict(Value::String(value)))
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Strict(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Strict, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Strict(value) = entries.next_value()?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("duplicate field `{key}`")));
            }
            object.insert(key, value);
        }
        Ok(Strict(Value::Object(object)))
    }
}

/// Parses a text of at most [`TEXT_BYTES_MAX`] bytes, refusing repeated keys at any depth (serde_json refuses a depth over 128).
pub fn parse(text: &str) -> Result<Value, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("{} bytes of JSON, of which at most {TEXT_BYTES_MAX} are read", text.len()));
    }
    serde_json::from_str::<Strict>(text).map(|strict| strict.0).map_err(|error| error.to_string())
}

/// Refuses a list where an object belongs: serde would read its items as the object's keys in order. Places are paths of keys, `*` for
/// every item of a list.
pub(crate) fn no_lists(value: &Value, places: &[&str]) -> Result<(), String> {
    places.iter().try_for_each(|place| no_list(value, place, place))
}

fn no_list(value: &Value, place: &str, rest: &str) -> Result<(), String> {
    let (step, after) = rest.split_once('/').unwrap_or((rest, ""));
    match (step, value) {
        ("", Value::Array(_)) => Err(format!("a list where an object belongs, at `{place}`")),
        ("", _) => Ok(()),
        ("*", Value::Array(items)) => items.iter().try_for_each(|item| no_list(item, place, after)),
        ("*", _) => Ok(()),
        (key, value) => value.get(key).map_or(Ok(()), |item| no_list(item, place, after)),
    }
}

/// The RFC 8785 form: keys sorted by UTF-16 code units, no white space, numbers as ECMAScript writes them.
pub fn canonical(value: &Value) -> String {
    let mut out = String::with_capacity(256);
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, value);
            }
            out.push(']');
        }
        Value::Object(object) => write_object(out, object),
    }
}

fn write_object(out: &mut String, object: &Map<String, Value>) {
    if object.keys().all(|key| key.is_ascii()) {
        // serde_json's map is in the order of bytes, which for ASCII is the order wanted.
        return write_entries(out, object.iter());
    }
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by(|left, right| left.0.encode_utf16().cmp(right.0.encode_utf16()));
    write_entries(out, entries.into_iter());
}

fn write_entries<'a>(out: &mut String, entries: impl Iterator<Item = (&'a String, &'a Value)>) {
    out.push('{');
    for (index, (key, value)) in entries.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

/// RFC 8785 section 3.2.2.2: the two-character escapes where they exist, `\u00xx` for other controls, nothing else escaped.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|character: char| character < ' ' || character == '"' || character == '\\') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = from.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            control => {
                let _ = write!(out, "\\u{:04x}", control.map_or(0, u32::from));
            }
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn write_number(out: &mut String, number: &Number) {
    if let Some(integer) = number.as_u64() {
        let _ = write!(out, "{integer}");
    } else if let Some(integer) = number.as_i64() {
        let _ = write!(out, "{integer}");
    } else {
        write_double(out, number.as_f64().unwrap_or(0.0));
    }
}

/// ECMAScript `Number::toString` (ECMA-262 section 6.1.6.1.20), from Rust's shortest round-trip digits.
fn write_double(out: &mut String, value: f64) {
    if value == 0.0 {
        out.push('0');
        return;
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific.as_str(), "0"));
    let digits: String = mantissa.chars().filter(|character| *character != '.').collect();
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    if value < 0.0 {
        out.push('-');
    }
    lay_out(out, &digits, point);
}

/// `point` is where the decimal point stands, counted from before the first digit.
fn lay_out(out: &mut String, digits: &str, point: i32) {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if (count..=21).contains(&point) {
        let _ = write!(out, "{digits}{}", zeros(point - count));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        let _ = write!(out, "{whole}.{fraction}");
    } else if -6 < point && point <= 0 {
        let _ = write!(out, "0.{}{digits}", zeros(-point));
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{dot}{rest}e{:+}", point - 1);
    }
}
