//! One session from launch to end: the supervisor's own thread.

use crate::line::judge::Judge;
use crate::outside::faces;
use crate::start::{Failed, Forked};
use crate::sys::descriptors;
use crate::wire::messages::{self, Down, Launch};
use crate::wire::uplink::Uplink;
use interlock_core::verb::Verb;
use std::io::{BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// How long a reader of our last words is waited for.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the session that the control socket asks for; the process's exit code.
#[must_use]
pub fn run(control: UnixStream) -> u8 {
    let mut stream = BufReader::new(control);
    let code = match begin(&mut stream).and_then(|forked| Ok((forked, uplink(&stream)?))) {
        Ok((forked, uplink)) => finish(forked, stream, &uplink),
        Err(failed) => {
            let _gone = stream.get_ref().write_all(format!("{}\n", failed.told()).as_bytes());
            failed.code
        }
    };
    u8::try_from(code).unwrap_or(123)
}

/// All that needs a process with one thread.
fn begin(stream: &mut BufReader<UnixStream>) -> Result<Forked, Failed> {
    let mut launch = launch(stream)?;
    let control = stream.get_ref().as_raw_fd();
    if launch.stdio.contains(&Some(control)) {
        return Err(Failed::new(120, "the command would have the control socket", ""));
    }
    let kept: Vec<i32> = [0, 1, 2, control].into_iter().chain(launch.stdio.into_iter().flatten()).collect();
    descriptors::close_all_but(&kept);
    let judge = Judge::new(std::mem::take(&mut launch.policy)).map_err(|error| Failed::new(121, error.to_string(), ""))?;
    if launch.journal.is_none() && judge.steers(Verb::FileDelete) {
        let message = "a rule steers deletions to the trash, and this session keeps nothing of before";
        let hint = "leave out `--journal off` or give it a size, or deny and ask about deletions instead";
        return Err(Failed::new(121, message, hint));
    }
    Forked::fork(launch, judge)
}

fn launch(stream: &mut BufReader<UnixStream>) -> Result<Launch, Failed> {
    match messages::read(stream) {
        Ok(Some(Down::Launch(launch))) => Ok(*launch),
        Ok(Some(_)) => Err(Failed::new(120, "the first message is not `launch`", "")),
        Ok(None) => Err(Failed::new(120, "no launch came", "")),
        Err(error) => Err(Failed::new(120, format!("the launch was not understood: {error}"), "")),
    }
}

/// From here on a thread writes what is said.
fn uplink(stream: &BufReader<UnixStream>) -> Result<Arc<Uplink>, Failed> {
    let started = stream.get_ref().try_clone().and_then(Uplink::start);
    started.map(Arc::new).map_err(|error| Failed::new(123, format!("the control socket's writer: {error}"), ""))
}

/// The rest of the way, and what is said and taken away at its end.
fn finish(forked: Forked, stream: BufReader<UnixStream>, uplink: &Arc<Uplink>) -> i32 {
    let runtime = forked.runtime();
    let code = go(forked, stream, uplink).unwrap_or_else(|failed| {
        let _gone = uplink.send(failed.told());
        failed.code
    });
    faces::take_away(&runtime);
    uplink.finish(FAREWELL);
    code
}

fn go(forked: Forked, stream: BufReader<UnixStream>, uplink: &Arc<Uplink>) -> Result<i32, Failed> {
    Ok(forked.listen(uplink)?.rehearse()?.run(stream)?.watch())
}
