//! What `interlock run` says after the launch: answers, signals, context, release, end. And the keeping of time: callers that are gone.

use crate::door::session::Session;
use crate::journal::Journal;
use crate::line::Context;
use crate::line::questions::Reply;
use crate::sys::notify::NOBODYS;
use crate::sys::{descriptors, process, threads};
use crate::tree::ending::Ending;
use crate::wire::messages::{self, Down};
use interlock_core::decision::RecordClass;
use serde_json::json;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

/// How often callers that others wait for are looked after, in milliseconds.
const LOOK_MS: u64 = 20;
/// Every so many looks the journal notes that the session runs: once a second.
const LOOKS_A_BEAT: u64 = 50;

/// Reads messages until `run` leaves or is gone. Its going without `release` ends the tree.
pub fn listen(mut stream: impl BufRead, session: &Session, ending: &Ending, command: i32) {
    let reason = loop {
        match messages::read(&mut stream) {
            Ok(Some(Down::Release {})) => return release(session),
            Ok(Some(Down::End {})) => break "told to end".to_owned(),
            Ok(Some(message)) => match obey(message, session, command) {
                Ok(()) => {}
                Err(why) => break why,
            },
            Ok(None) => {
                release(session);
                break "`interlock run` ended".to_owned();
            }
            Err(error) => break format!("a message was not understood: {error}"),
        }
    };
    ending.told(&reason);
}

fn obey(message: Down, session: &Session, command: i32) -> Result<(), String> {
    match message {
        Down::Answer { id, grant, reason } => {
            let no = || Reply::No(reason.unwrap_or_else(|| "the answer was no".into()));
            session.line.questions.answer(&id, grant.map_or_else(no, Reply::Yes));
        }
        // The group may be gone already.
        Down::Signal { signal } => process::kill(-command, signal).unwrap_or_default(),
        Down::Context { parent, trace } => {
            session.line.set_context(Context { parent: parent.clone(), trace });
            let _nobody = session.line.uplink.send(json!({"type": "context", "parent": parent}));
        }
        Down::Launch(_) => return Err("a second launch".into()),
        Down::Release {} | Down::End {} => {}
    }
    Ok(())
}

fn release(session: &Session) {
    session.line.uplink.leave();
    session.line.questions.close("nobody is there to be asked");
    // A pipe of the human's must not stay open because a session goes on.
    descriptors::detach_stdio();
}

/// Looks after callers that are gone while somebody waits for them, and after the log's health; ends with the process.
pub fn keep_time(session: &Arc<Session>) -> std::io::Result<()> {
    threads::prepare_interrupts()?;
    let session = Arc::clone(session);
    let look = move || {
        let mut looks = 0_u64;
        loop {
            std::thread::sleep(Duration::from_millis(LOOK_MS));
            look_after(&session);
            looks += 1;
            if looks % LOOKS_A_BEAT == 0 {
                session.journal.iter().for_each(Journal::beat);
            }
        }
    };
    std::thread::Builder::new().name("time".into()).spawn(look).map(|_| ())
}

fn look_after(session: &Session) {
    let gone = |call: u64| call != NOBODYS && !session.calls.watch().waits(call);
    for call in session.line.questions.calls() {
        if gone(call) {
            session.line.questions.withdraw(call);
        }
    }
    for (thread, call) in session.pool.blocked() {
        if gone(call) {
            threads::interrupt(thread);
        }
    }
    session.pool.relieve();
    session.line.uplink.tell_suppressed();
    session.line.check_log();
    tell_unkept(session);
}

/// Says what of before is not kept: to the record, and to the person.
pub fn tell_unkept(session: &Session) {
    for news in session.journal.iter().flat_map(Journal::news) {
        let _poisoned = session.line.record(RecordClass::Ordered, news.message("journal.short"));
        let _nobody = session.line.uplink.send(news.message("unkept"));
    }
}
