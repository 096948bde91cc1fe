//! Canonical JSON (RFC 8785): one value, one byte string. Parsing is serde_json's.
//!
//! One deviation, stated in spec/ledger.md: an integer beyond 2^53 is written with all its digits instead of being rounded
//! to a double, since rounding an inode number would record another inode.

use std::cmp::Ordering;
use std::io::Write;

use serde_json::{Map, Number, Value};

/// The canonical bytes of a value.
#[must_use]
pub fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(value, &mut out);
    out
}

/// Appends the canonical bytes of `value` to `out`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_array(items, out),
        Value::Object(members) => write_object(members, out),
    }
}

fn write_array(items: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) {
    if is_sorted(members) {
        return write_members(members.iter(), out);
    }
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by(|a, b| compare(a.0, b.0));
    write_members(sorted.into_iter(), out);
}

/// serde_json's map is usually sorted by bytes, which for ASCII is the order wanted; then nothing need be copied.
fn is_sorted(members: &Map<String, Value>) -> bool {
    let mut before = "";
    members.keys().all(|key| {
        let fits = key.is_ascii() && before <= key.as_str();
        before = key;
        fits
    })
}

fn write_members<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (key, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

/// RFC 8785 §3.2.3: names are ordered by their UTF-16 code units.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// RFC 8785 §3.2.2.2: only what must be escaped is.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(plain..at).unwrap_or_default());
        write_escape(byte, out);
        plain = at + 1;
    }
    out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x09 => out.extend_from_slice(b"\\t"),
        0x0a => out.extend_from_slice(b"\\n"),
        0x0c => out.extend_from_slice(b"\\f"),
        0x0d => out.extend_from_slice(b"\\r"),
        other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
    }
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    if let Some(whole) = number.as_u64() {
        write_integer(whole, out);
    } else if let Some(whole) = number.as_i64() {
        let _ = write!(out, "{whole}");
    } else if let Some(real) = number.as_f64() {
        write_real(real, out);
    }
}

/// Decimal digits of a whole number.
pub(crate) fn write_integer(whole: u64, out: &mut Vec<u8>) {
    let _ = write!(out, "{whole}");
}

/// ECMAScript `Number::toString` (ECMA-262 §6.1.6.1.20), as RFC 8785 §3.2.2.3 asks.
fn write_real(real: f64, out: &mut Vec<u8>) {
    if real == 0.0 {
        out.push(b'0');
        return;
    }
    let text = format!("{:e}", real.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    if real < 0.0 {
        out.push(b'-');
    }
    out.extend_from_slice(place_point(&digits, point).as_bytes());
}

fn place_point(digits: &str, point: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let split = |at: i32| digits.split_at(usize::try_from(at).unwrap_or(0));
    if count <= point && point <= 21 {
        return format!("{digits}{}", zeros(point - count));
    }
    if 0 < point && point <= 21 {
        let (whole, part) = split(point);
        return format!("{whole}.{part}");
    }
    if -6 < point && point <= 0 {
        return format!("0.{}{digits}", zeros(-point));
    }
    let (first, rest) = split(1);
    let dot = if rest.is_empty() { "" } else { "." };
    format!("{first}{dot}{rest}e{:+}", point - 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_8785_come_out_as_printed_there() {
        let cases = [
            ("333333333.33333329", "333333333.3333333"),
            ("1E30", "1e+30"),
            ("4.50", "4.5"),
            ("2e-3", "0.002"),
            ("0.000000000000000000000000001", "1e-27"),
            ("-0.0", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("9007199254740993", "9007199254740993"),
            ("\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\"", "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""),
        ];
        for (given, expected) in cases {
            let value: Value = serde_json::from_str(given).unwrap();
            assert_eq!(String::from_utf8(bytes(&value)).unwrap(), expected);
        }
    }

    #[test]
    fn names_are_ordered_by_utf_16_code_units() {
        let value: Value = serde_json::from_str("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"a\":3}").unwrap();
        assert_eq!(String::from_utf8(bytes(&value)).unwrap(), "{\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }
}
