//! The session's log at its start: opened, begun with the first records, or closed because nothing was run.

use super::enforced::Enforced;
use crate::door::session::Session;
use crate::journal::{Journal, Wanted};
use crate::machine::capability;
use crate::sys::errno::Errno;
use crate::tree::failed::Failed;
use crate::wire::messages::{Launch, path};
use interlock_core::action::Bytes;
use interlock_core::decision::RecordClass;
use interlock_core::pattern::Pattern;
use interlock_ledger::{Error, Keys, Log};
use serde_json::json;

/// Opens the session's log.
pub(super) fn create(launch: &Launch) -> Result<Log, Failed> {
    let (directory, index, keys) = (path(&launch.ledger.directory), path(&launch.ledger.index), path(&launch.ledger.keys));
    let refused =
        |error: Error| Failed::new(123, format!("the ledger cannot be opened: {error}"), "`interlock ledger verify` says what is damaged");
    let keys = Keys::ensure(&keys, Some(&index)).map_err(refused)?;
    interlock_ledger::open_session(&directory, &format!("sessions/{}", launch.session), &index, &keys).map_err(refused)
}

/// Opens the session's journal, where it is to have one.
pub(super) fn journal(launch: &Launch) -> Result<Option<Journal>, Failed> {
    let Some(place) = &launch.journal else { return Ok(None) };
    let patterns = |texts: &[Bytes]| {
        let compiled = texts.iter().map(Pattern::compile).collect::<Result<Vec<_>, _>>();
        compiled.map(Into::into).map_err(|error| Failed::new(120, format!("`journal`: {error}"), ""))
    };
    let (exempt, derived, folder) = (patterns(&place.exempt)?, patterns(&place.derived)?, path(&place.folder));
    let wanted = Wanted { folder: &folder, bytes: place.bytes, workspace: &place.workspace.0, exempt, derived };
    Journal::open(wanted).map(Some).map_err(|Errno(errno)| {
        let error = std::io::Error::from_raw_os_error(errno);
        let hint = "`interlock run --journal off` runs without one: then nothing can be restored";
        Failed::new(123, format!("the journal `{}` cannot be made: {error}", folder.display()), hint)
    })
}

/// Closes the log of a session that did not come to stand behind wall and filter.
pub(super) fn not_begun(log: &Log, failed: &Failed) {
    let reason = format!("nothing was run: {}", failed.message);
    // Should this fail as well, the next start completes the log.
    let _left = log.close(Some(json!({"type": "session.closed", "status": null, "reason": reason})));
}

/// Closes the log of a session whose command could not be run.
pub(super) fn not_run(session: &Session) {
    let _log = session.line.close(json!({"type": "session.closed", "status": null, "reason": "the command could not be run"}));
}

/// The records that open the session, on disk.
pub(super) fn begin(launch: &Launch, session: &Session, enforced: &Enforced) -> Result<(), Failed> {
    let judge = &session.line.judge;
    let opened = json!({
        "type": "session.opened", "agent": launch.agent, "human": launch.human, "command": launch.command, "directory": launch.directory,
        "workspace": launch.workspace, "policy": judge.digest(), "layers": judge.layers(), "sources": launch.sources, "parent": launch.parent, "prompt": launch.prompt,
        "host": {"kernel": capability::kernel(), "enforced": enforced.told(), "rules": launch.short, "private_places": enforced.places.all()},
    });
    let refused = |_| Failed::new(123, "the ledger refused the session's first records", "");
    // The second one's sync is the first one's too.
    session.line.record(RecordClass::Ordered, opened).map_err(refused)?;
    session.line.record(RecordClass::Durable, enforced.sealed()).map_err(refused).map(drop)
}
