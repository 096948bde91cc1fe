//! From the guardian's fork to the command's first instruction: session, terminal, wall, sentinel, filter, self-test, exec. Each state is consumed
//! by the step that leads to the next, so that none can be left out: [`Apart`], [`Watched`], [`Walled`], [`Filtered`], [`Rehearsed`].
//!
//! Runs in a process of its own with one thread. Anything that fails is said to the supervisor and nothing is run.

use super::rehearsal::{self, Rehearsal};
use super::sentinel;
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
    pub(crate) capabilities: u64,
    pub(crate) rehearsal: Rehearsal,
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
    let apart = Apart::from_others(start, ends)?;
    apart.watched()?.walled()?.filtered()?.rehearsed()?.become_the_program()
}

/// In a group of its own and with its own descriptors, and nothing keeps it yet.
struct Apart<'s> {
    start: &'s Start,
    guardian: i32,
    ends: Ends,
}

impl<'s> Apart<'s> {
    fn from_others(start: &'s Start, ends: Ends) -> Result<Self, Step> {
        let guardian = process::parent();
        process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64).map_err(at("pdeathsig"))?;
        if process::parent() != guardian {
            process::leave(1);
        }
        // Only a terminal needs a session of the command's own. Else it stays in the supervisor's, for the scheduler groups by session
        // (sched(7), autogroup): the answer to a call then finds its caller on the same processor. Not where others are in that session, too:
        // the supervisor's own group is the only one that is kept from the tree (`door::process::own`).
        if start.apart {
            process::new_session()
        } else {
            process::new_group()
        }
        let ends = stdio(start, ends)?;
        std::env::set_current_dir(&start.directory).map_err(at("directory"))?;
        capabilities::keep(start.capabilities, 0).map_err(at("capabilities"))?;
        process::control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(at("no_new_privs"))?;
        Ok(Self { start, guardian, ends })
    }

    /// Puts on the sentinels' domain and starts the sentinels in it: as siblings, so that the command has no child it does not know of.
    fn watched(self) -> Result<Watched<'s>, Step> {
        let Ends { stdio, outer, inner, up, down, supervisor_neck, guardian_neck } = self.ends;
        landlock::restrict(outer.as_fd()).map_err(at("landlock"))?;
        drop((stdio, outer));
        match process::fork_sibling().map_err(at("sentinel"))? {
            Forked::Child => {
                drop((inner, down));
                sentinel::run(self.guardian, &[supervisor_neck, guardian_neck], &up)
            }
            Forked::Parent(_) => Ok(Watched { inner, link: Link { start: self.start, up, down } }),
        }
    }
}

/// What talks to the supervisor, and what is to be run.
struct Link<'s> {
    start: &'s Start,
    up: Rc<OwnedFd>,
    down: OwnedFd,
}

/// Two sentinels end it when the supervisor or the guardian is gone.
struct Watched<'s> {
    inner: OwnedFd,
    link: Link<'s>,
}

impl<'s> Watched<'s> {
    /// Puts on the command's own domain, and tries it while nothing else can be the one to refuse.
    fn walled(self) -> Result<Walled<'s>, Step> {
        let Self { inner, link } = self;
        landlock::restrict(inner.as_fd()).map_err(at("landlock"))?;
        process::default_signal(libc::SIGPIPE);
        for result in rehearsal::wall(&link.start.rehearsal) {
            say(link.up.as_raw_fd(), &result);
        }
        Ok(Walled(link))
    }
}

/// Behind the wall.
struct Walled<'s>(Link<'s>);

impl<'s> Walled<'s> {
    /// Puts on the filter, and waits until the supervisor has its listener.
    fn filtered(self) -> Result<Filtered<'s>, Step> {
        let Self(link) = self;
        let listener = notify::install(&link.start.filter).map_err(at("filter"))?;
        say(link.up.as_raw_fd(), &format!("listener {}\n", listener.as_raw_fd()));
        wait(&link.down);
        Ok(Filtered(link))
    }
}

/// Behind wall and filter, and the door listens.
struct Filtered<'s>(Link<'s>);

impl<'s> Filtered<'s> {
    /// The self-test's door part runs in a child with the same wall and filter; the command's own process stays as it was.
    fn rehearsed(self) -> Result<Rehearsed<'s>, Step> {
        let Self(link) = self;
        match process::fork().map_err(at("rehearsal"))? {
            Forked::Child => {
                for result in rehearsal::door(&link.start.rehearsal) {
                    say(link.up.as_raw_fd(), &result);
                }
                process::leave(0)
            }
            Forked::Parent(child) => {
                let code = process::wait_for(child).map_err(at("rehearsal"))?;
                say(link.up.as_raw_fd(), &format!("rehearsed {code}\n"));
                Ok(Rehearsed(link))
            }
        }
    }
}

/// The self-test has ended. Whether it has passed, the supervisor says by letting this go on.
struct Rehearsed<'s>(Link<'s>);

impl Rehearsed<'_> {
    fn become_the_program(self) -> Result<(), Step> {
        let Self(Link { start, down, up: _up }) = self;
        wait(&down);
        // Not before: what is opened on the way would come to their numbers.
        start.closed.iter().copied().for_each(descriptors::close);
        Err(("exec", process::replace(&start.program, &start.arguments, &start.environment)))
    }
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
