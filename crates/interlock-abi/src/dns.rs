//! Questions for the addresses of names, and their answers, as bytes of the domain name system.
//!
//! Left out: everything a session needs no address for. Records of other types are skipped, since they lead clients around the names that were judged
//! (HTTPS, SVCB) or carry data (TXT). RFC 1035 section 4, RFC 3596 (AAAA), RFC 6891 (EDNS), RFC 7766 (TCP).
//! INVARIANT: a name is told by its labels. One that text cannot tell without doubt (a dot or a byte beyond ASCII in a label) is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the longest answer by UDP to a client that asks for no more.
pub const PLAIN_BYTES_MAX: usize = 512;
/// Bytes of the longest message by TCP.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// What is asked for from servers by UDP: it passes everywhere unfragmented (DNS flag day 2020).
const SERVER_BYTES_MAX: u16 = 1232;

const HEADER_BYTES: usize = 12;
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 254;
/// Of one name: each leads backwards in a message that is no loop.
const POINTERS_MAX: usize = 32;
const ALIASES_MAX: usize = 16;
const RECORDS_MAX: usize = 512;
/// A second to a week: what a record says of its own age is its server's word.
const SECONDS_MAX: u32 = 7 * 24 * 3600;

const INTERNET: u16 = 1;
const ALIAS: u16 = 5;
const EXTENSION: u16 = 41;

const ANSWER: u8 = 0x80;
const OPERATION: u8 = 0x78;
const TRUNCATED: u8 = 0x02;
const RECURSION: u8 = 0x01;
const RECURSIVE: u8 = 0x80;

/// What an answer says besides its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Code {
    NoError = 0,
    Malformed = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A.
    Four,
    /// AAAA.
    Six,
}

impl Family {
    fn number(self) -> u16 {
        match self {
            Self::Four => 1,
            Self::Six => 28,
        }
    }

    /// Whether an address is of it.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::Four)
    }
}

/// A client's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name as the client spells it, without a dot at its end.
    pub name: String,
    /// Nothing for records of another type.
    pub family: Option<Family>,
    head: [u8; 4],
    /// Name, type and class as they came, so that an answer has the client's own spelling.
    asked: Vec<u8>,
    /// Bytes that the client takes by UDP, if it says so.
    takes: Option<u16>,
}

/// A message that is no question which can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Nobody waits for an answer.
    Silent,
    /// What is sent instead of one.
    Said(Vec<u8>),
}

impl Query {
    /// Reads a client's message.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(message: &[u8]) -> Result<Self, Unread> {
        let head: [u8; 4] = message.get(..4).and_then(|head| head.try_into().ok()).ok_or(Unread::Silent)?;
        let [_, _, flags, _] = head;
        if message.len() < HEADER_BYTES || flags & ANSWER != 0 {
            return Err(Unread::Silent);
        }
        let said = |code| Unread::Said(header(head, code, [0, 0, 0], false).to_vec());
        if flags & OPERATION != 0 {
            return Err(said(Code::NotImplemented));
        }
        Self::asked(head, message).ok_or_else(|| said(Code::Malformed))
    }

    fn asked(head: [u8; 4], message: &[u8]) -> Option<Self> {
        let mut reader = Reader { message, at: 4 };
        let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let [1, 0, authorities, additions] = counts else { return None };
        let (name, kind, class) = (reader.name()?, reader.number()?, reader.number()?);
        let asked = message.get(HEADER_BYTES..reader.at)?.to_vec();
        // A pointer has nothing to lead to in the first name.
        if asked.len() != name.len() + 1 + 4 || class != INTERNET {
            return None;
        }
        let mut takes = None;
        for _ in 0..usize::from(authorities) + usize::from(additions) {
            let record = reader.record()?;
            if record.kind == EXTENSION && record.owner.is_empty() {
                takes = Some(record.class);
            }
        }
        let family = [Family::Four, Family::Six].into_iter().find(|family| family.number() == kind);
        Some(Self { name: text(&name)?, family, head, asked, takes })
    }

    /// The answer: these addresses, which are of the family that was asked for, each good for so many seconds. `limited`: it is sent by UDP.
    #[must_use]
    pub fn answered(&self, code: Code, addresses: &[IpAddr], seconds: u32, limited: bool) -> Vec<u8> {
        let kind = self.family.map_or(0, Family::number);
        let records: Vec<u8> = addresses.iter().flat_map(|address| record(kind, *address, seconds)).collect();
        let extension: &[u8] = if self.takes.is_some() { &EXTENDED } else { &[] };
        let length = HEADER_BYTES + self.asked.len() + records.len() + extension.len();
        let limit = if limited { usize::from(self.takes.unwrap_or(0)).clamp(PLAIN_BYTES_MAX, 4096) } else { MESSAGE_BYTES_MAX };
        let (cut, count) = (length > limit, u16::try_from(addresses.len()).unwrap_or(u16::MAX));
        let counts = [1, if cut { 0 } else { count }, u16::from(!extension.is_empty())];
        let records = if cut { &[] } else { records.as_slice() };
        [header(self.head, code, counts, cut).as_slice(), &self.asked, records, extension].concat()
    }
}

/// The record that says how much this side takes: no name, its type, bytes, nothing more.
const EXTENDED: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// The header of an answer to a message that begins so.
fn header([id, id_low, flags, _]: [u8; 4], code: Code, [questions, answers, additions]: [u16; 3], cut: bool) -> [u8; HEADER_BYTES] {
    let first = ANSWER | flags & (OPERATION | RECURSION) | if cut { TRUNCATED } else { 0 };
    let ([q, q_low], [a, a_low], [x, x_low]) = (questions.to_be_bytes(), answers.to_be_bytes(), additions.to_be_bytes());
    [id, id_low, first, RECURSIVE | code as u8, q, q_low, a, a_low, 0, 0, x, x_low]
}

/// A record of the name in question.
fn record(kind: u16, address: IpAddr, seconds: u32) -> Vec<u8> {
    const OF_THE_QUESTION: [u8; 2] = [0xc0, HEADER_BYTES as u8];
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let length = u16::try_from(octets.len()).unwrap_or(0);
    [&OF_THE_QUESTION[..], &kind.to_be_bytes(), &INTERNET.to_be_bytes(), &seconds.to_be_bytes(), &length.to_be_bytes(), &octets].concat()
}

/// The question for the addresses of a name, as a server is asked. Nothing where the name is none.
#[must_use]
pub fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([RECURSION, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    message.extend(wire(name)?);
    message.extend(family.number().to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    message.extend([0, 0, 41]);
    message.extend(SERVER_BYTES_MAX.to_be_bytes());
    message.extend([0; 6]);
    Some(message)
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its word on the name; what this does not know is a failure.
    pub code: Code,
    /// It has more than it could send: to be asked by TCP.
    pub cut: bool,
    /// The addresses of the name, by way of other names too.
    pub addresses: Vec<IpAddr>,
    /// For how many seconds they are good.
    pub seconds: u32,
}

impl Response {
    /// Reads the answer to `question(id, name, family)`. Nothing for any other message.
    #[must_use]
    pub fn read(message: &[u8], id: u16, name: &str, family: Family) -> Option<Self> {
        let mut reader = Reader { message, at: 0 };
        let (number, flags) = (reader.number()?, reader.number()?.to_be_bytes());
        let ([first, second], asked) = (flags, wire(name)?.to_ascii_lowercase());
        let [questions, answers, ..] = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        if number != id || first & ANSWER == 0 || first & OPERATION != 0 || questions != 1 {
            return None;
        }
        let (name, kind, class) = (reader.name()?, reader.number()?, reader.number()?);
        if name != asked.strip_suffix(&[0])? || kind != family.number() || class != INTERNET {
            return None;
        }
        let code = match second & 0x0f {
            0 => Code::NoError,
            3 => Code::NoSuchName,
            _ => Code::ServerFailure,
        };
        let cut = first & TRUNCATED != 0;
        let records = (0..usize::from(answers).min(RECORDS_MAX)).map_while(|_| reader.record()).collect::<Vec<_>>();
        // One that ends early is no answer, unless it says so.
        if records.len() < usize::from(answers).min(RECORDS_MAX) && !cut {
            return None;
        }
        let (addresses, seconds) = followed(&records, name, family);
        Some(Self { code, cut, addresses, seconds })
    }
}

/// The addresses that a name leads to in these records, and for how long.
fn followed(records: &[Entry<'_>], name: Vec<u8>, family: Family) -> (Vec<IpAddr>, u32) {
    let (mut current, mut seconds) = (name, SECONDS_MAX);
    for _ in 0..ALIASES_MAX {
        let of_it = || records.iter().filter(|record| record.owner == current && record.class == INTERNET);
        let found: Vec<IpAddr> = of_it().filter_map(|record| record.address(family)).collect();
        if !found.is_empty() {
            let least = of_it().filter(|record| record.kind == family.number()).map(|record| record.seconds).min();
            return (found, seconds.min(least.unwrap_or(0)));
        }
        let Some((record, alias)) = of_it().find_map(|record| Some((record, record.alias.clone()?))) else { break };
        seconds = seconds.min(record.seconds);
        current = alias;
    }
    (Vec::new(), seconds)
}

struct Entry<'a> {
    owner: Vec<u8>,
    kind: u16,
    class: u16,
    seconds: u32,
    data: &'a [u8],
    /// The name that it leads to, if it is an alias.
    alias: Option<Vec<u8>>,
}

impl Entry<'_> {
    fn address(&self, family: Family) -> Option<IpAddr> {
        if self.kind != family.number() {
            return None;
        }
        match family {
            Family::Four => <[u8; 4]>::try_from(self.data).ok().map(|octets| Ipv4Addr::from(octets).into()),
            Family::Six => <[u8; 16]>::try_from(self.data).ok().map(|octets| Ipv6Addr::from(octets).into()),
        }
    }
}

/// A message, read from its beginning on.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn record(&mut self) -> Option<Entry<'a>> {
        let (owner, kind, class) = (self.name()?, self.number()?, self.number()?);
        let seconds = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        let length = usize::from(self.number()?);
        let begin = self.at;
        let data = self.take(length)?;
        let alias = if kind == ALIAS { Some(Reader { message: self.message, at: begin }.name()?) } else { None };
        Some(Entry { owner, kind, class, seconds, data, alias })
    }

    /// A name in small letters, each label after its length, without the empty one at its end. Pointers lead to what came before.
    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut at, mut after) = (Vec::new(), self.at, None);
        for _ in 0..POINTERS_MAX + NAME_BYTES_MAX {
            let length = usize::from(*self.message.get(at)?);
            match length {
                0 => {
                    self.at = after.unwrap_or(at + 1);
                    return Some(name);
                }
                1..=LABEL_BYTES_MAX => {
                    let label = self.message.get(at..=at + length)?;
                    name.extend(label.to_ascii_lowercase());
                    if name.len() > NAME_BYTES_MAX {
                        return None;
                    }
                    at += 1 + length;
                }
                0xc0.. => {
                    let target = (length & 0x3f) << 8 | usize::from(*self.message.get(at + 1)?);
                    after = after.or(Some(at + 2));
                    at = Some(target).filter(|target| *target < at)?;
                }
                _ => return None,
            }
        }
        None
    }
}

/// Labels after their lengths as text.
fn text(mut name: &[u8]) -> Option<String> {
    let mut labels = Vec::new();
    while let Some((length, rest)) = name.split_first() {
        let (label, rest) = rest.split_at_checked(usize::from(*length))?;
        if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') {
            return None;
        }
        labels.push(String::from_utf8(label.to_vec()).ok()?);
        name = rest;
    }
    Some(labels.join("."))
}

/// A name as labels after their lengths, with the empty one at its end.
fn wire(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=LABEL_BYTES_MAX).contains(&usize::from(*length)))?;
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    (bytes.len() <= NAME_BYTES_MAX + 1).then_some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const NAME: &str = "Www.Example.com";

    fn asked(kind: u16) -> Vec<u8> {
        let mut message = question(7, NAME, Family::Four).unwrap();
        let at = HEADER_BYTES + NAME.len() + 2;
        message[at..at + 2].copy_from_slice(&kind.to_be_bytes());
        message
    }

    #[test]
    fn a_question_is_read_and_its_answer_has_the_clients_spelling() {
        let question = Query::read(&asked(1)).unwrap();
        assert_eq!((question.name.as_str(), question.family), ("www.example.com", Some(Family::Four)));
        let addresses = ["203.0.113.7".parse().unwrap(), "203.0.113.8".parse().unwrap()];
        let answer = question.answered(Code::NoError, &addresses, 60, true);
        assert!(answer.windows(3).any(|part| part == b"Www"), "{answer:?}");
        let read = Response::read(&answer, 7, "www.example.com", Family::Four).unwrap();
        assert_eq!(read, Response { code: Code::NoError, cut: false, addresses: addresses.to_vec(), seconds: 60 });
    }

    #[test]
    fn other_records_have_no_family_and_what_is_no_question_is_malformed() {
        for kind in [5, 12, 15, 16, 33, 64, 65, 255] {
            assert_eq!(Query::read(&asked(kind)).unwrap().family, None);
        }
        assert_eq!(Query::read(&[0; 11]), Err(Unread::Silent));
        let mut answer = asked(1);
        answer[2] |= ANSWER;
        assert_eq!(Query::read(&answer), Err(Unread::Silent));
        for (at, byte) in [(5, 2), (7, 1), (HEADER_BYTES + 2, b'.'), (HEADER_BYTES + 2, 0), (HEADER_BYTES, 0x80)] {
            let mut wrong = asked(1);
            wrong[at] = byte;
            let Unread::Said(said) = Query::read(&wrong).unwrap_err() else { unreachable!("{at}") };
            assert_eq!((said[3] & 0x0f, said.len()), (Code::Malformed as u8, HEADER_BYTES), "{at}");
        }
    }

    #[test]
    fn an_answer_that_is_too_long_for_udp_says_so_and_is_whole_by_tcp() {
        let mut plain = asked(1);
        plain.truncate(plain.len() - EXTENDED.len());
        plain[11] = 0;
        let many: Vec<IpAddr> = (0..60).map(|last| Ipv4Addr::new(203, 0, 113, last).into()).collect();
        let question = Query::read(&plain).unwrap();
        let read = |limited| Response::read(&question.answered(Code::NoError, &many, 60, limited), 7, NAME, Family::Four).unwrap();
        assert!(read(true).cut && read(true).addresses.is_empty());
        assert_eq!((read(false).cut, read(false).addresses.len()), (false, 60));
    }

    #[test]
    fn an_alias_is_followed_and_a_stranger_is_not() {
        let owner = |name: &str| wire(name).unwrap();
        let alias = |from: &str, to: &str| {
            let to = owner(to);
            [owner(from), vec![0, 5, 0, 1, 0, 0, 0, 30, 0, to.len() as u8], to].concat()
        };
        let address = |name: &str, last: u8| [owner(name), vec![0, 1, 0, 1, 0, 0, 0, 90, 0, 4, 203, 0, 113, last]].concat();
        let mut message = question(7, "a.example", Family::Four).unwrap();
        message.truncate(message.len() - EXTENDED.len());
        message[2] |= ANSWER;
        (message[7], message[11]) = (4, 0);
        message.extend([address("evil.example", 1), alias("a.example", "b.example"), alias("b.example", "C.example")].concat());
        message.extend(address("c.example", 2));
        let read = Response::read(&message, 7, "a.example", Family::Four).unwrap();
        assert_eq!((read.addresses, read.seconds), (vec!["203.0.113.2".parse().unwrap()], 30));
        assert_eq!(Response::read(&message, 8, "a.example", Family::Four), None);
        assert_eq!(Response::read(&message, 7, "b.example", Family::Four), None);
        message.truncate(message.len() - 1);
        assert_eq!(Response::read(&message, 7, "a.example", Family::Four), None);
    }

    #[test]
    fn a_name_that_leads_round_in_a_circle_is_none() {
        let mut message = asked(1);
        message[HEADER_BYTES..HEADER_BYTES + 2].copy_from_slice(&[0xc0, HEADER_BYTES as u8]);
        assert!(matches!(Query::read(&message), Err(Unread::Said(_))));
    }
}
