//! Exec: path and arguments snapshot, decided, then verified on what the kernel committed (`trace`).
//!
//! A script is an act for itself and one for each interpreter, whose arguments are known beforehand (`script`). What the kernel refuses
//! by itself is answered with the kernel's errno before anybody is asked.
//! What is steered to another command line is committed as it was asked for, verified, and replaced before its first instruction (`replaced`): a
//! script is then one act and its interpreters further ones, decided after it, since their arguments follow from what it was steered to.
//! Left out: formats registered with binfmt_misc (their handler is not what was decided: killed, recorded), and what the program does
//! once it runs. A rule on a path steers, it does not contain: a copy under another name is another program.

use super::expected::Expected;
use super::replaced::Replacement;
use super::traced::{ExecEnd, Found, Traced};
use crate::door::answer::{Answered, Pending, Proof};
use crate::door::errand::Errand;
use crate::door::refusal;
use crate::door::seen::caller::{Caller, Reached, Stop};
use crate::door::seen::lost;
use crate::door::seen::resolve::{self, Last, Name, Object, Path};
use crate::door::session::Session;
use crate::line::{Enactor, Leave, Observed, Verdict};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use interlock_abi::script::{self, Head};
use interlock_core::action::{Action, Bytes, Inode, Target, Verb};
use interlock_core::decision::RecordClass;
use interlock_core::instead;
use interlock_core::steer::Steer;
use serde_json::json;
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;

/// Longest single argument (MAX_ARG_STRLEN), its zero included.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024;
/// All arguments together.
const ARGUMENTS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How many arguments.
const ARGUMENTS_MAX: usize = 32 * 1024;
/// AT_EXECVE_CHECK (6.14): the kernel says whether it would, and does not.
const EXECVE_CHECK: i32 = 0x10000;

/// What the caller asked for, as it stood when the call was received.
struct Request {
    directory: i32,
    path: Vec<u8>,
    arguments: Vec<Vec<u8>>,
    flags: i32,
}

/// What is to run: as it was asked for, and instead of that where it was steered.
struct Decided<'s> {
    images: Vec<Image>,
    instead: Option<Instead>,
    leaves: Vec<Leave<'s>>,
}

/// Another command line, and the images on its way.
struct Instead {
    arguments: Vec<Vec<u8>>,
    images: Vec<Image>,
}

/// One image on the way: a script, or the program at the end.
struct Image {
    object: Object,
    arguments: Vec<Vec<u8>>,
}

/// Answers execve and execveat.
pub fn exec(errand: &Errand<'_>, pending: Pending) -> Answered {
    if let Some(proof) = errand.session.starting.expects(errand.call) {
        return pending.go_on(Proof::Replaced(proof));
    }
    let request = match request(&errand.caller) {
        Ok(request) => request,
        Err(Errno(errno)) => return pending.errno(errno),
    };
    match decided(errand, &request) {
        Ok(decided) => enact(errand, pending, decided),
        Err(stop) => refusal::stopped(errand.session, pending, stop, |path| act(path, &[], None, &request.arguments, b"/")),
    }
}

fn decided<'s>(errand: &'s Errand<'_>, request: &Request) -> Result<Decided<'s>, Stop> {
    let (images, directory) = images(errand, request)?;
    let observed = |images: &[Image]| images.iter().map(|image| observed(errand.session, image, &directory)).collect::<Vec<_>>();
    if !errand.session.line.judge.steers_programs {
        let leave = errand.settle(&Enactor::PLAIN, observed(&images))?;
        return Ok(Decided { images, instead: None, leaves: vec![leave] });
    }
    let found = RefCell::new(None);
    let follow = |_: &Action, steer: &Steer| {
        let made = instead_of(errand, request, steer)?;
        let first = made.images.first().map(|image| self::observed(errand.session, image, &directory));
        found.replace(Some(made));
        first
    };
    let follows = |steer: &Steer| matches!(steer, Steer::ReplaceFlag { .. } | Steer::AddFlag { .. });
    let leave = errand.settle(&Enactor { follows, steered: &follow, ..Enactor::PLAIN }, observed(images.get(..1).unwrap_or_default()))?;
    let is_steered = leave.permits().iter().any(|permit| permit.verdict != Verdict::Allow);
    let instead = found.into_inner().filter(|_| is_steered);
    let mut leaves = vec![leave];
    if is_steered && instead.as_ref().is_none_or(|instead| instead.images.is_empty()) {
        // What was asked for must not run in its place.
        done(leaves, libc::EACCES);
        return Err(Errno(libc::EACCES).into());
    }
    let rest = instead.as_ref().map_or(images.as_slice(), |instead| &instead.images).get(1..).unwrap_or_default();
    if !rest.is_empty() {
        match errand.settle(&Enactor::PLAIN, observed(rest)) {
            Ok(leave) => leaves.push(leave),
            Err(stop) => {
                done(leaves, libc::EACCES);
                return Err(stop);
            }
        }
    }
    Ok(Decided { images, instead, leaves })
}

/// What a steer makes of the request. Nothing where that cannot be started by the name that it was started by: a descriptor may be gone by then.
fn instead_of(errand: &Errand<'_>, request: &Request, steer: &Steer) -> Option<Instead> {
    let by_name = request.directory == libc::AT_FDCWD || request.path.first() == Some(&b'/');
    if !by_name || request.path.is_empty() || request.flags != 0 {
        return None;
    }
    let given: Vec<Bytes> = request.arguments.iter().cloned().map(Bytes).collect();
    let arguments: Vec<Vec<u8>> = instead::command_line(steer, &given)?.into_iter().map(|argument| argument.0).collect();
    let changed = Request { directory: request.directory, path: request.path.clone(), arguments: arguments.clone(), flags: request.flags };
    let (images, _) = images(errand, &changed).ok()?;
    Some(Instead { arguments, images })
}

fn done(leaves: Vec<Leave<'_>>, errno: i32) {
    leaves.into_iter().for_each(|leave| leave.done(errno));
}

fn request(caller: &Caller<'_>) -> Sys<Request> {
    let at = i64::from(caller.number()) == libc::SYS_execveat;
    let first = usize::from(at);
    let flags = if at { caller.int(4) } else { 0 };
    if flags & !(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | EXECVE_CHECK) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let directory = if at { caller.int(0) } else { libc::AT_FDCWD };
    let path = caller.path(first)?;
    Ok(Request { directory, path, arguments: arguments(caller, caller.argument(first + 1))?, flags })
}

/// The argument vector at `address`. The kernel takes none at all for one empty argument (5.18).
fn arguments(caller: &Caller<'_>, address: u64) -> Sys<Vec<Vec<u8>>> {
    let mut arguments = Vec::new();
    let mut room = ARGUMENTS_BYTES_MAX;
    for index in 0..=ARGUMENTS_MAX as u64 {
        let [pointer] = match address {
            0 => [0],
            address => caller.words(address.checked_add(index * 8).ok_or(Errno(libc::EFAULT))?)?,
        };
        if pointer == 0 {
            if arguments.is_empty() {
                arguments.push(Vec::new());
            }
            return Ok(arguments);
        }
        let text = caller.text(pointer, ARGUMENT_BYTES_MAX.min(room), libc::E2BIG)?;
        room = room.saturating_sub(text.len() + 1);
        arguments.push(text);
    }
    Err(Errno(libc::E2BIG))
}

/// The script, its interpreters in turn, and the program at the end; with the name of the working directory.
fn images(errand: &Errand<'_>, request: &Request) -> Result<(Vec<Image>, Vec<u8>), Stop> {
    let caller = &errand.caller;
    let home = caller.directory(libc::AT_FDCWD)?;
    let stat = files::stat(home.as_fd())?;
    let directory = resolve::named(caller.ground, home, stat)?.name.bytes().to_vec();
    let mut images = Vec::new();
    let mut next = Some((asked_for(caller, request)?, request.arguments.clone()));
    let mut name = script_name(request);
    while let Some((object, arguments)) = next.take() {
        if matches!(object.name, Name::Lost(_)) {
            lost::admitted(caller, &errand.session.made, &object, &[Verb::ProcessExec])?;
        }
        if images.len() > script::DEPTH_MAX {
            return Err(Errno(libc::ELOOP).into());
        }
        if let Head::Script { interpreter, argument } = head(errand, &object)? {
            let given = script::arguments(&interpreter, argument.as_deref(), &name, &arguments);
            next = Some((interpreter_of(caller, &interpreter)?, given));
            name = interpreter;
        }
        images.push(Image { object, arguments });
    }
    Ok((images, directory))
}

fn asked_for(caller: &Caller<'_>, request: &Request) -> Result<Object, Stop> {
    if request.path.is_empty() && request.flags & libc::AT_EMPTY_PATH != 0 {
        let file = caller.directory(request.directory)?;
        caller.confirm()?;
        let stat = files::stat(file.as_fd())?;
        return resolve::named(caller.ground, file, stat);
    }
    let last = if request.flags & libc::AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow };
    resolve::object(caller, &Path { directory: request.directory, text: &request.path, last, resolve: 0 })
}

fn interpreter_of(caller: &Caller<'_>, text: &[u8]) -> Result<Object, Stop> {
    resolve::object(caller, &Path { directory: libc::AT_FDCWD, text, last: Last::Follow, resolve: 0 })
}

/// What the kernel calls the script towards its interpreter (execveat(2), NOTES).
fn script_name(request: &Request) -> Vec<u8> {
    if request.directory == libc::AT_FDCWD || request.path.first() == Some(&b'/') {
        return request.path.clone();
    }
    let mut name = format!("/dev/fd/{}", request.directory).into_bytes();
    if !request.path.is_empty() {
        name.push(b'/');
        name.extend(&request.path);
    }
    name
}

/// What kind of program it is; the kernel's errno for what is none.
fn head(errand: &Errand<'_>, object: &Object) -> Result<Head, Stop> {
    match object.stat.kind() {
        libc::S_IFLNK => return Err(Errno(libc::ELOOP).into()),
        libc::S_IFREG => {}
        _ => return Err(Errno(libc::EACCES).into()),
    }
    if object.stat.mode & 0o111 == 0 {
        return Err(Errno(libc::EACCES).into());
    }
    let file = readable(errand, object)?;
    let mut bytes = [0_u8; script::HEAD_BYTES];
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) => return Err(Errno::from(error).into()),
        }
    }
    Ok(Head::of(bytes.get(..length).unwrap_or_default()))
}

/// Opens the program as the caller could. Whoever runs what it may not read becomes unreadable itself: nothing of it could be decided.
fn readable(errand: &Errand<'_>, object: &Object) -> Result<std::fs::File, Stop> {
    let magic = files::magic(object.file.as_fd());
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = errand.as_caller(|| Ok(files::open_at(errand.caller.ground.own.as_fd(), magic.as_c_str(), flags, 0)))?;
    match opened {
        Ok(file) => Ok(file.into()),
        Err(Errno(libc::EACCES | libc::EPERM)) => Err(Stop::Refused {
            reached: Reached::Path(object.name.bytes().to_vec()),
            errno: libc::EACCES,
            because: "a program that its user may not read cannot be held to a policy",
        }),
        Err(error) => Err(error.into()),
    }
}

fn observed(session: &Session, image: &Image, directory: &[u8]) -> Observed {
    let path = image.object.name.bytes();
    let inode = Inode { device: image.object.stat.device, number: image.object.stat.inode };
    let act = act(path, &session.mounts.aliases(path), Some(inode), &image.arguments, directory);
    Observed { origin: Some(session.made.origin(inode, image.object.file.as_fd())), ..act }
}

fn act(path: &[u8], aliases: &[Vec<u8>], inode: Option<Inode>, arguments: &[Vec<u8>], directory: &[u8]) -> Observed {
    let many = |texts: &[Vec<u8>]| texts.iter().cloned().map(Bytes).collect();
    let target = Target::Exec {
        path: Bytes(path.to_vec()),
        aliases: many(aliases),
        inode,
        arguments: many(arguments),
        directory: Bytes(directory.to_vec()),
    };
    Observed::new(Verb::ProcessExec, target)
}

/// Lets the kernel go on under trace. The receiver is blocked while the kernel loads the program.
fn enact(errand: &Errand<'_>, pending: Pending, decided: Decided<'_>) -> Answered {
    let (call, session) = (errand.call, errand.session);
    let Decided { images, instead, leaves } = decided;
    for image in &images {
        // Whoever wrote it may have closed it just now.
        session.handovers.settle(crate::door::act::inode(&image.object.stat));
    }
    let Some(program) = images.last() else { return pending.errno(libc::EACCES) };
    let Ok(_room) = session.room_for_a_moment(call) else {
        done(leaves, libc::EAGAIN);
        return pending.errno(libc::EAGAIN);
    };
    let expected = Expected { program: &program.object, arguments: block(&program.arguments) };
    let replacement = match instead.as_ref().map(|instead| (instead, instead.images.last())) {
        None => None,
        Some((instead, Some(program))) => {
            let expected = Expected { program: &program.object, arguments: block(&program.arguments) };
            Some(Replacement { arguments: &instead.arguments, expected, starting: &session.starting })
        }
        Some((_, None)) => {
            done(leaves, libc::EACCES);
            return pending.errno(libc::EACCES);
        }
    };
    match Traced::seize(call, &expected, || session.still_waits(call)) {
        Ok(Some(traced)) => {
            let (answered, outcome) = pending.hand_to(traced.replaced_by(replacement));
            note(session, program, leaves, outcome);
            answered
        }
        Ok(None) => pending.errno(libc::EACCES),
        Err(errno) => {
            let act = act(program.object.name.bytes(), &[], None, &program.arguments, b"/");
            session.line.refuse(call, act, "it is traced by somebody else already");
            done(leaves, errno);
            pending.errno(libc::EACCES)
        }
    }
}

/// Arguments as the kernel lays them out.
fn block(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut block = Vec::new();
    for argument in arguments {
        block.extend(argument);
        block.push(0);
    }
    block
}

/// Notes what came of it.
fn note(session: &Session, program: &Image, leaves: Vec<Leave<'_>>, outcome: ExecEnd) {
    match outcome {
        ExecEnd::Committed => done(leaves, 0),
        ExecEnd::Failed(errno) => done(leaves, errno),
        ExecEnd::Lost(found) => {
            lost(session, program, &found);
            done(leaves, libc::EACCES);
        }
        // Dropped, the leaves say that nobody knows.
        ExecEnd::Gone => {}
    }
}

fn lost(session: &Session, program: &Image, found: &Found) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes)).into_owned();
    let split = |block: &[u8]| block.split(|byte| *byte == 0).take(64).map(text).collect::<Vec<_>>();
    let record = json!({
        "type": "race.lost",
        "action": {"verb": "process.exec", "path": text(program.object.name.bytes()),
                   "arguments": program.arguments.iter().take(64).map(|argument| text(argument)).collect::<Vec<_>>()},
        "found": {"path": text(&found.program), "arguments": split(&found.arguments)},
    });
    // A record that cannot be written poisons the line; the process is dead already.
    let _poisoned = session.line.record(RecordClass::Ordered, record);
}
