//! A tree is run that was not rehearsed.

use crate::start::{Failed, Forked, Listening, Rehearsed, Running};
use crate::wire::uplink::Uplink;
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

#[cfg(misuse)]
mod too_early {
    use super::{Arc, BufReader, Failed, Forked, Listening, Rehearsed, Running, UnixStream, Uplink};

    fn from_the_fork(forked: Forked, control: BufReader<UnixStream>) -> Result<Running, Failed> {
        forked.run(control) //~ E0599 Forked
    }

    fn rehearsed_without_a_listener(forked: Forked) -> Result<Rehearsed, Failed> {
        forked.rehearse() //~ E0599 Forked
    }

    fn from_the_listener(listening: Listening, control: BufReader<UnixStream>) -> Result<Running, Failed> {
        listening.run(control) //~ E0599 Listening
    }

    fn watched_before_it_runs(rehearsed: Rehearsed) -> i32 {
        rehearsed.watch() //~ E0599 Rehearsed
    }

    fn twice(forked: Forked, uplink: &Arc<Uplink>) -> Result<(), Failed> {
        let _first = forked.listen(uplink)?;
        let _second = forked.listen(uplink)?; //~ E0382 forked
        Ok(())
    }
}

#[cfg(not(misuse))]
fn in_order(forked: Forked, uplink: &Arc<Uplink>, control: BufReader<UnixStream>) -> Result<i32, Failed> {
    let listening: Listening = forked.listen(uplink)?;
    let rehearsed: Rehearsed = listening.rehearse()?;
    let running: Running = rehearsed.run(control)?;
    Ok(running.watch())
}
