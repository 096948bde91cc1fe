//! YAML with placeholders: what kubectl and gh go by. Values of known keys stay, of every other the value becomes a placeholder.
//!
//! RULE: a setting a line, in plain blocks, as the tools themselves write it; what is written otherwise is not shown. Comments are left out.
//! Sources: Kubernetes' client configuration (v1), gh's `hosts.yml`.

use super::lines::{is_plain_scalar, setting, without_comment};
use super::secret::{PLACEHOLDER, cleaned};

/// Keys whose values open nothing.
const SHOWN: &[&str] = &[
    "apiVersion",
    "kind",
    "name",
    "cluster",
    "context",
    "user",
    "namespace",
    "current-context",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "certificate-authority",
    "client-certificate",
    "disable-compression",
    "command",
    "interactiveMode",
    "provideClusterInfo",
    "as",
    "as-uid",
    "git_protocol",
    "editor",
    "prompt",
    "pager",
];
/// Addresses: long names of clusters are no tokens.
const ADDRESSES: &[&str] = &["server", "proxy-url"];
/// Certificates of whom is asked: for everybody to see.
const PUBLIC: &[&str] = &["certificate-authority-data"];
/// Their clients decode these before they look whether they need them: the placeholder, in base64.
const ENCODED: &[&str] = &["client-certificate-data", "client-key-data"];
const PLACEHOLDER_ENCODED: &str = "aW50ZXJsb2NrLW1hc2tlZA==";
const COMMAND_WORD_MAX: usize = 24;

/// Whether a text says of itself that it is what kubectl goes by, whatever it is called.
pub fn is_clusters(text: &str) -> bool {
    text.lines().any(|line| matches!(without_comment(line).trim(), "kind: Config" | "kind: \"Config\"" | "kind: 'Config'"))
}

/// Blocks of `key: value` and of items.
pub fn block(text: &str) -> Option<String> {
    let mut out = String::new();
    // The key whose list it may be.
    let mut above = "";
    for line in text.lines() {
        let plain = line.trim();
        if plain.contains('\t') {
            return None;
        }
        if !plain.is_empty() && !plain.starts_with('#') && plain != "---" {
            out.push_str(line.get(..line.len() - line.trim_start().len())?);
            out.push_str(&shown(plain, &mut above)?);
        }
        out.push('\n');
    }
    Some(out)
}

fn shown<'t>(plain: &'t str, above: &mut &'t str) -> Option<String> {
    let (dash, item) = plain.strip_prefix("- ").map_or(("", plain), |item| ("- ", item.trim_start()));
    if item.starts_with(['-', '&', '*', '!', '?']) && (dash.is_empty() || !item.starts_with("--")) {
        return None;
    }
    let (key, value) = setting(item)?;
    if key.is_empty() {
        // A line without key and dash goes on with the value above it.
        return (!dash.is_empty() && is_plain_scalar(item)).then(|| format!("- {}", of_list(above, without_comment(item).trim())));
    }
    let bare = key.trim_matches(['"', '\'']);
    let key_shown = cleaned("", key)?;
    if value.is_empty() {
        *above = bare;
        return Some(format!("{dash}{key_shown}:"));
    }
    let is_nothing = matches!(value, "{}" | "[]" | "null" | "~" | "\"\"" | "''");
    (is_nothing || is_plain_scalar(value)).then(|| {
        let kept = if is_nothing { value.to_owned() } else { of_key(bare, value) };
        format!("{dash}{key_shown}: {kept}")
    })
}

fn of_key(key: &str, value: &str) -> String {
    let bare = value.trim_matches(['"', '\'']);
    let is_base64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    let kept = if ADDRESSES.contains(&key) {
        is_address(bare).then(|| value.to_owned())
    } else if PUBLIC.contains(&key) {
        is_base64(bare).then(|| value.to_owned())
    } else {
        cleaned(key, value).filter(|_| SHOWN.contains(&key))
    };
    kept.unwrap_or_else(|| if ENCODED.contains(&key) { PLACEHOLDER_ENCODED } else { PLACEHOLDER }.to_owned())
}

/// Of a command's arguments, its words and the names of its options. What stands behind an option may be anything.
fn of_list(key: &str, item: &str) -> String {
    let bare = item.trim_start_matches("--");
    let is_word = (1..=COMMAND_WORD_MAX).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let stays = key == "args" && is_word && (item.starts_with("--") || matches!(item, "eks" | "get-token" | "token" | "exec-credential"));
    if stays { item } else { PLACEHOLDER }.to_owned()
}

/// `scheme://host:port/path` of a place, with nothing in it that says who asks.
fn is_address(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'[' | b']');
    text.split_once("://").is_some_and(|(_, rest)| !rest.is_empty() && rest.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_stay_and_what_opens_them_does_not() {
        let text = "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUR0\n    server: https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com\n  name: prod\n\
                    users:\n- name: me\n  user:\n    token: hunter2 # x\n    client-key-data: LS0tLS1CRUdJTiBSU0EK\n    password: \"a b\"\n    exec:\n      args:\n      - eks\n      - get-token\n      - --secret\n      - hunter3\n      - --secret=hunter4\n      env:\n      - name: AWS_PROFILE\n        value: hunter5\npreferences: {}\n";
        let expected = "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUR0\n    server: https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com\n  name: prod\n\
                        users:\n- name: me\n  user:\n    token: interlock-masked\n    client-key-data: aW50ZXJsb2NrLW1hc2tlZA==\n    password: interlock-masked\n    exec:\n      args:\n      - eks\n      - get-token\n      - --secret\n      - interlock-masked\n      - interlock-masked\n      env:\n      - name: AWS_PROFILE\n        value: interlock-masked\npreferences: {}\n";
        assert_eq!(block(text).as_deref(), Some(expected));
        assert!(is_clusters(text) && !is_clusters("kind: ConfigMap\n"));
    }

    #[test]
    fn hosts_of_gh_stay_and_tokens_do_not() {
        let text = "github.com:\n    users:\n        me:\n            oauth_token: gho_x\n    git_protocol: https\n    oauth_token: gho_x\n    user: me\n";
        let shown = block(text).unwrap_or_default();
        assert!(!shown.contains("gho_x") && shown.contains("    git_protocol: https\n") && shown.contains("    user: me\n"));
    }

    #[test]
    fn what_is_written_otherwise_is_not_shown() {
        for text in [
            "token:\n  abc\n",
            "token: abc\n  def\n",
            "token: |\n  abc\n",
            "user: {token: abc}\n",
            "user: &x\n  token: abc\n",
            "- - token\n",
            "? token\n: abc\n",
            "{\"token\": \"abc\"}\n",
            "token: \"abc\n  def\"\n",
            "a:\tb\n",
            "-\n  token: x\n  y\n",
        ] {
            assert_eq!(block(text), None, "{text}");
        }
        for text in ["server: https://u:p@h/\n", "server: https://h/?token=p\n", "anything: p\n", "name: ghp_0123456789abcdefghij\n"] {
            assert!(block(text).is_some_and(|shown| shown.ends_with(": interlock-masked\n")), "{text}");
        }
    }
}
