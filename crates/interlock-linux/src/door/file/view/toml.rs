//! TOML, as far as its statements have to be told apart: comments, strings, and values that go on over lines in brackets. Strings over several
//! lines are not understood. Source: TOML 1.0.

use super::secret::{cleaned, is_secret_key, speaks_of_secrets};

/// Statement by statement: those with a secret's key are left out.
pub fn toml(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut statement = Statement::default();
    for line in text.lines() {
        statement.take(line)?;
        if statement.depth == 0 {
            out.push_str(&shown(statement.text.trim_end())?);
            out.push('\n');
            statement = Statement::default();
        }
    }
    (statement.depth == 0).then_some(out)
}

#[derive(Default)]
struct Statement {
    text: String,
    depth: usize,
}

impl Statement {
    /// Takes one line, without its comment.
    fn take(&mut self, line: &str) -> Option<()> {
        let mut string = None;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match (string, character) {
                (None, '#') => break,
                (None, '"' | '\'') => string = Some(character),
                (None, '[' | '{') => self.depth += 1,
                (None, ']' | '}') => self.depth = self.depth.checked_sub(1)?,
                (Some('"'), '\\') => {
                    self.text.push(character);
                    self.text.push(characters.next()?);
                    continue;
                }
                (Some(quote), _) if quote == character => {
                    string = None;
                    // Three quotes, or two strings side by side.
                    if characters.peek() == Some(&quote) {
                        return None;
                    }
                }
                _ => {}
            }
            self.text.push(character);
        }
        self.text.push('\n');
        string.is_none().then_some(())
    }
}

fn shown(statement: &str) -> Option<String> {
    let plain = statement.trim();
    if plain.is_empty() {
        return Some(String::new());
    }
    if plain.starts_with('[') {
        let names_a_secret = plain.trim_matches(['[', ']', ' ']).split('.').any(is_secret_key);
        return (!names_a_secret && !plain.contains('\\')).then(|| cleaned("", statement))?;
    }
    let (key, value) = plain.split_once('=')?;
    // An escape in a key could spell anything.
    if key.contains('\\') {
        return None;
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    if key.split('.').any(is_secret_key) {
        return Some(String::new());
    }
    if value.contains('{') && speaks_of_secrets(value) {
        return None;
    }
    // Escapes could spell anything.
    (!value.contains("\\u") && !value.contains("\\x")).then(|| cleaned(last, statement))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_written_otherwise_is_not_shown() {
        assert_eq!(toml("\"tok\\u0065n\" = \"secret\"\n"), None);
        assert_eq!(toml("token.value = \"secret\"\n").as_deref(), Some("\n"));
        assert_eq!(toml("[registries.acme.token]\nvalue = \"secret\"\n"), None);
    }

    #[test]
    fn cargos_registries_stay_and_tokens_do_not() {
        let text = "[registries.acme] # ours\nindex = \"sparse+https://u:p@cargo.acme/\"\ntoken = \"abc\" # x\n[source.crates-io]\nreplace-with = 'mirror'\n\
                    [registry]\nglobal-credential-providers = [\"cargo:token\"]\n[build]\nrustflags = [\n  \"-C\", # y\n  \"x\",\n]\n";
        let expected = "[registries.acme]\nindex = \"sparse+https://cargo.acme/\"\n\n[source.crates-io]\nreplace-with = 'mirror'\n\
                        [registry]\nglobal-credential-providers = [\"cargo:token\"]\n[build]\nrustflags = [\n  \"-C\", \n  \"x\",\n]\n";
        assert_eq!(toml(text).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_not_understood_is_not_shown() {
        for text in [
            "a = \"\"\"\nx\"\"\"\n",
            "a = { token = \"x\" }\n",
            "a = [\n",
            "a = \"x\n",
            "proxy = \"u:p@h:1\"\n",
            "a = \"\\u0067hp_x\"\n",
            "words\n",
        ] {
            assert_eq!(toml(text), None, "{text}");
        }
    }
}
