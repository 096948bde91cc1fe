//! `.env` files: the names of all variables stay, and of their values those that can only say how or where (`true`, a port, the address of a
//! database without its user). Every other value becomes a placeholder.
//!
//! RULE: readers of these files differ in what may go on over lines, so what is in quotes over lines is a placeholder as a whole, and a line that is
//! no setting refuses the file. Comments are left out.

use super::capability;
use super::secret::{PLACEHOLDER, cleaned, is_secret_key};

/// What a switch is set to.
const SWITCHES: &[&str] = &[
    "0",
    "1",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "none",
    "null",
    "dev",
    "development",
    "prod",
    "production",
    "staging",
    "test",
    "testing",
    "local",
    "localhost",
    "trace",
    "debug",
    "info",
    "warn",
    "warning",
    "error",
];
/// Last words of names whose values say how or where.
const PLAIN: &[&str] = &[
    "HOST",
    "HOSTNAME",
    "PORT",
    "REGION",
    "ENV",
    "ENVIRONMENT",
    "MODE",
    "LEVEL",
    "TZ",
    "LANG",
    "LOCALE",
    "TIMEOUT",
    "WORKERS",
    "THREADS",
    "LIMIT",
    "TTL",
    "SIZE",
];
const NAME_MAX: usize = 64;
const PLAIN_MAX: usize = 64;
const SEGMENT_MAX: usize = 24;

/// `NAME=value`, with `export` perhaps.
pub fn environment(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let plain = line.trim();
        if !plain.is_empty() && !plain.starts_with('#') {
            let (before, value) = plain.split_once('=')?;
            let name = name(before)?;
            out.push_str(before.trim_end());
            out.push('=');
            match value.trim_start().chars().next().filter(|first| matches!(first, '"' | '\'' | '`')) {
                None => out.push_str(&shown(name, unquoted(value)?)),
                Some(quote) => {
                    let kept = match quoted(value.trim_start(), quote) {
                        Quoted::Whole(inside) => shown(name, inside),
                        Quoted::Unclear => return None,
                        Quoted::GoesOn => PLACEHOLDER.to_owned(),
                    };
                    out.extend([quote.to_string(), kept, quote.to_string()]);
                    if matches!(quoted(value.trim_start(), quote), Quoted::GoesOn) {
                        out.push_str(&"\n".repeat(closing(&mut lines, quote)?));
                    }
                }
            }
        }
        out.push('\n');
    }
    Some(out)
}

/// The name of a variable. What looks like a token is a line of one.
fn name(before: &str) -> Option<&str> {
    let name = before.trim().strip_prefix("export ").map_or(before.trim(), str::trim_start);
    let is_name = (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !name.starts_with(|first: char| first.is_ascii_digit());
    (is_name && !name.split(['_', '.', '-']).any(capability::is_token)).then_some(name)
}

/// A value without quotes ends with its line.
fn unquoted(value: &str) -> Option<&str> {
    let value = value.split(" #").next().unwrap_or(value).trim();
    (!value.ends_with('\\') && !value.contains(['"', '\'', '`'])).then_some(value)
}

enum Quoted<'t> {
    Whole(&'t str),
    GoesOn,
    /// Something stands behind the quote.
    Unclear,
}

fn quoted(value: &str, quote: char) -> Quoted<'_> {
    let inside = value.get(1..).unwrap_or_default();
    let Some(at) = inside.find(quote) else { return Quoted::GoesOn };
    let (inside, behind) = inside.split_at(at);
    let behind = behind.get(1..).unwrap_or_default().trim();
    let is_end = (behind.is_empty() || behind.starts_with('#')) && !inside.contains('\\');
    if is_end { Quoted::Whole(inside) } else { Quoted::Unclear }
}

/// How many lines it takes until a value in quotes ends; nothing where it never does, or something stands behind its end.
fn closing<'t>(lines: &mut impl Iterator<Item = &'t str>, quote: char) -> Option<usize> {
    let mut taken = 0;
    for line in lines {
        taken += 1;
        if let Some((_, behind)) = line.split_once(quote) {
            return behind.trim().is_empty().then_some(taken);
        }
    }
    None
}

fn shown(name: &str, value: &str) -> String {
    let is_plain = value.is_empty() || (!is_secret_key(name) && says_how(name, value)) || is_reference(value);
    if is_plain { value.to_owned() } else { address(value).unwrap_or_else(|| PLACEHOLDER.to_owned()) }
}

fn says_how(name: &str, value: &str) -> bool {
    let last = name.rsplit(['_', '.', '-']).next().unwrap_or(name).to_ascii_uppercase();
    let is_short = value.len() <= PLAIN_MAX && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'));
    let is_token = || cleaned(name, value).is_none() || value.split(['.', '-', ':']).any(capability::is_token);
    SWITCHES.contains(&value.to_ascii_lowercase().as_str()) || (PLAIN.contains(&last.as_str()) && is_short && !is_token())
}

/// The value of another variable.
fn is_reference(value: &str) -> bool {
    let inside = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).or_else(|| value.strip_prefix('$'));
    inside.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
}

/// `scheme://user@host/name`, with a placeholder for its user and password.
fn address(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'));
    let is_segment =
        |text: &str| text.len() <= SEGMENT_MAX && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
    let is_plain = !scheme.is_empty()
        && is_name(scheme)
        && !name.is_empty()
        && is_name(name)
        && port.parse::<u16>().is_ok()
        && path.is_none_or(is_segment)
        && !name.split(['.', '-']).any(capability::is_token);
    let path = path.map_or(String::new(), |path| format!("/{path}"));
    is_plain.then(|| match user {
        Some(_) => format!("{scheme}://{PLACEHOLDER}@{host}{path}"),
        None => format!("{scheme}://{host}{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_values_that_open_something_do_not() {
        let cases = [
            ("NODE_ENV=production", "NODE_ENV=production"),
            ("export PORT=\"3000\" # web", "export PORT=\"3000\""),
            ("DEBUG=", "DEBUG="),
            ("DB_HOST=db.internal", "DB_HOST=db.internal"),
            ("DATABASE_URL=postgres://me:hunter2@localhost:5432/app", "DATABASE_URL=postgres://interlock-masked@localhost:5432/app"),
            ("API_URL=https://api.example/", "API_URL=https://api.example/"),
            ("HOOK=https://hooks.example/services/T0/B0/abcdef", "HOOK=interlock-masked"),
            ("PIN=1234", "PIN=interlock-masked"),
            ("DB=hunter2", "DB=interlock-masked"),
            ("SECRET=true", "SECRET=interlock-masked"),
            ("COPY=${OTHER}", "COPY=${OTHER}"),
            ("COPY=${OTHER:-hunter2}", "COPY=interlock-masked"),
            ("KEY='-----BEGIN\nabc\n-----END'\nX=1", "KEY='interlock-masked'\n\n\nX=1"),
            ("A_HOST=k3J9xQ2mTz", "A_HOST=interlock-masked"),
            ("U=redis://h:6379/0?password=x", "U=interlock-masked"),
            ("U=postgres://u:pa/ss@h/db", "U=interlock-masked"),
            ("# OLD=hunter2", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(environment(text), Some(format!("{expected}\n")), "{text}");
        }
    }

    #[test]
    fn what_is_no_setting_is_not_shown() {
        for text in
            ["hunter2\n", "A=\"x\n", "A=x\\\nB=y\n", "A=\"x\"y\n", "A='x\ny' z\n", "QUJDREVG0x9Y=\n", "source other\n", "A=x\"y\nz\"\n"]
        {
            assert_eq!(environment(text), None, "{text}");
        }
    }
}
