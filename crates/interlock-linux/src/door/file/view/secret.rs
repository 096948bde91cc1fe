//! What of a configuration is a secret: keys by the words in them, values by their form.
//!
//! RULE: a setting whose key speaks of a secret is left out. A value that looks like one under any other key makes the whole file unshowable: to
//! leave it out, or a part of it, could make a tool trust another registry or proxy than it does outside.

use super::capability;

/// What stands in the place of a secret where a gap would be read as something else.
pub const PLACEHOLDER: &str = "interlock-masked";

/// What a key holds that is named by a secret: compared without case, `-` and `_`.
const WORDS: &[&str] = &[
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "auth",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "cookie",
    "bearer",
    "headers",
    "otp",
];
/// Keys with such a word that choose how, and hold nothing.
const HARMLESS: &[&str] = &[
    "alwaysauth",
    "authtype",
    "npmalwaysauth",
    "auths",
    "credhelpers",
    "credsstore",
    "credentialprovider",
    "globalcredentialproviders",
    "credentialalias",
    "keyringprovider",
    "author",
    "authors",
    "initauthorname",
    "initauthoremail",
    "initauthorurl",
    "trustpolicy",
    "trustedhost",
];
/// Keys that are one.
const WHOLE: &[&str] = &["key", "pass", "pat", "pwd"];
/// Keys of certificates: long, and public.
const PUBLIC: &[&str] = &["ca", "cert", "cafile", "certificate", "integrity"];
/// How tokens of known kinds begin.
const BEGINNINGS: &[&str] = &[
    "npm_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "pypi-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "eyJ",
    "dckr_pat_",
];
/// A word of letters and digits as long as this is no name.
const TOKEN_CHARACTERS: usize = 32;
const TOKEN_DIGITS: usize = 4;

/// Whether a key names a secret. Of `//registry/path/:_authToken` the last part counts: the rest is a place.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.trim().trim_matches(['"', '\'']);
    let last = key.rsplit_once("/:").map_or(key, |(_, last)| last);
    let plain: String = last.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    !HARMLESS.contains(&plain.as_str()) && (WHOLE.contains(&plain.as_str()) || WORDS.iter().any(|word| plain.contains(word)))
}

/// Whether any word of a text names a secret.
pub fn speaks_of_secrets(text: &str) -> bool {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))).any(is_secret_key)
}

/// The text with the user part of its URLs left out; nothing where what is left may still hold a secret.
pub fn cleaned(key: &str, text: &str) -> Option<String> {
    let without = without_users(text)?;
    let is_public = PUBLIC.iter().any(|public| key.trim().trim_matches(['"', '\'']).trim_end_matches("[]").eq_ignore_ascii_case(public));
    (is_public || !looks_like_a_token(&without)).then_some(without)
}

/// Characters that end a URL in a configuration.
fn ends_a_url(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | ',' | ']' | '}' | '|')
}

fn without_users(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let url = after.split(ends_a_url).next().unwrap_or(after);
        let authority = url.split(['/', '?', '#']).next().unwrap_or(url);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let tail = url.get(authority.len()..)?;
        // `@` begins a name, as npm's scopes do, or ends a password with a slash in it.
        let only_names = tail.split('/').all(|part| !part.get(1..).is_some_and(|rest| rest.contains('@')));
        // What ends the URL may stand in a password.
        let behind = after.get(url.len()..)?.split(char::is_whitespace).next().unwrap_or_default();
        let goes_on = behind.split("//").next().unwrap_or_default().contains('@');
        if goes_on || !is_host(host) || !only_names || (tail.contains(['?', '#']) && speaks_of_secrets(tail)) {
            return None;
        }
        if capability::is_one(host_alone(host), tail) {
            return None;
        }
        out.push_str(host);
        rest = after.get(authority.len()..)?;
    }
    out.push_str(rest);
    // `user:password@host` without a scheme, as proxies are written.
    let pairs = |word: &str| !word.contains("//") && word.split_once('@').is_some_and(|(before, _)| before.contains(':'));
    (!out.split(|character: char| ends_a_url(character) || character == '=').any(pairs)).then_some(out)
}

/// Without its port.
fn host_alone(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// A host, with a port perhaps; a user without `@` behind it has something else than a number after the colon.
fn is_host(text: &str) -> bool {
    let port = if text.starts_with('[') {
        text.rsplit_once(']').map_or("", |(_, port)| port)
    } else {
        text.split_once(':').map_or("", |(_, port)| port)
    };
    port.trim_start_matches(':').chars().all(|character| character.is_ascii_digit())
}

fn looks_like_a_token(text: &str) -> bool {
    let known =
        BEGINNINGS.iter().any(|beginning| words(text).any(|word| word.len() >= beginning.len() + 12 && word.starts_with(beginning)));
    known
        || text
            .split(|character: char| !character.is_ascii_alphanumeric())
            .any(|word| word.len() >= TOKEN_CHARACTERS && word.chars().filter(char::is_ascii_digit).count() >= TOKEN_DIGITS)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_an_address_may_stand_in_a_password() {
        for end in [',', '\'', '}', ']', '|'] {
            assert_eq!(cleaned("index-url", &format!("index-url = https://user:2024{end}SECRET@host/simple")), None, "{end}");
        }
        assert!(cleaned("extra", "extra = [\"https://a/simple\", \"https://b/@scope/x\"]").is_some());
    }

    #[test]
    fn keys_of_secrets_are_known_and_others_are_not() {
        for key in [
            "_authToken",
            "//registry.example/npm/:_authToken",
            "//r/:_password",
            "npmAuthIdent",
            "password",
            "token",
            "key",
            "_auth",
            "HttpHeaders",
        ] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["registry", "@acme:registry", "always-auth", "auths", "//auth.example/:certfile", "proxy", "cafile", "init-author-name"]
        {
            assert!(!is_secret_key(key), "{key}");
        }
    }

    #[test]
    fn urls_lose_their_users_and_nothing_else() {
        let cases = [
            ("https://user:pass@host/simple", Some("https://host/simple")),
            ("https://token@host:8443/x/@scope/y", Some("https://host:8443/x/@scope/y")),
            ("http://[::1]:4873/", Some("http://[::1]:4873/")),
            ("https://u:p@@h/", Some("https://h/")),
            ("https://a/ https://u:p@b/", Some("https://a/ https://b/")),
            ("sparse+https://u:p@index/", Some("sparse+https://index/")),
            ("https://user:pa/ss@host/", None),
            ("https://user:12/ss@host/", None),
            ("user:pass@host:3128", None),
            ("https://host/?access_token=x", None),
            ("https://host/0123456789abcdef0123456789abcdef/simple", None),
            ("https://user@host:8443/k3J9xQ2mTz/simple", None),
            ("https://a/simple https://b/k3J9xQ2mTz/simple", None),
            ("ghp_0123456789abcdefghij", None),
            ("a plain text", Some("a plain text")),
        ];
        for (text, expected) in cases {
            assert_eq!(cleaned("index-url", text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_is_no_token() {
        assert!(cleaned("ca", "-----BEGIN CERTIFICATE-----MIIB0123456789abcdef0123456789abcdef").is_some());
        assert!(cleaned("x", "MIIB0123456789abcdef0123456789abcdef").is_none());
    }
}
