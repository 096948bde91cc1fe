"""The loop of `interlock run`: supervisor, terminal, signals and questions, one thread, nothing awaited without the
others.

It moves messages and bytes. It decides nothing, knows no policy, and turns every loss (a dead supervisor, a protocol
fault) into an
outcome that its caller must report as a failure.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from interlock.host.error_lines import ErrorLines
from interlock.host.signals import FORWARDED, Signals, stop_self
from interlock.host.supervisor import more_seconds_to_start
from interlock.vocabulary.errors import EXIT_FAILED, PeerError
from interlock.vocabulary.supervision import (
    Asked,
    ContextTaken,
    Denied,
    Ended,
    Ending,
    Exited,
    Failed,
    Started,
    Steered,
    Suppressed,
    Told,
    Unkept,
    Withdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.host.ports import Asker, Face
    from interlock.host.prompt import PromptChannel
    from interlock.host.proxy import Proxy
    from interlock.host.supervisor import Supervisor
    from interlock.vocabulary.question import Meant

#: From the launch to `started` or `failed`: the self-test inside the jail lies between. The time in which a human is
#: asked about the command itself does not count.
START_SECONDS_MAX: Final = 30.0
#: From `exited` to the next word: `ended`, when the log is closed and signed, or `ending` while that takes longer.
END_SECONDS_MAX: Final = 15.0
#: Questions are looked up this often while one is open; otherwise the loop wakes rarely, to follow the terminal.
POLL_MS: Final = 50
_IDLE_MS: Final = 500
_OUTCOMES: Final[Mapping[Meant, str]] = {
    "once": "approved, once",
    "session": "approved, for the session",
    "no": "denied",
}
#: Notices that wait for a moment to be shown; more are counted.
_NOTICES_MAX: Final = 50


class Course(NamedTuple):
    """How a session went, for the caller to report. `trouble` is set when Interlock failed and not the command; then
    `left` says whether processes of the session may still run.
    """

    failed: Failed | None = None
    started: Started | None = None
    exited: Exited | None = None
    ended: Ended | None = None
    trouble: str | None = None
    left: bool = False


class Loop:
    """Runs one launched session to its end. Use once."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        face: Face,
        asker: Asker,
        proxy: Proxy | None,
        prompts: PromptChannel | None,
        signals: Signals,
        keep: bool,
    ) -> None:
        self._supervisor = supervisor
        self._channel = supervisor.channel
        self._face = face
        self._asker = asker
        self._proxy = proxy
        self._prompts = prompts
        self._signals = signals
        self._keep = keep
        self._course = Course()
        self._errors = ErrorLines()
        self._notices: list[str] = []
        self._unshown = 0
        self._deadline: float | None = _start_deadline()
        self._done = False

    def run(self) -> Course:
        """Until the session ended, was released, or was lost. The terminal is given back whatever happens."""
        try:
            if self._proxy is not None:
                self._proxy.enter()
            while not self._done:
                self._turn()
        except PeerError as error:
            self._lose(str(error))
        finally:
            self._finish()
        return self._course

    def _turn(self) -> None:
        ready = self._wait()
        if self._signals.fileno() in ready:
            self._take_signals()
        if self._prompts is not None and self._prompts.fileno() in ready and self._prompts.current is not None:
            self._read_prompt()
        if self._channel.fileno() in ready:
            self._take_messages()
        if self._proxy is not None:
            for descriptor in ready:
                self._proxy.handle(descriptor)
            self._proxy.follow_mode()
            if self._proxy.suspend_wanted:
                self._proxy.suspend_wanted = False
                self._suspend()
        self._serve_questions()
        self._show_notices(force=False)
        self._watch_deadline()

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        poll.register(self._signals.fileno(), select.POLLIN)
        if self._proxy is not None:
            for descriptor, events in self._proxy.interests():
                poll.register(descriptor, events)
        if self._prompts is not None and self._prompts.current is not None:
            poll.register(self._prompts.fileno(), select.POLLIN)
        soon = self._asker.waiting or self._notices or self._deadline is not None
        return {descriptor for descriptor, _ in poll.poll(POLL_MS if soon else _IDLE_MS)}

    # --- the supervisor's messages

    def _take_messages(self) -> None:
        for told in self._channel.receive():
            self._take(told)
        if self._channel.closed and not self._done:
            self._lose("the supervisor ended unexpectedly")

    def _take(self, told: Told) -> None:
        match told:
            case Denied():
                self._note(self._face.denied(told))
            case Steered():
                self._note(self._face.steered(told))
            case Unkept():
                self._note(self._face.unkept(told))
            case Suppressed():
                self._face.suppressed(told)
            case Asked():
                self._asker.ask(told)
                if self._asker.is_open(told.id) and (self._prompts is None or not self._prompts.is_ours):
                    self._note(self._face.question_waits(told))
            case Withdrawn():
                self._asker.withdrawn(told)
            case ContextTaken():
                return
            case Started() | Failed() | Exited() | Ending() | Ended():
                self._goes_on(told)
            case _:
                assert_never(told)

    def _goes_on(self, told: Started | Failed | Exited | Ending | Ended) -> None:
        match told:
            case Started():
                self._course = self._course._replace(started=told)
                self._deadline = None
                self._note(self._face.started(told))
                if self._proxy is not None:
                    self._proxy.leader = told.process
            case Failed():
                self._course = self._course._replace(failed=told)
                self._done = True
            case Exited():
                self._exited(told)
            case Ending():
                # A session that changed very much takes long to look through: it is waited for while it says so.
                self._deadline = time.monotonic() + END_SECONDS_MAX
                self._note(self._face.ending())
            case Ended():
                self._course = self._course._replace(ended=told)
                self._done = True
                if told.code == EXIT_FAILED:
                    self._lose(told.reason)

    def _exited(self, exited: Exited) -> None:
        self._course = self._course._replace(exited=exited)
        if exited.running and self._keep:
            self._channel.send({"type": "release"})
            self._done = True
        else:
            self._deadline = time.monotonic() + END_SECONDS_MAX

    # --- questions

    def _serve_questions(self) -> None:
        if not self._asker.waiting and (self._prompts is None or self._prompts.current is None):
            return
        for answer in self._asker.answers():
            self._channel.send(answer.message())
        if self._prompts is None:
            return
        current = self._prompts.current
        if current is not None and not self._asker.is_open(current.id):
            self._close_prompt("\nsettled elsewhere, or too late")
        if (
            self._prompts.current is None
            and self._prompts.is_ours
            and (prompt := self._asker.next_prompt()) is not None
        ):
            if self._proxy is not None:
                self._proxy.hold()
            if not self._prompts.open(prompt) and self._proxy is not None:
                self._proxy.release()

    def _read_prompt(self) -> None:
        if self._prompts is None or self._prompts.current is None:
            return
        identity = self._prompts.current.id
        meant = self._prompts.read()
        if meant is None:
            return
        self._asker.decide(identity, meant=meant, reason=None)
        self._close_prompt(_OUTCOMES[meant])

    def _close_prompt(self, outcome: str) -> None:
        if self._prompts is not None and self._prompts.current is not None:
            self._prompts.close(outcome)
            if self._proxy is not None:
                self._proxy.release()

    # --- signals

    def _take_signals(self) -> None:
        for number in self._signals.taken():
            if number == signal.SIGWINCH and self._proxy is not None:
                self._proxy.pair.copy_size()
            elif number == signal.SIGCONT and self._proxy is not None and not self._prompting:
                self._proxy.enter()
            elif number == signal.SIGTSTP:
                self._suspend()
            elif number == signal.SIGINT and self._prompting:
                self._interrupt_prompt()
            elif number in FORWARDED:
                self._channel.send({"type": "signal", "signal": number})

    def _interrupt_prompt(self) -> None:
        """^C at a prompt is a no to the question, and no more."""
        if self._prompts is not None and self._prompts.current is not None:
            self._asker.decide(self._prompts.current.id, meant="no", reason="interrupted")
            self._close_prompt("\ndenied")

    @property
    def _prompting(self) -> bool:
        return self._prompts is not None and self._prompts.current is not None

    def _suspend(self) -> None:
        """Job control for the whole: stop the command, give the terminal back, stop; and all of it in reverse when
        continued.
        """
        self._channel.send({"type": "signal", "signal": int(signal.SIGSTOP)})
        if self._prompts is not None and self._prompts.current is not None:
            self._prompts.close("\nstopped; the question stays open")
            if self._proxy is not None:
                self._proxy.release()
        if self._proxy is not None:
            self._proxy.leave()
        stop_self()
        if self._proxy is not None:
            self._proxy.enter()
        self._channel.send({"type": "signal", "signal": int(signal.SIGCONT)})

    # --- notices

    def _note(self, line: str | None) -> None:
        if line is None:
            return
        if len(self._notices) >= _NOTICES_MAX:
            self._unshown += 1
            return
        self._notices.append(line)

    def _show_notices(self, *, force: bool) -> None:
        if not self._notices or (self._prompting and not force):
            return
        if self._proxy is not None and os.isatty(2):
            if not force and not self._proxy.can_write_lines():
                return
            self._proxy.write_lines(self._taken_notices(), force=force)
        elif force or self._errors.can_write_lines():
            self._errors.write_lines(self._taken_notices())

    def _taken_notices(self) -> list[str]:
        lines, self._notices = self._notices, []
        if self._unshown:
            lines.append(f"interlock: {self._unshown} more denials not shown; see: interlock why")
            self._unshown = 0
        return lines

    # --- the end

    def _watch_deadline(self) -> None:
        if self._course.started is None and self._asker.waiting:
            self._deadline = _start_deadline()
        if self._deadline is not None and time.monotonic() > self._deadline and not self._done:
            where = "start" if self._course.started is None else "end"
            self._lose(f"the supervisor did not {where} the session in time")

    def _lose(self, trouble: str) -> None:
        self._course = self._course._replace(trouble=trouble)
        self._done = True

    def _finish(self) -> None:
        self._asker.close()
        if self._prompting and self._prompts is not None:
            self._prompts.close("\nthe session ended")
        if self._proxy is not None:
            self._proxy.drain()
            self._show_notices(force=True)
            self._proxy.leave()
        else:
            self._show_notices(force=True)
        self._channel.close()


def _start_deadline() -> float:
    return time.monotonic() + START_SECONDS_MAX + more_seconds_to_start(os.environ)
