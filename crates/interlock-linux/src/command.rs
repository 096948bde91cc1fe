//! From the guardian's fork to the command's first instruction: session, terminal, wall, sentinel, filter, self-test, exec.
//!
//! Runs in a process of its own with one thread. Anything that fails is said to the supervisor and nothing is run.

use crate::rehearsal;
use crate::sentinel;
use crate::sys::descriptors::{self, read_byte, write_all};
use crate::sys::notify::{self, Instruction};
use crate::sys::process::{self, Forked};
use crate::sys::{capabilities, landlock};
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;

/// Descriptors of the start, taken by whoever uses them.
pub struct Ends {
    /// 0, 1 and 2 of the command.
    pub stdio: [OwnedFd; 3],
    /// The sentinels' domain.
    pub outer: OwnedFd,
    /// The command's domain.
    pub inner: OwnedFd,
    /// Lines to the supervisor.
    pub up: Rc<OwnedFd>,
    /// One byte for each step the supervisor lets it go on.
    pub down: OwnedFd,
    /// Hung up when the supervisor is gone.
    pub supervisor_neck: OwnedFd,
    /// Hung up when the guardian is gone.
    pub guardian_neck: OwnedFd,
}

/// All that is needed to start the command, made before the fork.
pub struct Start {
    pub(crate) ends: RefCell<Option<Ends>>,
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) directory: PathBuf,
    pub(crate) terminal: bool,
    /// Those of 0, 1 and 2 that the command is to find closed.
    pub(crate) closed: Vec<RawFd>,
    pub(crate) apart: bool,
    pub(crate) filter: Vec<Instruction>,
    /// Whether another's filter stands before this one.
    pub(crate) filtered: bool,
    pub(crate) capabilities: u64,
    pub(crate) supervisor: i32,
    pub(crate) runtime: PathBuf,
}

impl Start {
    /// The guardian has forked and keeps none of the command's ends.
    pub fn forget(&self) {
        drop(self.ends.borrow_mut().take());
    }
}

/// Becomes the command. What fails is said as `failed STEP ERRNO`.
pub fn run(start: &Start) -> ! {
    let Some(ends) = start.ends.borrow_mut().take() else { process::leave(1) };
    let up = Rc::clone(&ends.up);
    if let Err((step, error)) = prepare(start, ends) {
        say(up.as_raw_fd(), &format!("failed {step} {}\n", crate::sys::errno(&error)));
        if step == "exec" {
            process::leave(not_executed(crate::sys::errno(&error)));
        }
    }
    process::leave(1)
}

/// The status of a command that could not be executed (`spec/home.md`): `run` found it executable, so a refusal is the policy's.
fn not_executed(errno: i32) -> i32 {
    match errno {
        libc::EACCES | libc::EPERM => 124,
        libc::ENOENT | libc::ENOTDIR => 127,
        _ => 126,
    }
}

type Step = (&'static str, std::io::Error);

fn at(step: &'static str) -> impl FnOnce(std::io::Error) -> Step {
    move |error| (step, error)
}

/// Returns only an error: success is another program's image.
fn prepare(start: &Start, ends: Ends) -> Result<(), Step> {
    let guardian = process::parent();
    process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64).map_err(at("pdeathsig"))?;
    if process::parent() != guardian {
        process::leave(1);
    }
    // Only a terminal needs a session of the command's own. Else it stays in the supervisor's, for the scheduler groups by session
    // (sched(7), autogroup): the answer to a call then finds its caller on the same processor. Not where others are in that session, too:
    // the supervisor's own group is the only one that is kept from the tree (`own`).
    if start.apart {
        process::new_session()
    } else {
        process::new_group()
    }
    let ends = stdio(start, ends)?;
    std::env::set_current_dir(&start.directory).map_err(at("directory"))?;
    capabilities::keep(start.capabilities, 0).map_err(at("capabilities"))?;
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(at("no_new_privs"))?;
    landlock::restrict(ends.outer.as_fd()).map_err(at("landlock"))?;
    let ends = watched(guardian, ends)?;
    landlock::restrict(ends.inner.as_fd()).map_err(at("landlock"))?;
    process::default_signal(libc::SIGPIPE);
    for result in rehearsal::wall(start) {
        say(ends.up.as_raw_fd(), &result);
    }
    let listener = notify::install(&start.filter).map_err(at("filter"))?;
    say(ends.up.as_raw_fd(), &format!("listener {}\n", listener.as_raw_fd()));
    wait(&ends.down);
    drop(listener);
    rehearse(start, &ends)?;
    wait(&ends.down);
    // Not before: what is opened on the way would come to their numbers.
    start.closed.iter().copied().for_each(descriptors::close);
    Err(("exec", process::replace(&start.program, &start.arguments, &start.environment)))
}

struct Watched {
    inner: OwnedFd,
    up: Rc<OwnedFd>,
    down: OwnedFd,
}

/// Puts the command's descriptors at 0, 1 and 2, takes the terminal, and closes all but what is still needed.
fn stdio(start: &Start, ends: Ends) -> Result<Ends, Step> {
    for (number, source) in (0..).zip(&ends.stdio) {
        descriptors::place(source.as_raw_fd(), number).map_err(at("stdio"))?;
    }
    if let Some(terminal) = (0..3).find(|number| start.terminal && process::is_terminal(*number)) {
        process::take_terminal(terminal).map_err(at("terminal"))?;
    }
    let kept = [&ends.outer, &ends.inner, &*ends.up, &ends.down, &ends.supervisor_neck, &ends.guardian_neck].map(AsRawFd::as_raw_fd);
    let Ends { stdio, .. } = &ends;
    let all: Vec<RawFd> = [0, 1, 2].into_iter().chain(kept).chain(stdio.iter().map(AsRawFd::as_raw_fd)).collect();
    descriptors::close_all_but(&all);
    Ok(ends)
}

/// Starts the sentinels as siblings, so that the command has no child it does not know of.
fn watched(guardian: i32, ends: Ends) -> Result<Watched, Step> {
    let Ends { stdio, outer, inner, up, down, supervisor_neck, guardian_neck } = ends;
    drop((stdio, outer));
    match process::fork_sibling().map_err(at("sentinel"))? {
        Forked::Child => {
            drop((inner, down));
            sentinel::run(guardian, &[supervisor_neck, guardian_neck], &up)
        }
        Forked::Parent(_) => Ok(Watched { inner, up, down }),
    }
}

/// The self-test runs in a child with the same wall and filter; the command's own process stays as it was.
fn rehearse(start: &Start, ends: &Watched) -> Result<(), Step> {
    match process::fork().map_err(at("rehearsal"))? {
        Forked::Child => {
            for result in rehearsal::door(start) {
                say(ends.up.as_raw_fd(), &result);
            }
            process::leave(0)
        }
        Forked::Parent(child) => {
            let code = process::wait_for(child).map_err(at("rehearsal"))?;
            say(ends.up.as_raw_fd(), &format!("rehearsed {code}\n"));
            Ok(())
        }
    }
}

fn wait(down: &OwnedFd) {
    if read_byte(down.as_fd()).is_none() {
        process::leave(1);
    }
}

fn say(up: RawFd, line: &str) {
    if write_all(descriptors::borrow(up), line.as_bytes()).is_err() {
        process::leave(1);
    }
}
