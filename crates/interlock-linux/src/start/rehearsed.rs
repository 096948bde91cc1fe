//! Rehearsed: each mechanism was tried in the jail and did as it must. Only from here the command can be run.

use super::enforced::Enforced;
use super::opening;
use super::running::Running;
use super::tree::Tree;
use crate::door::session::Session;
use crate::outside::control;
use crate::outside::faces::{self, Shown};
use crate::tree::ending::{Ending, Reason};
use crate::tree::failed::Failed;
use crate::tree::passed::Passed;
use crate::tree::steps::Steps;
use crate::wire::messages::{Launch, path};
use serde_json::{Value, json};
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A tree that may be run.
#[must_use = "dropped, the tree ends"]
pub struct Rehearsed {
    pub(super) launch: Launch,
    pub(super) command: i32,
    pub(super) enforced: Enforced,
    pub(super) tree: Tree,
    pub(super) steps: Steps,
    pub(super) session: Arc<Session>,
    pub(super) ending: Arc<Ending>,
    pub(super) passed: Passed,
}

impl Rehearsed {
    /// Writes the opening records, opens the session's sockets, lets policy decide and the command exec. `control` is where `interlock run` talks.
    ///
    /// # Errors
    /// [`Failed`]: the ledger took the records not, or the command cannot be run.
    pub fn run(self, control: BufReader<UnixStream>) -> Result<Running, Failed> {
        let Self { launch, command, enforced, tree, steps, session, ending, passed } = self;
        opening::begin(&launch, &session, &enforced).map_err(|failed| failed.because(&ending))?;
        show(&launch, &session, &ending).map_err(|error| Failed::sockets(&error))?;
        session.line.begin(&passed);
        listen(control, command, &session, &ending).map_err(|error| Failed::sockets(&error))?;
        steps.go_on()?;
        if let Some(errno) = steps.executed()? {
            opening::not_run(&session);
            return Err(not_run(&session, &launch, &ending, errno));
        }
        let _gone = session.line.uplink.send(json!({"type": "started", "process": command, "enforced": enforced.told()}));
        Ok(Running::new(launch.end, tree, session, ending))
    }
}

fn show(launch: &Launch, session: &Arc<Session>, ending: &Arc<Ending>) -> std::io::Result<()> {
    let started = crate::line::clock::rfc3339(crate::line::now_us());
    let shown = Shown { command: json!(launch.command), started, own_layers: launch.own_layers.clone() };
    faces::serve(&path(&launch.runtime), session, ending, shown)
}

fn listen(control: BufReader<UnixStream>, command: i32, session: &Arc<Session>, ending: &Arc<Ending>) -> std::io::Result<()> {
    let (session, ending) = (Arc::clone(session), Arc::clone(ending));
    let listen = move || control::listen(control, &session, &ending, command);
    std::thread::Builder::new().name("control".into()).spawn(listen).map(drop)
}

/// Why the program did not start, by what was said to its exec.
fn not_run(session: &Session, launch: &Launch, ending: &Ending, errno: i32) -> Failed {
    let program = launch.program.lossy();
    if let Some(Reason::Failed(_)) = ending.reason() {
        return Failed::new(123, format!("`{program}` was not run"), "").because(ending);
    }
    if let Some(denial) = session.line.denials.last(1).first() {
        let because = denial.get("because").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Failed::new(124, format!("policy refuses to run `{program}`: {because}"), "`interlock policy explain` shows which rule");
    }
    let error = std::io::Error::from_raw_os_error(errno);
    Failed::new(if errno == libc::ENOENT { 127 } else { 126 }, format!("`{program}` cannot be run: {error}"), "")
}
