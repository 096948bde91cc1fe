"""`interlock run`, wired: policy, program, session, supervisor, terminal, inbox, loop. It decides nothing and words
nothing.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.app.journal_place import journal_place
from interlock.app.key_agent import Keys, open_keys
from interlock.app.own_layers import own_layers
from interlock.host.descriptors import open_standard_descriptors
from interlock.host.executable import find_supervisor
from interlock.host.host_names import forget_names
from interlock.host.launch import Launch, jail_environment
from interlock.host.program import find_program
from interlock.policy.context import temporaries
from interlock.policy.place import begin_walk
from interlock.storage.home import SOCKET_PATH_BYTES_MAX, Home, user_home
from interlock.storage.runtime import clear, clear_leftovers, clear_sockets, hold
from interlock.storage.temporary import Temporary, choose
from interlock.surroundings.git_excludes import excludes, with_excludes
from interlock.surroundings.own_paths import own_paths
from interlock.surroundings.private_places import private_places
from interlock.surroundings.repository import kept, submodules, top_around
from interlock.surroundings.workspace import too_wide
from interlock.vocabulary.errors import EXIT_REFUSED, HostError, OperatorError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from interlock._native import Walk
    from interlock.app.policies import Loaded
    from interlock.host.launch import GatewayAt, Journal
    from interlock.host.loop import Course
    from interlock.host.ports import Asker, Face
    from interlock.surroundings.private_places import PrivatePlace

DEFAULT_PRESET: Final = "coding-agent"
#: Presets for places where nobody is there to answer, and nothing may outlive the command.
HEADLESS_PRESETS: Final = frozenset({"ci"})
#: What is left of killed sessions after this is left to the next start.
_CLEARING_SECONDS_MAX: Final = 2.0
#: What a session is called that left no name in the environment.
_UNNAMED: Final = "(unnamed)"


class SessionWanted(NamedTuple):
    """What the person asked for. None is "not said"."""

    command: Sequence[str]
    policies: Sequence[str] = ()
    preset: str | None = None
    workspace: str | None = None
    agent: str | None = None
    end: str | None = None
    ask: bool = True
    share: Sequence[str] = ()
    #: Bytes of what was there before that are kept; None keeps nothing.
    journal_bytes: int | None = None

    @property
    def says_policy(self) -> bool:
        """Whether anything was asked for that a nested run could not honour."""
        return bool(
            self.policies or self.preset or self.workspace or self.agent or self.end or not self.ask or self.share
        )

    @property
    def is_headless(self) -> bool:
        """Whether questions are denials at once."""
        return not self.ask or self.preset in HEADLESS_PRESETS

    @property
    def end_policy(self) -> str:
        """What becomes of processes that outlive the command: `keep` or `kill`."""
        return self.end or ("kill" if self.preset in HEADLESS_PRESETS else "keep")


class Ran(NamedTuple):
    """A session that ran: its id, where, how it went, and whether what was there before it is kept."""

    session: str
    workspace: str
    course: Course
    keeps_before: bool = False


def run_session(wanted: SessionWanted, face: Face) -> Ran:
    """Run the command in a session of its own, to its end.

    Raises `OperatorError` (126, 127, 121, 120) and `HostError` before anything ran; afterwards everything is in the
    course.
    """
    closed = open_standard_descriptors()
    environment = dict(os.environ)
    directory = _current_directory()
    program = find_program(wanted.command[0], environment=environment, directory=directory)
    supervisor = find_supervisor()
    home = Home.from_environment()
    session = _new_session()
    runtime = home.session_runtime(session)
    _check_socket_path(f"{runtime}/control.sock")
    workspace = _workspace(wanted.workspace, directory, face)
    walk = begin_walk(workspace, kept=home.cache)
    own = own_paths(environment, supervisor=supervisor)
    human_home = user_home()
    home.ensure(home.config, home.cache, home.runtime, home.keys, home.index, home.sessions)
    _note_remotes(home, workspace)
    temporary = choose(temporaries(environment))
    policy = _policy(
        wanted, home, runtime=runtime, human_home=human_home, workspace=workspace, own=own, temporary=temporary.folder,
        walk=walk,
    )  # fmt: skip
    face.begins(policy.layers, workspace, directory, policy.untold)
    _warn(policy, face)
    held = hold(home, session, temporary=temporary.top)
    keys = partial(open_keys, policy.document, runtime=runtime, human_home=human_home, environment=environment)
    identity = _made(wanted, home, session, temporary, held, keys)
    launch = partial(
        Launch,
        session=session, command=wanted.command, program=program,
        environment=jail_environment(
            environment,
            session=session,
            inside=f"{runtime}/inside.sock",
            extra=temporary.environment() | _git_excludes(policy, temporary, human_home) | dict(identity.environment),
        ),
        directory=directory, workspace=workspace, home=human_home,
        policy=policy.document,
        runs_later={**policy.runs_later, "passing": [temporary.top]},
        repository=kept(workspace),
        submodules=submodules(workspace),
        sources=policy.sources,
        short=policy.enforcement,
        own_layers={layer.name: layer.path for layer in own_layers(home, workspace)},
        human=f"uid:{os.getuid()}",
        runtime=runtime,
        ledger={"directory": f"{home.sessions}/{session}", "index": home.index, "keys": home.keys},
        end=wanted.end_policy,
        agent=identity.agent,
        gateway=identity.gateway,
        journal=_journal(wanted, home, session, human_home=human_home, workspace=workspace, temporary=temporary.top),
        keys=identity.keys,
    )  # fmt: skip
    clearing: list[threading.Thread] = []
    try:
        course = _supervised(
            supervisor, launch, face=face, asker=_asker(home, session, wanted), headless=wanted.is_headless,
            closed=closed, own=own, meanwhile=lambda: clearing.append(_clear_up(home)),
        )  # fmt: skip
        return Ran(session, workspace, _noted(course, home), keeps_before=wanted.journal_bytes is not None)
    finally:
        identity.end()
        os.close(held)
        for thread in clearing:
            thread.join(_CLEARING_SECONDS_MAX)
        clear(home, session)  # a supervisor that goes on without us holds it, and takes it away itself


def _noted(course: Course, home: Home) -> Course:
    """A start that failed may have relied on what was kept of this machine: the next one tries it."""
    if course.failed is not None:
        forget_names(home.cache)
    return course


def _warn(policy: Loaded, face: Face) -> None:
    for warning in policy.warnings:
        face.warn(warning)


def _journal(
    wanted: SessionWanted, home: Home, session: str, *, human_home: str, workspace: str, temporary: str
) -> Journal | None:
    if wanted.journal_bytes is None:
        return None
    return journal_place(
        home, session, bytes_max=wanted.journal_bytes, human_home=human_home, workspace=workspace, temporary=temporary
    )


def outer_session() -> str | None:
    """The session that holds this process, as the kernel says it; None outside every session. Its id is what the
    environment calls it: no more than a name.
    """
    from interlock.host.inside import is_held

    return (os.environ.get("INTERLOCK_SESSION") or _UNNAMED) if is_held() else None


def run_nested(wanted: SessionWanted, session: str) -> None:
    """Run the command under the session that already holds this process: it replaces this process.

    Raises `OperatorError` (124) when something was asked for that the outer session would have to change.
    """
    if wanted.says_policy:
        raise OperatorError(
            f"already inside session `{session}`, and a nested run cannot set a policy of its own",
            hint="leave the options out to run under the outer policy, or start it from outside",
            exit_code=EXIT_REFUSED,
        )
    program = find_program(wanted.command[0], environment=os.environ, directory=_current_directory())
    os.execv(program, list(wanted.command))  # noqa: S606 - to replace this process is the point


def _supervised(
    executable: str,
    launch: partial[Launch],
    *,
    face: Face,
    asker: Asker,
    headless: bool,
    closed: frozenset[int],
    own: Sequence[str],
    meanwhile: Callable[[], object],
) -> Course:
    """`launch` lacks only what belongs to the terminal. `meanwhile` is done while the supervisor builds the jail, where
    it costs nobody time.
    """
    from interlock.app.session_terminal import SessionTerminal
    from interlock.host.loop import Loop
    from interlock.host.orphans import Orphans
    from interlock.host.signals import Signals
    from interlock.host.supervisor import start_supervisor

    signals = Signals()
    signals.install()
    try:
        orphans = Orphans()
        terminal = SessionTerminal(prompts=not headless, closed=closed)
        supervisor = start_supervisor(executable, inherited=terminal.inherited)
        terminal.close_handed_on()
        whole = launch(stdio=terminal.stdio, terminal=terminal.is_terminal)
        whole = whole._replace(private_places=_private_places(whole, own))
        supervisor.channel.send(whole.message())
        meanwhile()
        loop = Loop(
            supervisor, face=face, asker=asker, proxy=terminal.proxy, prompts=terminal.prompts, signals=signals,
            keep=whole.end == "keep",
        )  # fmt: skip
        course = loop.run()
        if course.ended is not None or course.failed is not None:
            supervisor.reap(wait=True)
        return course if course.trouble is None else course._replace(left=not orphans.end())
    finally:
        signals.remove()


def _private_places(launch: Launch, own: Sequence[str]) -> Sequence[PrivatePlace]:
    """What of /tmp and its like the session and its supervisor stand on is kept, and what command and settings name."""
    paths = [launch.directory, launch.workspace, launch.home, launch.runtime, launch.program]
    paths += [launch.environment["TMPDIR"], *launch.ledger.values()]
    return private_places(
        launch.policy, needed=paths, known=own, words=launch.command, settings=launch.environment.values(),
        directory=launch.directory,
    )  # fmt: skip


def _clear_up(home: Home) -> threading.Thread:
    """What killed sessions left: sockets at once, folders beside the session."""
    import threading

    clear_sockets(home)
    thread = threading.Thread(target=_clear_all, args=(home,), daemon=True)
    thread.start()
    return thread


def _clear_all(home: Home) -> None:
    from interlock.storage.journal import clear_old

    clear_leftovers(home)
    clear_old(home.journals, now_s=time.time())


def _made(
    wanted: SessionWanted, home: Home, session: str, temporary: Temporary, held: int, keys: Callable[[], Keys]
) -> _Identity:
    """The session's temporary folder, its key agent and its identity, or nothing of them."""
    try:
        temporary.make()
        agent = keys()
        try:
            return _with_keys(_identity(wanted.agent, home, session), agent)
        except BaseException:
            agent.end()
            raise
    except BaseException:
        os.close(held)
        clear(home, session)
        raise


def _git_excludes(policy: Loaded, temporary: Temporary, human_home: str) -> dict[str, str]:
    """The variables by which git leaves out what the session may not read; the file of them is the session's own."""
    text = excludes(policy.document, os.environ, human_home)
    if text is None:
        return {}
    path = f"{temporary.folder}/git-excludes"
    with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return with_excludes(os.environ, path)


def _policy(
    wanted: SessionWanted,
    home: Home,
    *,
    runtime: str,
    human_home: str,
    workspace: str,
    own: Sequence[str],
    temporary: str,
    walk: Walk | None,
) -> Loaded:
    from interlock.app.policies import compiled

    generated = []
    if wanted.share:
        from interlock.app.sharing import share_layer

        generated.append(("share.yaml", share_layer(wanted.share)))
    if wanted.agent is not None:
        from interlock.app.agent_session import gateway_layer

        generated.append(("agent-gateway.yaml", gateway_layer(home)))
    return compiled(
        files=wanted.policies,
        preset=wanted.preset or (None if wanted.policies else DEFAULT_PRESET),
        home=home,
        session_directory=runtime,
        human_home=human_home,
        workspace=workspace,
        own=own,
        generated=generated,
        temporary=temporary,
        walk=walk,
        meanwhile=_import_the_rest,
    )


def _import_the_rest() -> None:
    """What is needed once the policy is there: importing it costs nobody time while the machine is asked for names."""
    import threading  # noqa: F401

    import interlock.app.session_terminal
    import interlock.approvals.asker
    import interlock.approvals.phrase
    import interlock.host.loop
    import interlock.host.orphans
    import interlock.host.supervisor  # noqa: F401


def _asker(home: Home, session: str, wanted: SessionWanted) -> Asker:
    from interlock.approvals.asker import InboxAsker
    from interlock.approvals.phrase import phrase_of

    return InboxAsker(
        inbox=home.inbox,
        session=session,
        agent=wanted.agent,
        phrase=lambda: phrase_of(home.phrase),
        headless=wanted.is_headless,
    )


class _Identity(NamedTuple):
    agent: Mapping[str, str] | None
    environment: Mapping[str, str]
    gateway: GatewayAt
    end: Callable[[], None]
    keys: Mapping[str, str] | None = None


def _with_keys(identity: _Identity, keys: Keys) -> _Identity:
    def end() -> None:
        keys.end()
        identity.end()

    return identity._replace(environment={**identity.environment, **keys.environment}, keys=keys.place, end=end)


def _identity(agent: str | None, home: Home, session: str) -> _Identity:
    if agent is None:
        # Its connections are attested as well: a token of the user's is worth nothing in any session.
        return _Identity(None, {}, {"socket": home.gateway_socket}, lambda: None)
    from interlock.app.agent_session import open_agent_session

    opened = open_agent_session(agent, home=home, session=session)
    return _Identity({"name": agent, "assurance": "authenticated"}, opened.environment, opened.gateway, opened.end)


def _new_session() -> str:
    from interlock.vocabulary.ids import session_id

    return session_id(now_s=time.time(), random=os.urandom(3))


def _current_directory() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise OperatorError("the current directory no longer exists", hint="change to one that does") from error


def _workspace(asked: str | None, directory: str, face: Face) -> str:
    """Where the command works: the folder that was named, or the repository around the directory. What nobody named is
    kept within bounds; what is named and wider is told.
    """
    here = os.path.realpath(os.path.join(directory, asked) if asked else directory)
    workspace = here if asked else top_around(here, os.environ)
    if not os.path.isdir(workspace):
        raise OperatorError(f"workspace `{workspace}` is not a directory")
    if workspace == "/":
        raise OperatorError(
            "the workspace would be `/`, the whole machine", hint="change to the project, or use --workspace DIR"
        )
    wide = too_wide(workspace, os.environ)
    if wide is not None and not asked:
        raise OperatorError(
            f"the workspace would be {wide}",
            hint=f"change to the project, or name it: --workspace DIR (if you mean all of it: --workspace {workspace})",
        )
    if wide is not None:
        face.warn(f"the workspace is {wide}: all in it that no rule denies is open to the command")
    return workspace


def _note_remotes(home: Home, workspace: str) -> None:
    """What the command writes into its repository's configuration is not believed by the next session."""
    if not os.path.lexists(home.remotes_of(workspace)):
        from interlock.app.known_remotes import begin

        begin(home, workspace)


def _check_socket_path(path: str) -> None:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise HostError(
            f"`{path}` is longer than a socket's name may be ({SOCKET_PATH_BYTES_MAX} bytes)",
            hint="set INTERLOCK_HOME or XDG_RUNTIME_DIR to a shorter path",
        )
