//! Configurations of lines: npm's and yarn's (`key = value`, `key "value"`), pip's and pypi's (sections, values that go on in indented lines),
//! yarn's newer YAML (one setting a line), netrc's words. What is not understood is not shown.
//!
//! Comments are left out: an old token is often kept in one. Sources: npmrc(5), Python's configparser, netrc(5).

use super::secret::{cleaned, is_secret_key, speaks_of_secrets};

/// `key = value`, `key: value` or `key "value"`, in sections or not.
pub fn ini(text: &str) -> Option<String> {
    let mut out = String::new();
    // Of the setting that an indented line goes on with: whether it is left out.
    let mut left_out = false;
    for line in text.lines() {
        let plain = line.trim();
        let kept = if plain.is_empty() || plain.starts_with(['#', ';']) {
            String::new()
        } else if plain.starts_with('[') {
            left_out = false;
            plain.ends_with(']').then(|| cleaned("", line))??
        } else if line.starts_with([' ', '\t']) {
            // The value goes on, or npm's next setting is indented.
            let is_secret = left_out || key(plain).is_some_and(is_secret_key);
            if is_secret { String::new() } else { cleaned("", line)? }
        } else {
            let key = key(plain)?;
            left_out = is_secret_key(key);
            if left_out { String::new() } else { cleaned(key, line)? }
        };
        out.push_str(&kept);
        out.push('\n');
    }
    Some(out)
}

/// The key of a line: it ends at a space, `=` or `: `, or is quoted. npm's may be a place (`//registry/path/:_authToken`); any other that holds
/// an address has swallowed its value.
fn key(line: &str) -> Option<&str> {
    let quoted = line.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let key = match quoted {
        // An escape could spell anything.
        Some((key, _)) => (!key.contains('\\')).then_some(key)?,
        None => line.split(|character: char| character == '=' || character.is_whitespace()).next()?.trim_end_matches(':'),
    };
    let is_place = key.starts_with("//") && key.contains("/:");
    (is_place || !key.contains("//")).then_some(key)
}

/// YAML of plain mappings and lists, one setting a line. A secret that is a mapping or goes on in further lines is not understood.
pub fn yaml(text: &str) -> Option<String> {
    let mut out = String::new();
    for line in text.lines() {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with('#') || plain == "---" {
            out.push('\n');
            continue;
        }
        if plain.contains(":\t") {
            return None;
        }
        let item = plain.trim_start_matches("- ");
        let (key, value) = setting(item)?;
        // A line without key and dash goes on with the value above it.
        if (key.is_empty() && plain == item) || (!value.is_empty() && !is_plain_scalar(value)) {
            return None;
        }
        if is_secret_key(key) {
            if value.is_empty() || plain != item {
                return None;
            }
        } else {
            out.push_str(&cleaned(key, without_comment(line))?);
        }
        out.push('\n');
    }
    Some(out)
}

/// The key and the value of a line; an item of a list has a value alone.
pub(super) fn setting(item: &str) -> Option<(&str, &str)> {
    let quoted = item.chars().next().filter(|first| matches!(first, '"' | '\''));
    let key_end = match quoted {
        Some(quote) => item.get(1..)?.find(quote)? + 2,
        None => 0,
    };
    let rest = item.get(key_end..)?;
    match rest.find(": ").or_else(|| rest.ends_with(':').then(|| rest.len() - 1)) {
        Some(at) => Some((item.get(..key_end + at)?, without_comment(rest.get(at + 1..)?).trim())),
        None if item.contains(": ") => None,
        None => Some(("", item)),
    }
}

pub(super) fn is_plain_scalar(value: &str) -> bool {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            value.len() > 1 && value.ends_with(quote) && value.matches(quote).count() == 2 && !value.contains('\\')
        }
        Some('|' | '>' | '&' | '*' | '!' | '{' | '[' | '%' | '@' | '`' | '?') => false,
        _ => true,
    }
}

pub(super) fn without_comment(text: &str) -> &str {
    text.split(" #").next().unwrap_or(text)
}

/// netrc: machines and logins stay, passwords and accounts do not; macros are not understood.
pub fn netrc(text: &str) -> Option<String> {
    let mut out = String::new();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    while let Some(word) = words.next() {
        match word {
            "default" => out.push_str("default\n"),
            "machine" => out.push_str(&format!("machine {}\n", shown(words.next()?)?)),
            "login" => {
                // A token may stand here; a machine without a login is one all the same.
                if let Some(login) = shown(words.next()?) {
                    out.push_str(&format!("  login {login}\n"));
                }
            }
            "password" | "account" => {
                words.next().filter(|value| !value.starts_with('"') || (value.len() > 1 && value.ends_with('"')))?;
            }
            _ => return None,
        }
    }
    Some(out)
}

fn shown(word: &str) -> Option<&str> {
    let plain = !word.contains(['"', '\\', '@', ':']) || word.split_once('@').is_some_and(|(name, _)| !name.contains([':', '"', '\\']));
    (plain && !speaks_of_secrets(word) && cleaned("", word).is_some()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_written_otherwise_is_not_shown() {
        assert_eq!(ini("\"_auth\\u0054oken\"=secret\n"), None);
        assert_eq!(yaml("npmAuthToken:\tsecret\n"), None);
    }

    #[test]
    fn npms_settings_stay_and_its_secrets_do_not() {
        let text = "# old: npm_aaaaaaaaaaaaaaaaaaaa\nregistry=http://127.0.0.1:4873/\n@acme:registry = https://u:p@npm.acme/\n//npm.acme/:_authToken=abc\n\
                    _auth = \"dTpw\"\nalways-auth=true\nstrict-ssl = false\nengine-strict\nca[]=\"-----BEGIN\"\n//npm.acme/:_password=x=y\n";
        let shown = ini(text).unwrap_or_default();
        let kept: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(
            kept,
            [
                "registry=http://127.0.0.1:4873/",
                "@acme:registry = https://npm.acme/",
                "always-auth=true",
                "strict-ssl = false",
                "engine-strict",
                "ca[]=\"-----BEGIN\"",
            ]
        );
    }

    #[test]
    fn yarns_older_form_has_its_keys_in_front_of_a_space() {
        let shown =
            ini("registry \"http://u:p@127.0.0.1:4873\"\n\"//r/:_authToken\" \"abc\"\n_authToken abc\nyarn-offline-mirror \"./x\"\n");
        assert_eq!(shown.as_deref(), Some("registry \"http://127.0.0.1:4873\"\n\n\nyarn-offline-mirror \"./x\"\n"));
    }

    #[test]
    fn pips_values_go_on_in_indented_lines() {
        let text = "[global]\nindex-url = https://u:p@a/simple\nextra-index-url =\n    https://u:p@b/simple\n    https://c/simple\n[x]\npassword =\n    abc\n    def\nrepository: https://d\n";
        assert_eq!(ini("index-url:https://auth.example/simple\n"), None);
        let expected = "[global]\nindex-url = https://a/simple\nextra-index-url =\n    https://b/simple\n    https://c/simple\n[x]\n\n\n\nrepository: https://d\n";
        assert_eq!(ini(text).as_deref(), Some(expected));
    }

    #[test]
    fn yaml_is_understood_a_setting_a_line_or_not_at_all() {
        let text = "npmRegistryServer: \"http://127.0.0.1:4873\"\nnpmScopes:\n  acme:\n    npmRegistryServer: https://u:p@npm.acme\n    npmAuthToken: abc # x\nnpmRegistries:\n  \"//npm.acme\":\n    npmAuthIdent: \"u:p\"\nplugins:\n  - path: .yarn/x.cjs\n";
        let shown = yaml(text).unwrap_or_default();
        assert!(
            shown.contains("    npmRegistryServer: https://npm.acme\n")
                && shown.contains("\"//npm.acme\":")
                && shown.contains("- path: .yarn/x.cjs")
        );
        assert!(!shown.contains("abc") && !shown.contains("u:p"));
        for text in [
            "npmAuthToken: |\n  abc\n",
            "npmAuthToken: abc\n  def\n",
            "npmAuthToken:\n  abc\n",
            "a: {npmAuthToken: abc}\n",
            "a: &x b\n",
            "a: \"x\n  y\"\n",
        ] {
            assert_eq!(yaml(text), None, "{text}");
        }
    }

    #[test]
    fn a_netrc_keeps_machines_and_logins() {
        let text = "machine a.example login me password \"a\"\nmachine b.example\n  login ghp_0123456789abcdefghij\n  password x-oauth-basic\ndefault login anonymous password me@x\n";
        assert_eq!(netrc(text).as_deref(), Some("machine a.example\n  login me\nmachine b.example\ndefault\n  login anonymous\n"));
        assert_eq!(netrc("machine a login b password c macdef init\ncd /\n"), None);
        assert_eq!(netrc("machine a login b password \"c d\"\n"), None);
    }
}
