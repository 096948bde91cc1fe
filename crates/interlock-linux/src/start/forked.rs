//! Forked: guardian and command exist, and the command's process puts on its wall and its filter. There is no listener yet, no log and no session.

use super::enforced::Enforced;
use super::listening::Listening;
use super::opening;
use super::places::Own;
use super::tree::Tree;
use crate::door::file::copy;
use crate::door::keys::{Bound, talk};
use crate::door::naming::Naming;
use crate::door::net::sender;
use crate::door::receive;
use crate::door::resolver::socket_maker::Starting;
use crate::door::resolver::{Resolver, answer};
use crate::door::seen::history::Histories;
use crate::door::seen::places::Places;
use crate::door::session::{Gateway, Session, Threads, Told};
use crate::filter::need::Need;
use crate::filter::program::program;
use crate::later::{Later, Passing};
use crate::line::Line;
use crate::line::judge::Judge;
use crate::machine::{capability, foreign};
use crate::outside::control;
use crate::sys::descriptors::{self, pipe, take_from};
use crate::sys::notify::Listener;
use crate::sys::process::{self, Forked as Side};
use crate::sys::scope::Scope;
use crate::sys::{capabilities, landlock};
use crate::tree::command::{Ends, Start};
use crate::tree::ending::Ending;
use crate::tree::failed::Failed;
use crate::tree::guardian;
use crate::tree::members::Members;
use crate::tree::rehearsal::Rehearsal;
use crate::tree::steps::Steps;
use crate::tree::wall::{self, Wall};
use crate::wire::messages::{Launch, PrivatePlace, Repository, path};
use crate::wire::uplink::Uplink;
use interlock_core::named;
use interlock_git::{Anchors, Past, Revisions, Store};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// The command's own descriptors wait here until they are put at 0, 1 and 2.
const ABOVE_STDIO: i32 = 10;
/// Descriptors of the supervisor, as far as its hard limit goes.
const FILES: u64 = 1 << 20;
/// Bytes that a log's file must be allowed to grow to. A session that comes to a limit above it ends there, with that reason.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// A tree whose command puts on its wall and its filter.
#[must_use = "dropped, the tree ends"]
pub struct Forked {
    launch: Launch,
    judge: Judge,
    command: i32,
    enforced: Enforced,
    tree: Tree,
    steps: Steps,
    scope: Scope,
    resolver: Option<Resolver>,
}

impl Forked {
    /// Builds the wall and forks guardian and command. The process must have one thread.
    ///
    /// # Errors
    /// [`Failed`]: what this machine lacks, or what went wrong.
    pub fn fork(launch: Launch, judge: Judge) -> Result<Self, Failed> {
        capability::lacking().map_or(Ok(()), |missing| Err(Failed::lacking(missing.what, &missing.hint)))?;
        // Before anything of the session is opened: from here on its names are meant.
        let places = Own::enter(&launch.private_places)?;
        let names = names(&launch, &judge)?;
        let wall = wall::build(&judge.exec_roots())
            .map_err(|missing| Failed::lacking(missing.0, "`interlock doctor` says what is missing and what to do"))?;
        // Not even tried without the capability: a filter may kill for it.
        let own_ipc = !capability::simulated("ipc-namespace") && capability::may_make_namespaces() && process::own_ipc().is_ok();
        capabilities::keep(capability::supervisor(), capability::aside()).map_err(unprepared)?;
        process::adopt_orphans().map_err(unprepared)?;
        let (ours, theirs) = ends(&launch, &wall).map_err(unprepared)?;
        let held = capabilities::permitted().map_err(unprepared)?;
        let need = Need::of(judge.policy(), held, own_ipc);
        let start = start(&launch, theirs.command, need, held)?;
        let scope = landlock::abstract_only().and_then(Scope::enter).map_err(unprepared)?;
        let (ours, guardian) = scope.fork(|| fork(&start, ours, theirs.link, theirs.neck)).map_err(unprepared)?;
        start.forget();
        let mut tree = Tree::new(guardian, ours.words, ours.orders, ours.neck);
        let resolver = names.map(|helper| resolver(helper, &launch, &judge)).transpose()?.flatten();
        let (steps, enforced) = (Steps::new(ours.lines, ours.go), Enforced::new(wall, need, places, resolver.is_some()));
        let command = tree.born()?;
        if sender::names(guardian).is_err() {
            let give_up = || capabilities::keep(capability::supervisor(), 0);
            give_up().and_then(|()| scope.within(give_up)).map_err(unprepared)?;
        }
        Ok(Self { launch, judge, command, enforced, tree, steps, scope, resolver })
    }

    /// Where the session's sockets will be.
    #[must_use]
    pub fn runtime(&self) -> PathBuf {
        path(&self.launch.runtime)
    }

    /// Takes the listener over and starts the session around it: the door answers, by the self-test's script.
    ///
    /// # Errors
    /// [`Failed`]: the wall does not hold, the log cannot be opened, or the machine refused.
    pub fn listen(self, uplink: &Arc<Uplink>) -> Result<Listening, Failed> {
        let Self { launch, judge, command, mut enforced, mut tree, mut steps, scope, resolver } = self;
        let ending = Arc::new(Ending::new().map_err(|error| Failed::new(123, error.to_string(), ""))?);
        harden()?;
        // While the command's process puts on its wall and its filter.
        let log = opening::create(&launch)?;
        let (listener, sentinels) =
            listener(command, &mut tree, &mut steps, &mut enforced).inspect_err(|failed| opening::not_begun(&log, failed))?;
        let members = Members { guardian: tree.guardian(), sentinels };
        let passing = Passing::new(enforced.places.all());
        let later = Later::new(&launch.runs_later, &launch.workspace, &launch.home, passing)
            .map_err(|error| Failed::new(120, format!("`runs_later`: {error}"), ""))?;
        let line =
            Line::new(launch.session.clone(), launch.agent.clone(), judge, later, Box::new(log), Arc::clone(uplink), Arc::clone(&ending));
        let session = session(&launch, enforced.places.all(), line, (listener, scope), members, resolver)?;
        answer::begin(&session).map_err(|error| Failed::own("names", error))?;
        control::keep_time(&session).map_err(|error| Failed::sockets(&error))?;
        session.terminals.given(session.ground.root.as_fd(), command);
        Ok(Listening { launch, command, enforced, tree, steps, session, ending })
    }
}

/// What is to answer names, where policy names hosts. Nothing where it cannot be had, and every rule that needs it was said to be short of it.
fn names(launch: &Launch, judge: &Judge) -> Result<Option<Starting>, Failed> {
    if !named::are_needed(judge.policy()) {
        return Ok(None);
    }
    Starting::begin().map(Some).or_else(|why| without_names(&why, launch, judge).map(|()| None))
}

fn resolver(helper: Starting, launch: &Launch, judge: &Judge) -> Result<Option<Resolver>, Failed> {
    match helper.ready() {
        Ok(maker) => Ok(Some(Resolver::new(maker))),
        Err(why) => without_names(&why, launch, judge).map(|()| None),
    }
}

fn without_names(why: &str, launch: &Launch, judge: &Judge) -> Result<(), Failed> {
    if named::rules(judge.policy()).all(|rule| launch.short.contains_key(&rule.name)) {
        return Ok(());
    }
    Err(Failed::lacking(format!("policy names hosts, and names cannot be answered: {why}"), "name addresses under `address`"))
}

/// Forks the guardian; in it this does not return.
fn fork(start: &Start, ours: Ours, link: UnixStream, neck: OwnedFd) -> std::io::Result<(Ours, i32)> {
    match process::fork()? {
        Side::Child => {
            drop(ours);
            guardian::run(start, link, neck)
        }
        Side::Parent(guardian) => Ok((ours, guardian)),
    }
}

fn unprepared(error: std::io::Error) -> Failed {
    Failed::own("the tree could not be prepared", error)
}

/// What the supervisor holds of the tree.
struct Ours {
    lines: OwnedFd,
    go: OwnedFd,
    words: UnixStream,
    orders: UnixStream,
    neck: OwnedFd,
}

/// What guardian and command hold.
struct Theirs {
    command: Ends,
    link: UnixStream,
    neck: OwnedFd,
}

/// The pipes and sockets between the supervisor and its tree; the descriptors given for the command are the command's from here on.
fn ends(launch: &Launch, wall: &Wall) -> std::io::Result<(Ours, Theirs)> {
    let (lines, up) = pipe()?;
    let (down, go) = pipe()?;
    let (supervisor_neck, neck) = pipe()?;
    let (guardian_neck, guardian_holds) = pipe()?;
    let (orders, link) = UnixStream::pair()?;
    let command = Ends {
        stdio: stdio(launch)?,
        outer: wall.outer.try_clone()?,
        inner: wall.inner.try_clone()?,
        up: Rc::new(up),
        down,
        supervisor_neck,
        guardian_neck,
    };
    let words = orders.try_clone()?;
    Ok((Ours { lines, go, words, orders, neck }, Theirs { command, link, neck: guardian_holds }))
}

fn stdio(launch: &Launch) -> std::io::Result<[OwnedFd; 3]> {
    let null = std::fs::File::open("/dev/null")?;
    let source = |number: Option<i32>| descriptors::borrow(number.unwrap_or(null.as_raw_fd()));
    let [stdin, stdout, stderr] = launch.stdio.map(|number| descriptors::duplicate_above(source(number), ABOVE_STDIO));
    let given: BTreeSet<i32> = launch.stdio.into_iter().flatten().filter(|number| *number > 2).collect();
    given.into_iter().for_each(descriptors::close);
    Ok([stdin?, stdout?, stderr?])
}

fn start(launch: &Launch, ends: Ends, need: Need, held: u64) -> Result<Start, Failed> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Failed::new(120, "a zero byte in the command or its environment", ""));
    let environment = launch.environment.iter().map(|(name, value)| text(&[name.as_bytes(), b"=", &value.0].concat()));
    Ok(Start {
        ends: RefCell::new(Some(ends)),
        program: text(&launch.program.0)?,
        arguments: launch.command.iter().map(|argument| text(&argument.0)).collect::<Result<_, _>>()?,
        environment: environment.collect::<Result<_, _>>()?,
        directory: path(&launch.directory),
        terminal: launch.terminal,
        closed: (0..).zip(launch.stdio).filter(|(_, given)| given.is_none()).map(|(number, _)| number).collect(),
        apart: launch.terminal || !process::leads_its_session(),
        filter: program(need),
        capabilities: capability::jail(held),
        rehearsal: Rehearsal { filtered: foreign::stands(), supervisor: process::id(), runtime: path(&launch.runtime) },
    })
}

/// After the fork, so that the command keeps the limits and dispositions it was given.
fn harden() -> Result<(), Failed> {
    process::limit(libc::RLIMIT_NOFILE, FILES);
    process::limit(libc::RLIMIT_CORE, 0);
    process::ignore_signal(libc::SIGXFSZ);
    process::keep_from_oom();
    let file_bytes = process::lift(libc::RLIMIT_FSIZE);
    if file_bytes < LOG_BYTES_MIN {
        let message = format!("a file may have {file_bytes} bytes here (`ulimit -f`): too few for the session's log");
        return Err(Failed::new(123, message, "raise the limit; the command's own can be set inside: sh -c 'ulimit -f N; exec COMMAND'"));
    }
    Ok(())
}

/// Follows the command to its listener: the wall's tests, the sentinels, the filter. Gives the listener and the sentinels' processes.
fn listener(command: i32, tree: &mut Tree, steps: &mut Steps, enforced: &mut Enforced) -> Result<(Listener, [i32; 2]), Failed> {
    let mut sentinels = None;
    loop {
        match steps.next("the command's process did not put on its wall and filter")?.as_slice() {
            [word, first, second] if word == "sentinels" => sentinels = Some(pair(first, second)?),
            [word, number] if word == "listener" => {
                let taken = process::descriptor(command)
                    .and_then(|process| take_from(process.as_fd(), number.parse().unwrap_or(-1)))
                    .map_err(|error| Failed::not_taken(&error))?;
                let sentinels = sentinels.map_or_else(|| awaited(steps), Ok)?;
                tree.name_sentinels(sentinels)?;
                return Ok((Listener::from(taken), sentinels));
            }
            words => enforced.note(words)?,
        }
    }
}

/// The sentinels speak on their own time; they are waited for.
fn awaited(steps: &mut Steps) -> Result<[i32; 2], Failed> {
    match steps.next("the sentinels did not come up")?.as_slice() {
        [word, first, second] if word == "sentinels" => pair(first, second),
        _ => Err(Failed::own("the sentinels", "did not come up")),
    }
}

fn pair(first: &str, second: &str) -> Result<[i32; 2], Failed> {
    let process = |text: &str| text.parse().map_err(|error| Failed::own("the sentinels", error));
    Ok([process(first)?, process(second)?])
}

/// Builds the session around its line and the listener.
fn session(
    launch: &Launch,
    own_places: &[PrivatePlace],
    line: Line,
    (listener, scope): (Listener, Scope),
    members: Members,
    resolver: Option<Resolver>,
) -> Result<Arc<Session>, Failed> {
    let own = |error: std::io::Error| Failed::own("the session could not be built", error);
    // Faster hand-over from 6.6 on; without it only slower.
    let _older = listener.wake_synchronously();
    let gateway = launch.gateway.as_ref().map(|place| Gateway { place: place.address.zip(place.port), socket: path(&place.socket) });
    let threads = Threads { receive: receive::run, help: receive::help, keep: copy::put_in_place, converse: talk::converse };
    let inside = path(&launch.runtime).join("inside.sock");
    let histories = Histories::new(launch.workspace.0.clone(), pasts(launch));
    let (name, places, naming) =
        (launch.session.clone(), Places::of(own_places).map_err(own)?, Naming::among(&path(&launch.ledger.keys)).map_err(own)?);
    let keys = launch.keys.as_ref().map(|keys| Bound::at(path(&keys.agent), path(&keys.run))).transpose().map_err(own)?;
    let told = Told { name, gateway, inside, histories, places, resolver, naming, journal: opening::journal(launch)?, keys };
    Session::start(told, line, members, (listener, scope), threads).map_err(own)
}

/// What the workspace's repository and its submodules name now, before anything of the session runs, each by its top.
fn pasts(launch: &Launch) -> Vec<(Vec<u8>, Past)> {
    let past = |repository: &Repository| {
        let anchors = Anchors::read(&path(&repository.git), &path(&repository.common));
        Past::new(Store::of(repository.objects.iter().map(path).collect()), anchors)
            .with(Revisions::of(&path(&repository.git), &path(&repository.common)))
    };
    let own = launch.repository.iter().map(|repository| (launch.workspace.0.clone(), past(repository)));
    own.chain(launch.submodules.iter().map(|(top, repository)| (top.0.clone(), past(repository)))).collect()
}
