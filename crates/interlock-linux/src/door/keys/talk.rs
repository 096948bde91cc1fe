//! One connection to the key agent: each request carried to `interlock run`, and what that wants to do for it decided first (`spec/keys.md`).
//!
//! INVARIANT: whatever goes wrong is a failure towards the program (SSH_AGENT_FAILURE), and a signature that nobody could decide about is a denial on the record.

use super::peers;
use crate::door::session::Session;
use crate::line::ports::{Gather, Permissions, Waits};
use crate::line::questions::{Question, Reply};
use crate::line::{Enactor, Leave, Observed, Settled};
use crate::sys::notify::Call;
use crate::sys::{descriptors, process};
use interlock_core::action::{Action, Bytes};
use interlock_core::facts::{Facts, Needs};
use interlock_core::target::Target;
use interlock_core::verb::Verb;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// OpenSSH's own limit of a message (AGENT_MAX_LEN).
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The longest line of `interlock run`: a message, written as base64, and what is said beside it.
const LINE_BYTES_MAX: u64 = 512 * 1024;
/// What `interlock run` may want to do for one request, one after another.
const WORDS_MAX: usize = 4;
/// Hosts that one key of a host is known under.
const TARGETS_MAX: usize = 16;
/// How long the person's own agent may take: it may ask for a touch or a number.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);
/// How often it is looked whether who asks is still there, while a person is asked.
const LOOK: Duration = Duration::from_millis(200);
/// SSH_AGENT_FAILURE, SSH_AGENTC_SIGN_REQUEST (draft-ietf-sshm-ssh-agent, section 6.1).
const FAILURE: &[u8] = &[5];
const SIGN_REQUEST: u8 = 13;

/// Serves a connection until its program leaves.
#[allow(clippy::needless_pass_by_value, reason = "the connection ends with it")]
pub fn converse(session: &Session, call: &Call, client: UnixStream, run: &Path) {
    let mut talk = Talk { session, call, client: &client, run: dial(run).ok() };
    while let Some(request) = message(&client) {
        let answer = talk.answered(&request);
        let length = u32::try_from(answer.len()).unwrap_or(0).to_be_bytes();
        if (&client).write_all(&[&length, answer.as_slice()].concat()).is_err() {
            return;
        }
    }
}

/// One message of the agent protocol: its length, and as many bytes. Nothing where the program left, or speaks otherwise.
fn message(mut client: &UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| (1..=MESSAGE_BYTES_MAX).contains(length))?;
    let mut message = vec![0; length];
    client.read_exact(&mut message).ok()?;
    Some(message)
}

/// `interlock run`, if it is still there, and it is this user's.
fn dial(run: &Path) -> io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(run)?;
    if descriptors::peer(stream.as_fd())?.1 != process::user() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    Ok(BufReader::new(stream))
}

/// What `interlock run` says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Word {
    /// It would do this: for a host that is known under several names, the same by each.
    Use { targets: Vec<Value> },
    /// It will not do this, whatever policy says.
    Refused { target: Value, because: String },
    /// What the program is to hear, and whether what was allowed was done.
    Answer { data: Bytes, done: bool },
}

struct Talk<'a> {
    session: &'a Session,
    call: &'a Call,
    client: &'a UnixStream,
    run: Option<BufReader<UnixStream>>,
}

impl<'a> Talk<'a> {
    fn answered(&mut self, request: &[u8]) -> Vec<u8> {
        let signs = request.first() == Some(&SIGN_REQUEST);
        let connected = if signs { peers::of(self.session, self.call.thread) } else { Vec::new() };
        let answer = self.carried(request, &connected);
        if answer.is_err() {
            self.run = None;
            if signs {
                let (key, purpose) = ("unknown".to_owned(), "unknown".to_owned());
                let target = Target::Key { key, purpose, user: None, host: None, port: None, connected };
                self.session.line.refuse(self.call, Observed::new(Verb::KeyUse, target), "nobody is there who has the keys");
            }
        }
        answer.unwrap_or_else(|_| FAILURE.to_vec())
    }

    fn carried(&mut self, request: &[u8], connected: &[String]) -> io::Result<Vec<u8>> {
        self.say(&json!({"type": "request", "data": Bytes(request.to_vec()), "connected": connected}))?;
        let mut leave = None;
        for _ in 0..WORDS_MAX {
            match self.hear()? {
                Word::Use { targets } => {
                    leave = self.settled(&targets)?;
                    self.say(&json!({"type": "settled", "allowed": leave.is_some()}))?;
                }
                Word::Refused { target, because } => self.session.line.refuse(self.call, observed(&target)?, &because),
                Word::Answer { data, done } => {
                    if let Some(leave) = leave {
                        leave.done(if done { 0 } else { libc::EIO });
                    }
                    return Ok(data.0);
                }
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Decides, asks and records. Of several names of one host, the one that policy says most of.
    fn settled(&self, targets: &[Value]) -> io::Result<Option<Leave<'a>>> {
        let around = Beside { session: self.session, client: self.client };
        let line = &self.session.line;
        let acts = targets.iter().take(TARGETS_MAX).map(observed).collect::<io::Result<Vec<_>>>()?;
        let Some(act) = acts.into_iter().min_by_key(|act| line.would_say(&around, self.call, act.clone())) else { return Ok(None) };
        Ok(match line.settle(&around, self.call, &Enactor::PLAIN, vec![act]) {
            Settled::Allowed(leave) => Some(leave),
            Settled::Denied => None,
        })
    }

    fn say(&mut self, message: &Value) -> io::Result<()> {
        let run = self.run.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        run.get_mut().write_all(format!("{message}\n").as_bytes())
    }

    fn hear(&mut self) -> io::Result<Word> {
        let run = self.run.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut line = Vec::new();
        run.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let text = std::str::from_utf8(&line).map_err(|_| io::ErrorKind::InvalidData)?;
        let value = interlock_core::json::parse(text).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(serde_json::from_value(value)?)
    }
}

fn observed(target: &Value) -> io::Result<Observed> {
    let target = Target::parse(Verb::KeyUse, target.clone()).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Observed::new(Verb::KeyUse, target))
}

/// The session around an act that no call waits for: while a person is asked, its program is looked after.
struct Beside<'a> {
    session: &'a Session,
    client: &'a UnixStream,
}

impl Gather for Beside<'_> {
    fn facts(&self, action: &Action, needs: &Needs) -> Facts {
        self.session.facts(action, needs)
    }
}

impl Waits for Beside<'_> {
    fn wait(&self, _call: &Call, question: &Question) -> Reply {
        loop {
            if let Some(reply) = question.wait_for(LOOK) {
                return reply;
            }
            if descriptors::has_left(self.client.as_fd()) {
                return Reply::Withdrawn("the caller is gone");
            }
        }
    }
}

impl Permissions for Beside<'_> {
    fn refuse(&self, _call: &Call, _action: &Action) -> bool {
        false
    }
}
