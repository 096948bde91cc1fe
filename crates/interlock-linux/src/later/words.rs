//! Names that are looked for in texts, as words: a name of one word, a name of several (`my step`, which a shell writes `my\ step`), the name of a folder
//! before a pattern, a pattern itself.
//!
//! INVARIANT: what a text costs does not grow with how many names are looked for, but for patterns, each of which is looked at once; and there is an end to it.

use super::kinds::last;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// Words between two looks at the clock.
const WORDS_BETWEEN: usize = 4_096;
/// Words before `*` alone after which it stands for files.
const BEFORE_ALL: [&[u8]; 2] = [b"in", b"wildcard"];

type Paths = Vec<Vec<u8>>;

/// The names.
pub struct Sought {
    /// By the last part of their names, where that is one word.
    words: HashMap<Vec<u8>, Paths>,
    /// How long these words are.
    lengths: [bool; 256],
    /// Names of several words, by the longest of these, with all of them.
    phrases: HashMap<Vec<u8>, Vec<Phrase>>,
    /// The words of those.
    parts: HashSet<Vec<u8>>,
    /// The names of folders that something sought lies in.
    folders: HashMap<Vec<u8>, Paths>,
    /// Every last part, for patterns; and the patterns that were looked at.
    all: HashMap<Vec<u8>, Paths>,
    patterns: HashSet<(Vec<u8>, Vec<u8>)>,
}

struct Phrase {
    parts: Vec<Vec<u8>>,
    paths: Paths,
}

/// What was heard of one text so far.
#[derive(Default)]
pub struct Heard {
    is_by_shell: Option<bool>,
    /// Words of names of several.
    parts: HashSet<Vec<u8>>,
}

impl Heard {
    /// Whether nothing is known of the text yet.
    pub fn is_new(&self) -> bool {
        self.is_by_shell.is_none()
    }

    /// Whether patterns in it stand for names.
    pub fn is_by_shell(&mut self, does: bool) {
        self.is_by_shell = Some(does);
    }
}

impl Sought {
    /// Of files.
    pub fn new(paths: Paths) -> Self {
        let (mut all, mut folders) = (HashMap::<Vec<u8>, Paths>::new(), HashMap::<_, Paths>::new());
        for path in paths {
            for folder in path.split(|byte| *byte == b'/').rev().skip(1).take_while(|part| !part.is_empty()) {
                folders.entry(folder.to_vec()).or_default().push(path.clone());
            }
            all.entry(last(&path).to_vec()).or_default().push(path);
        }
        let (mut words, mut phrases, mut parts, mut lengths) =
            (HashMap::new(), HashMap::<_, Vec<Phrase>>::new(), HashSet::new(), [false; 256]);
        for (name, paths) in &all {
            if name.iter().all(|byte| is_of_word(*byte)) {
                lengths.get_mut(name.len()).into_iter().for_each(|there| *there = true);
                words.insert(name.clone(), paths.clone());
                continue;
            }
            let of: Vec<Vec<u8>> = name.split(|byte| !is_of_word(*byte)).filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect();
            if let Some(longest) = of.iter().max_by_key(|part| part.len()).cloned() {
                parts.extend(of.iter().cloned());
                phrases.entry(longest).or_default().push(Phrase { parts: of, paths: paths.clone() });
            }
        }
        Self { words, lengths, phrases, parts, folders, all, patterns: HashSet::new() }
    }

    /// Those of which no text can be told to be without: no letter is in their names.
    pub fn without_words(&self) -> Paths {
        self.all.iter().filter(|(name, _)| !name.iter().any(|byte| is_of_word(*byte))).flat_map(|(_, paths)| paths.clone()).collect()
    }

    /// What a text names, or the next part of one. Given up at `until`.
    pub fn hear(&mut self, heard: &mut Heard, text: &[u8], until: Instant) -> Paths {
        let mut found = self.words_of(heard, text, until);
        if let Some(plain) = unescaped(text) {
            found.extend(self.words_of(heard, &plain, until));
        }
        for part in &heard.parts {
            let phrases = self.phrases.get(part).into_iter().flatten();
            found.extend(
                phrases.filter(|phrase| phrase.parts.iter().all(|part| heard.parts.contains(part))).flat_map(|phrase| phrase.paths.clone()),
            );
        }
        found
    }

    fn words_of(&mut self, heard: &mut Heard, text: &[u8], until: Instant) -> Paths {
        let (mut found, mut at, mut words, mut before) = (Vec::new(), 0, 0_usize, Vec::new());
        let next = |from: usize, of_word: bool| {
            let rest = text.get(from..).unwrap_or_default();
            rest.iter().position(|byte| is_of_word(*byte) == of_word).map_or(text.len(), |more| from + more)
        };
        let by_shell = heard.is_by_shell.unwrap_or_default();
        while at < text.len() {
            let start = next(at, true);
            let end = next(start, false);
            if by_shell {
                self.patterns(text.get(at..start).unwrap_or_default(), &before, text.get(start..end).unwrap_or_default(), &mut found);
            }
            if let Some(word) = text.get(start..end).filter(|word| !word.is_empty()) {
                self.word(heard, word, &mut found);
                if let Some(word) = word.strip_suffix(b".") {
                    self.word(heard, word, &mut found); // the end of a sentence
                }
                if text.get(end) == Some(&b'/') && text.get(end + 1).is_none_or(|byte| !is_of_word(*byte)) {
                    found.extend(self.folders.remove(word).unwrap_or_default());
                }
                if by_shell {
                    before = word.to_vec();
                }
            }
            at = end;
            words += 1;
            if words % WORDS_BETWEEN == 0 && Instant::now() > until {
                break;
            }
        }
        found
    }

    fn word(&mut self, heard: &mut Heard, word: &[u8], found: &mut Paths) {
        if self.lengths.get(word.len()).copied().unwrap_or_default() {
            found.extend(self.words.remove(word).unwrap_or_default());
        }
        if !self.parts.is_empty() && self.parts.contains(word) && !heard.parts.contains(word) {
            heard.parts.insert(word.to_vec());
        }
    }

    /// What stands between two words may be a pattern with either, or with both.
    fn patterns(&mut self, between: &[u8], before: &[u8], after: &[u8], found: &mut Paths) {
        if !between.iter().any(|byte| b"*?%[]{}".contains(byte)) {
            return;
        }
        let starts = if between.first().is_some_and(|byte| b"*?%[{".contains(byte)) { before } else { b"" };
        let ends = if between.last().is_some_and(|byte| b"*?%]}".contains(byte)) { after } else { b"" };
        // Letters at an end are no name's alone, but for what every name has.
        let is_all = between.windows(2).any(|pair| matches!(pair, b"/*" | b" *")) && (BEFORE_ALL.contains(&before) || before == b".");
        let is_none = if ends.is_empty() { starts.is_empty() && !is_all } else { starts.is_empty() && !ends.starts_with(b".") };
        if is_none || !self.patterns.insert((starts.to_vec(), ends.to_vec())) {
            return;
        }
        let is_meant = |name: &[u8]| name.len() >= starts.len() + ends.len() && name.starts_with(starts) && name.ends_with(ends);
        found.extend(self.all.iter().filter(|(name, _)| is_meant(name)).flat_map(|(_, paths)| paths.clone()));
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@') || byte >= 0x80
}

/// A text in which letters were written as `\u006d` or `\x6d`, with the letters themselves.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    if !text.windows(2).any(|pair| matches!(pair, b"\\u" | b"\\x")) {
        return None;
    }
    let (mut plain, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        let digits = match text.get(at..at + 2) {
            Some(b"\\u") => 4,
            Some(b"\\x") => 2,
            _ => 0,
        };
        let code = text.get(at + 2..at + 2 + digits).filter(|_| digits > 0).and_then(|code| std::str::from_utf8(code).ok());
        let letter = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        if let Some(letter) = letter {
            plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            at += 2 + digits;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn heard(name: &str, text: &[u8], is_by_shell: bool) -> bool {
        let mut sought = Sought::new(vec![format!("/w/parts/{name}").into_bytes()]);
        let mut heard = Heard::default();
        heard.is_by_shell(is_by_shell);
        let always = sought.without_words();
        !sought.hear(&mut heard, text, Instant::now() + Duration::from_secs(60)).is_empty() || !always.is_empty()
    }

    #[test]
    fn names_are_found_however_a_text_writes_them() {
        for (name, text, is_by_shell, does) in [
            ("more", b"include more".as_slice(), false, true),
            ("more", b"include moreover", false, false),
            ("more", b"# \0\ninclude more\n", false, true),
            ("more", br#"{"a": "sh \u006dore"}"#, false, true),
            ("more", br"sh $'\x6dore'", false, true),
            ("my step", br"sh my\ step", false, true),
            ("my step", b"sh 'my step'", false, true),
            ("my step", b"sh my steps", false, false),
            ("$", b"nothing", false, true),
            ("a.step", b"for i in *.step; do", true, true),
            ("a.step", b"[*.step]", false, false),
            ("a.step", b"sh [ab].step", true, true),
            ("part-1", b"cat part-* | sh", true, true),
            ("1", b"for i in *; do sh $i; done", true, true),
            ("1", b"echo $* in", true, false),
            ("1", b". ./*", true, true),
            ("1", b"sh parts/*", false, true),
            ("x.step", b"%.out: %.step\n\tsh $<", true, true),
        ] {
            assert_eq!(heard(name, text, is_by_shell), does, "{name} in {}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn names_of_several_words_cost_no_more_than_others() {
        let paths = (0..300).flat_map(|one| (0..300).map(move |other| format!("/w/a{one} b{other}").into_bytes())).collect();
        let mut sought = Sought::new(paths);
        let text: Vec<u8> = (0..300).map(|number| format!("a{number} ")).collect::<String>().repeat(50).into_bytes();
        assert!(sought.hear(&mut Heard::default(), &text, Instant::now() + Duration::from_secs(60)).is_empty());
    }
}
