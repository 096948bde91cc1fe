"""Starts stdio servers inside the host plane: a session of its own with preset `mcp-server`, an empty home, no
human's environment.

Implements `connectors.launch`. A supervisor that does not answer, refuses or dies is a server that does not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from interlock.app.connector_references import fault_of
from interlock.app.gateway_policy import server_policy
from interlock.app.handed_pipe import HandedPipe
from interlock.app.server_bounds import IDLE_LOOK_S, LOOK_S, Bounds
from interlock.connectors import package
from interlock.connectors.configuration import Stdio
from interlock.connectors.launch import LastWords, LaunchFailed
from interlock.host.executable import find_supervisor
from interlock.host.launch import Launch
from interlock.host.program import find_program
from interlock.host.supervisor import Supervisor, start_supervisor
from interlock.storage.home import Home
from interlock.storage.runtime import clear, hold
from interlock.surroundings.own_paths import own_paths
from interlock.surroundings.private_places import private_places
from interlock.vocabulary import words
from interlock.vocabulary.errors import InterlockError
from interlock.vocabulary.ids import session_id
from interlock.vocabulary.json_text import TEXT_BYTES_MAX, JsonObject
from interlock.vocabulary.supervision import (
    Answered,
    Asked,
    ContextTaken,
    Denied,
    Ended,
    Exited,
    Failed,
    Started,
    Told,
)

START_S_MAX: Final = 20.0
END_S_MAX: Final = 5.0
#: For the folder of its sockets to be cleared: other servers that start meanwhile hold it for a moment.
CLEARED_S_MAX: Final = 2.0
LAST_WORDS_BYTES: Final = 4_096
#: From the end of a server's output to the end of its errors and its status.
WORDS_S_MAX: Final = 0.5
#: A server that writes errors without end is read no faster than this allows.
ERRORS_PAUSE_S: Final = 0.01
DENIALS_KEPT: Final = 3
#: Looks at its limits, one after the other, from the beginning of a call.
WORKING_LOOKS: Final = 5
#: A server line may be as long as a message, and its newline.
LINE_BYTES_MAX: Final = TEXT_BYTES_MAX + 1_024
SERVER_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: A launcher that fetches packages waits minutes for a network that is not there. With these it fails at once.
_WITHOUT_NETWORK: Final = {"NPM_CONFIG_OFFLINE": "true", "UV_OFFLINE": "1"}


class SupervisedServer:
    """One started server and its supervisor. See `connectors.launch.Running`."""

    def __init__(
        self, supervisor: Supervisor, session: str, let_go: Callable[[], None], look: Callable[[], str | None]
    ) -> None:
        """`let_go` takes away what was made for it, `look` says which limit it is beyond, if it is."""
        self.session = session
        self._look = look
        self._over: str | None = None
        self._works = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self.process = 0
        self.output: asyncio.StreamReader
        self.input: asyncio.StreamWriter
        self._supervisor = supervisor
        self._let_go = let_go
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[int] = self._loop.create_future()
        self._unacknowledged: deque[asyncio.Future[None]] = deque()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._exited: asyncio.Future[str] = self._loop.create_future()
        self._words: deque[str] = deque(maxlen=DENIALS_KEPT)
        self._errors = b""
        self._error_reader: asyncio.Task[None] | None = None
        self._pipes: list[asyncio.BaseTransport] = []
        self._reaped = False
        self._loop.add_reader(supervisor.channel.fileno(), self._hear)

    async def launched(self, launch: JsonObject, pipes: _Pipes) -> None:
        """Send the launch and wait until the command runs. Raises `LaunchFailed`; whatever it raises, nothing runs."""
        try:
            self._supervisor.channel.send(launch)
            pipes.close_theirs()
            async with asyncio.timeout(START_S_MAX):
                self.process = await asyncio.shield(self._started)
            self.output, self.input, errors = await pipes.connected(self._pipes)
        except TimeoutError as error:
            await self.end()
            raise LaunchFailed(f"its supervisor did not start it within {START_S_MAX:g} s") from error
        except InterlockError as error:
            await self.end()
            raise LaunchFailed(str(error)) from error
        except BaseException:
            await asyncio.shield(self.end())
            raise
        self._error_reader = asyncio.create_task(self._read_errors(errors))
        self._watch = asyncio.create_task(self._bounded())

    @property
    def denied(self) -> tuple[str, ...]:
        """See `Running`."""
        return tuple(self._words)

    def context(self, parent: str | None) -> asyncio.Future[None]:
        """See `Running`. They are acknowledged in the order in which they are told."""
        if self._ended.done():
            raise EOFError("the supervisor has ended")
        if parent is not None:
            self._works.set()
        self._send({"type": "context", "parent": parent, "trace": None})
        taken: asyncio.Future[None] = self._loop.create_future()
        taken.add_done_callback(_looked_at)
        self._unacknowledged.append(taken)
        return taken

    async def end(self) -> None:
        """See `Running`. Closing the control channel ends the tree even if the supervisor does not listen any more."""
        if self._reaped:
            return
        self._reaped = True
        with contextlib.suppress(OSError):
            self._send({"type": "end"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S_MAX):
                await asyncio.shield(self._ended)
        self._loop.remove_reader(self._supervisor.channel.fileno())
        self._supervisor.channel.close()
        for task in (self._error_reader, self._watch):
            if task is not None:
                task.cancel()
        for pipe in self._pipes:  # the end of what is read closes nothing: loops differ there
            pipe.close()
        await asyncio.to_thread(self._supervisor.reap, wait=True)
        await asyncio.to_thread(self._let_go)

    async def last_words(self) -> LastWords:
        """See `Running`: what it wrote to standard error, and its status."""
        if self.output.at_eof() and self._error_reader is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORDS_S_MAX):
                    await asyncio.shield(self._exited)
                    await asyncio.shield(self._error_reader)
        text = self._errors.decode("utf-8", "replace").strip()
        if self._over is not None:
            return LastWords(f"because Interlock ended it: {self._over}", text)
        return LastWords(self._exited.result() if self._exited.done() else "", text)

    async def _bounded(self) -> None:
        """Look at it by turns, more often while it works on something; end it once it is beyond a limit."""
        while not self._ended.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_LOOK_S):
                    await self._works.wait()
            looks = WORKING_LOOKS if self._works.is_set() else 1
            self._works.clear()
            for _ in range(looks):
                await asyncio.sleep(LOOK_S)
                self._over = await asyncio.to_thread(self._look)
                if self._over is not None:
                    with contextlib.suppress(OSError):
                        self._send({"type": "end"})
                    return

    def _send(self, message: JsonObject) -> None:
        try:
            self._supervisor.channel.send(message)
        except InterlockError as error:
            raise OSError(str(error)) from error

    def _hear(self) -> None:
        try:
            arrived = self._supervisor.channel.receive()
        except InterlockError:
            arrived = []
            self._supervisor.channel.closed = True
        for told in arrived:
            self._take(told)
        if self._supervisor.channel.closed:
            self._loop.remove_reader(self._supervisor.channel.fileno())
            self._fail("its supervisor ended")
            if not self._ended.done():
                self._ended.set_result(None)

    def _take(self, told: Told) -> None:
        match told:
            case Started(process) if not self._started.done():
                self._started.set_result(process)
            case Failed(_, message, hint):
                self._fail(f"{message} ({hint or 'no hint'})")
            case ContextTaken() if self._unacknowledged:
                taken = self._unacknowledged.popleft()
                if not taken.done():  # else nobody waited so long
                    taken.set_result(None)
            case Asked(identity):
                with contextlib.suppress(OSError):
                    self._send(Answered(identity, "a tool server's question is not put to a human").message())
            case Denied(action, decision):
                denial = f"{words.act(action)} ({words.reason(decision.get('rules'), None)})"
                if denial not in self._words:
                    self._words.append(denial)
            case Exited(code, number) if not self._exited.done():
                self._exited.set_result(f"by signal {number}" if number else f"with status {code}")
            case Ended() if not self._ended.done():
                self._ended.set_result(None)

    def _fail(self, why: str) -> None:
        if not self._started.done():
            self._started.set_exception(LaunchFailed(why))
        for taken in self._unacknowledged:
            if not taken.done():
                taken.set_exception(EOFError(why))
        self._unacknowledged.clear()

    async def _read_errors(self, errors: asyncio.StreamReader) -> None:
        while part := await errors.read(LINE_BYTES_MAX):
            self._errors = (self._errors + part)[-LAST_WORDS_BYTES:]
            await asyncio.sleep(ERRORS_PAUSE_S)


def _looked_at(taken: asyncio.Future[None]) -> None:
    """Whoever does not wait for it is not told of a fault in it either."""
    if not taken.cancelled():
        taken.exception()


class SupervisedLauncher:
    """See `connectors.launch.Launcher`."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def start(self, name: str, server: Stdio, agent: str) -> SupervisedServer:
        """See `Launcher`."""
        try:
            return await self._start(name, server, agent)
        except (InterlockError, OSError) as error:
            raise LaunchFailed(str(error)) from error

    async def _start(self, name: str, stdio: Stdio, agent: str) -> SupervisedServer:
        fault = fault_of(stdio)
        if fault is None and stdio.package is not None:
            fault = await asyncio.to_thread(package.fault_of, stdio.package)
            fault = fault and f"{fault}; `interlock connector update {name}` fetches it anew"
        if fault is not None:
            raise LaunchFailed(fault)
        session = session_id(now_s=time.time(), random=os.urandom(3))
        executable = find_supervisor()
        scratch = tempfile.mkdtemp(prefix=f"interlock-server-{name}-")
        pipes = _Pipes()
        held = None

        def let_go() -> None:
            """What was made for this session; whatever of it a killed gateway leaves, the next one clears."""
            if held is not None:
                os.close(held)
                clear(self._home, session, within_s=CLEARED_S_MAX)
            shutil.rmtree(scratch, ignore_errors=True)

        try:
            self._home.ensure(self._home.config, self._home.cache)
            self._home.ensure(self._home.keys, self._home.index, self._home.sessions)
            held = hold(self._home, session, scratch=scratch)
            message = await asyncio.to_thread(self._launch, session, name, stdio, agent, scratch, pipes, executable)
            supervisor = start_supervisor(executable, inherited=pipes.theirs)
        except BaseException:
            pipes.close()
            await asyncio.shield(asyncio.to_thread(let_go))
            raise
        look = Bounds(self._home.runtime, session, scratch, stdio.limits).exceeded
        server = SupervisedServer(supervisor, session, let_go, look)
        try:
            await server.launched(message, pipes)
        except BaseException:
            pipes.close()
            raise
        return server

    def _launch(
        self, session: str, name: str, stdio: Stdio, agent: str, scratch: str, pipes: _Pipes, executable: str
    ) -> JsonObject:
        environment = {
            "PATH": SERVER_PATH,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",  # its code is not its own to change: it would be denied for each module
            **({} if stdio.policies else _WITHOUT_NETWORK),
            **_modules(stdio),
            "HOME": scratch,
            "TMPDIR": scratch,
            "INTERLOCK_SESSION": session,
            "INTERLOCK_INSIDE": f"{self._home.session_runtime(session)}/inside.sock",
            **stdio.environment,
        }
        workspace = os.path.realpath(stdio.workspace) if stdio.workspace else scratch
        runtime = self._home.session_runtime(session)
        policy = server_policy(stdio, home=self._home, scratch=scratch, workspace=workspace, session_directory=runtime)
        ledger = {"directory": f"{self._home.sessions}/{session}", "index": self._home.index, "keys": self._home.keys}
        launch = Launch(
            session=session,
            command=stdio.command,
            program=find_program(stdio.command[0], environment=environment, directory=workspace),
            environment=environment,
            directory=workspace,
            workspace=workspace,
            home=scratch,
            policy=policy.document(),
            short=policy.enforcement,
            private_places=private_places(
                policy.document(),
                needed=[workspace, scratch, runtime, *ledger.values()],
                known=own_paths(dict(os.environ), supervisor=executable),
                words=stdio.command,
                settings=environment.values(),
                directory=workspace,
            ),
            human=f"uid:{os.getuid()}",
            stdio=pipes.theirs,
            terminal=False,
            runtime=runtime,
            ledger=ledger,
            end="kill",
            agent={"name": f"{agent}/{name}", "assurance": "attested"},
            parent={"session": "gateway"},
            gateway={"socket": self._home.gateway_socket},
        )
        return launch.message()


def _modules(stdio: Stdio) -> dict[str, str]:
    """Where a fetched Python program finds its modules: in its own folder, and not in the user's."""
    found = stdio.package.modules if stdio.package is not None else None
    return {} if found is None else {"PYTHONPATH": found, "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class _Pipes:
    """Three pipes: ours to speak to the server, theirs to hand to it."""

    def __init__(self) -> None:
        self._all: set[int] = set()
        their_input, self._our_input = self._pipe()
        self._our_output, their_output = self._pipe()
        self._our_errors, their_errors = self._pipe()
        self.theirs = (their_input, their_output, their_errors)

    def _pipe(self) -> tuple[int, int]:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._all |= {reading, writing}
        return reading, writing

    def close_theirs(self) -> None:
        """Once the supervisor has them."""
        for descriptor in self.theirs:
            if descriptor in self._all:
                self._all.discard(descriptor)
                os.close(descriptor)

    def close(self) -> None:
        """All that is still ours to close."""
        for descriptor in self._all:
            os.close(descriptor)
        self._all.clear()

    async def connected(
        self, pipes: list[asyncio.BaseTransport]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.StreamReader]:
        """Streams on our ends: the server's output, its input, its errors. What carries them is put into `pipes`, to be
        closed."""
        loop = asyncio.get_running_loop()
        readers: list[asyncio.StreamReader] = []
        for descriptor in (self._our_output, self._our_errors):
            reader = asyncio.StreamReader(limit=LINE_BYTES_MAX, loop=loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            self._all.discard(descriptor)  # it is the loop's now
            read, _ = await loop.connect_read_pipe(lambda protocol=protocol: protocol, HandedPipe(descriptor, loop))  # type: ignore[misc]
            pipes.append(read)
            readers.append(reader)
        self._all.discard(self._our_input)
        handed = HandedPipe(self._our_input, loop)
        write, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, handed)
        pipes.append(write)
        output, errors = readers
        return output, asyncio.StreamWriter(write, flow, None, loop), errors
