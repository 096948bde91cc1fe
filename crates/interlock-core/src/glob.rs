//! Globs over bytes: `*` any run, `?` one byte, `[a-z]` and `[!a]` one byte of a class, `\` the next byte as it is.
//!
//! Used for one component of a path pattern and for names and texts. No alternation: braces are expanded by the compiler of policies.
//! Matching takes at most pattern length times text length steps: only the last `*` is ever tried again.

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glob {
    /// Nothing special in it.
    Literal(Vec<u8>),
    /// Whatever text.
    Any,
    /// Something special, between a literal start and a literal end that are compared first.
    Tokens {
        /// Bytes every match begins with.
        prefix: Vec<u8>,
        /// What lies between, in order.
        middle: Vec<Token>,
        /// Bytes every match ends with.
        suffix: Vec<u8>,
    },
}

/// A step of a glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// This byte.
    Byte(u8),
    /// One byte, whichever.
    One,
    /// One byte of a set.
    Class(Box<[u64; 4]>),
    /// Any run, the empty one too.
    Run,
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One => true,
            Self::Class(set) => set.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1),
            Self::Run => false,
        }
    }
}

impl Token {
    /// A byte it takes: a letter if it takes one.
    fn sample(&self) -> u8 {
        match self {
            Self::Byte(own) => *own,
            Self::One | Self::Run => b'x',
            Self::Class(_) => (b'a'..=b'z').chain(1..=u8::MAX).find(|byte| *byte != b'/' && self.takes(*byte)).unwrap_or(b'x'),
        }
    }
}

impl Glob {
    /// Compiles a glob. Errors name what is wrong, without the pattern.
    pub fn compile(pattern: &[u8]) -> Result<Self, String> {
        Ok(Self::from_tokens(tokens(pattern)?))
    }

    fn from_tokens(tokens: Vec<Token>) -> Self {
        if tokens == [Token::Run] {
            return Self::Any;
        }
        let byte = |token: &Token| if let Token::Byte(byte) = token { Some(*byte) } else { None };
        let prefix: Vec<u8> = tokens.iter().map_while(byte).collect();
        if prefix.len() == tokens.len() {
            return Self::Literal(prefix);
        }
        let mut suffix: Vec<u8> = tokens.iter().rev().map_while(byte).collect();
        suffix.reverse();
        let middle = tokens.get(prefix.len()..tokens.len() - suffix.len()).unwrap_or_default().to_vec();
        Self::Tokens { prefix, middle, suffix }
    }

    /// A text that matches, as plain as the glob admits; never empty unless nothing else matches.
    pub fn sample(&self) -> Vec<u8> {
        match self {
            Self::Literal(literal) => literal.clone(),
            Self::Any => b"x".to_vec(),
            Self::Tokens { prefix, middle, suffix } => {
                let middle: Vec<u8> = middle.iter().map(Token::sample).collect();
                [prefix.as_slice(), &middle, suffix].concat()
            }
        }
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Any => true,
            Self::Tokens { prefix, middle, suffix } => {
                let rest = text.strip_prefix(prefix.as_slice()).and_then(|rest| rest.strip_suffix(suffix.as_slice()));
                rest.is_some_and(|rest| matches_tokens(middle, rest))
            }
        }
    }
}

fn matches_tokens(tokens: &[Token], text: &[u8]) -> bool {
    if tokens == [Token::Run] {
        return true;
    }
    let (mut token, mut at) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), text.get(at)) {
            (None, None) => return true,
            (Some(Token::Run), _) => {
                token += 1;
                again = Some((token, at));
                continue;
            }
            (Some(step), Some(byte)) if step.takes(*byte) => {
                (token, at) = (token + 1, at + 1);
                continue;
            }
            _ => {}
        }
        match again {
            Some((after, from)) if from < text.len() => {
                (token, at) = (after, from + 1);
                again = Some((after, from + 1));
            }
            _ => return false,
        }
    }
}

fn tokens(pattern: &[u8]) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0 => return Err("a NUL byte, which no name holds".into()),
            b'*' if tokens.last() == Some(&Token::Run) => {}
            b'*' => tokens.push(Token::Run),
            b'?' => tokens.push(Token::One),
            b'[' => tokens.push(class(&mut bytes)?),
            b'\\' => tokens.push(Token::Byte(bytes.next().ok_or("a `\\` with nothing after it")?)),
            b'{' | b'}' => return Err("an unexpanded brace; a brace that is meant as itself is written `\\{`".into()),
            other => tokens.push(Token::Byte(other)),
        }
    }
    Ok(tokens)
}

/// Reads a class after its `[`. Classes are ASCII: one that held a longer character would match one of its bytes.
fn class(bytes: &mut impl Iterator<Item = u8>) -> Result<Token, String> {
    let mut members = Vec::new();
    let mut negated = false;
    let mut first = true;
    loop {
        let byte = bytes.next().ok_or("a class without its `]`")?;
        match byte {
            b'!' if first => negated = true,
            b'^' if first => return Err("a class that begins with `^`; write `[!…]` for what is not in it".into()),
            b']' if members.is_empty() => return Err("an empty class".into()),
            b']' => return Ok(Token::Class(Box::new(set(&members, negated)?))),
            b'\\' => members.push(Member::Byte(bytes.next().ok_or("a class without its `]`")?)),
            b'-' => members.push(Member::Dash),
            other if !other.is_ascii() || other == 0 => return Err("a class that holds something else than ASCII".into()),
            other => members.push(Member::Byte(other)),
        }
        first = false;
    }
}

#[derive(Clone, Copy)]
enum Member {
    Byte(u8),
    Dash,
}

fn set(members: &[Member], negated: bool) -> Result<[u64; 4], String> {
    let mut words = [0_u64; 4];
    let mut add = |byte: u8| {
        if let Some(word) = words.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    };
    let mut rest = members;
    loop {
        rest = match rest {
            [] => break,
            [Member::Byte(low), Member::Dash, Member::Byte(high), tail @ ..] => {
                if low > high {
                    return Err(format!("a range that runs backwards, `{}-{}`", char::from(*low), char::from(*high)));
                }
                (*low..=*high).for_each(&mut add);
                tail
            }
            [Member::Byte(byte), tail @ ..] => {
                add(*byte);
                tail
            }
            [Member::Dash, tail @ ..] => {
                add(b'-');
                tail
            }
        };
    }
    Ok(if negated { words.map(|word| !word) } else { words })
}
