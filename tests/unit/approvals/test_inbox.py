"""The inbox: answered once, by the first; a deadline, a dead asker and a full box are denials; a yes covers one act only."""

import asyncio
import itertools
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from interlock.approvals.inbox import PENDING_PER_SESSION_MAX, Inbox, InboxFullError, NotPendingError
from interlock.vocabulary.errors import HostError, OperatorError
from interlock.vocabulary.question import Grant, Question


class Clock:
    now = 1_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def inbox(tmp_path, clock):
    opened = Inbox(str(tmp_path / "inbox.sqlite"), clock_ms=clock)
    yield opened
    opened.close()


NUMBERS = itertools.count(1)


def ask(inbox, *, nonce="1", session="s-1", verb="process.exec", timeout_ms=60_000):
    action = {"id": f"{session}/{nonce}", "verb": verb, "nonce": nonce}
    question = Question(f"q-{next(NUMBERS):08x}", session, "run", None, nonce * 4, action, {}, 0, timeout_ms)
    return inbox.ask(question)


def test_the_file_is_private(inbox, tmp_path):
    ask(inbox)
    for name in os.listdir(tmp_path):
        assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == 0o600, name


def test_a_yes_is_a_grant_for_this_digest_once(inbox, clock):
    question = ask(inbox)
    assert inbox.take(question.id) is None
    inbox.answer(question.id, meant="once", approver="uid:7")
    grant = inbox.take(question.id).grant
    assert grant == Grant(f"g-{question.id[2:]}", "1111", "uid:7", clock.now + 30_000, uses=1)
    with pytest.raises(NotPendingError):
        inbox.take(question.id)


PLACE = {"protocol": "tcp", "address": "198.19.0.1", "port": 443, "to": "outside", "host": "new.example.org"}


def test_a_yes_for_the_session_covers_the_place_that_was_asked_about(inbox, clock):
    action = {"id": "s-1/1", "verb": "net.connect", "target": PLACE, "subject": {"session": "s-1"}}
    question = inbox.ask(Question("q-0000beef", "s-1", "run", None, "1111", action, {}, 0, 60_000))
    inbox.answer(question.id, meant="session", approver="uid:7")
    answer = inbox.take(question.id)
    assert answer.word == "yes" and answer.grant.as_value() == {
        "id": "g-0000beef",
        "digest": "1111",
        "approver": "uid:7",
        "expires_ms": clock.now + 12 * 3_600_000,
        "uses": 1_000_000,
        "reach": {
            "session": "s-1",
            "verb": "net.connect",
            "protocol": "tcp",
            "host": "new.example.org",
            "address": "198.19.0.1",
            "port": 443,
        },
    }


@pytest.mark.parametrize("changes", [{"to": "inside"}, {"protocol": "other"}, None])
def test_what_goes_nowhere_has_no_yes_for_the_session(inbox, changes):
    action = {"id": "s-1/1", "verb": "net.connect", "target": PLACE | (changes or {}), "subject": {"session": "s-1"}}
    if changes is None:
        action = {"id": "s-1/1", "verb": "file.write", "target": {"path": "/w"}, "subject": {"session": "s-1"}}
    question = inbox.ask(Question("q-0000beef", "s-1", "run", None, "1111", action, {}, 0, 60_000))
    with pytest.raises(OperatorError, match="is good once"):
        inbox.answer(question.id, meant="session", approver="uid:7")
    assert inbox.take(question.id) is None


def test_a_no_has_no_grant(inbox):
    question = ask(inbox)
    inbox.answer(question.id, meant="no", approver="uid:7", reason="not today")
    answer = inbox.take(question.id)
    assert (answer.word, answer.reason, answer.grant) == ("no", "not today", None)


def test_the_first_answer_stands(inbox):
    question = ask(inbox)
    inbox.answer(question.id, meant="no", approver="uid:1")
    with pytest.raises(NotPendingError, match="settled already: no by uid:1"):
        inbox.answer(question.id, meant="once", approver="uid:2")
    assert inbox.take(question.id).word == "no"


def test_past_its_deadline_a_question_is_a_no_and_a_late_yes_is_refused(inbox, clock):
    question = ask(inbox, timeout_ms=1000)
    clock.now += 1000
    with pytest.raises(NotPendingError):
        inbox.answer(question.id, meant="once", approver="uid:1")
    assert inbox.take(question.id).word == "timeout"


def test_the_deadline_holds_even_if_nobody_swept(inbox, clock, tmp_path):
    question = ask(inbox, timeout_ms=1000)
    late = Inbox(str(tmp_path / "inbox.sqlite"), clock_ms=lambda: clock.now + 5000)
    with pytest.raises(NotPendingError):
        late.answer(question.id, meant="once", approver="uid:1")


def test_a_yes_covers_itself_a_no_covers_its_likes(inbox):
    first, second, other = ask(inbox, nonce="1"), ask(inbox, nonce="2"), ask(inbox, nonce="3", verb="file.read")
    assert inbox.alike(first) == 1
    inbox.answer(first.id, meant="once", approver="uid:1")
    assert inbox.take(second.id) is None
    inbox.answer(second.id, meant="no", approver="uid:1")
    third = ask(inbox, nonce="4")
    assert inbox.take(other.id) is None and inbox.take(third.id) is None


def test_a_no_settles_identical_questions_of_its_session_only(inbox):
    first, second, elsewhere = ask(inbox, nonce="1"), ask(inbox, nonce="2"), ask(inbox, nonce="3", session="s-2")
    inbox.answer(first.id, meant="no", approver="uid:1")
    assert inbox.take(second.id).word == "no"
    assert inbox.take(elsewhere.id) is None


def test_too_many_questions_are_refused_not_queued(inbox):
    for number in range(PENDING_PER_SESSION_MAX):
        ask(inbox, nonce=str(number))
    with pytest.raises(InboxFullError):
        ask(inbox, nonce="x")
    ask(inbox, nonce="y", session="s-2")


def test_a_withdrawn_question_cannot_be_answered(inbox):
    question = ask(inbox)
    inbox.withdraw([question.id], "the caller died")
    with pytest.raises(NotPendingError):
        inbox.answer(question.id, meant="once", approver="uid:1")
    assert inbox.take(question.id).word == "withdrawn"
    assert inbox.pending() == []


ASK_AND_DIE = """
import sys
from interlock.approvals.inbox import Inbox
from interlock.vocabulary.question import Question
inbox = Inbox(sys.argv[1])
print(inbox.ask(Question("q-0badcafe", "s", "run", None, "d", {}, {}, 0, 600000)).id)
"""


def test_the_question_of_a_dead_asker_is_withdrawn(tmp_path):
    path = str(tmp_path / "inbox.sqlite")
    identity = subprocess.run(
        [sys.executable, "-c", ASK_AND_DIE, path], capture_output=True, text=True, check=True
    ).stdout.strip()
    inbox = Inbox(path)
    assert inbox.pending() == []
    with pytest.raises(NotPendingError):
        inbox.answer(identity, meant="once", approver="uid:1")


def test_of_many_answers_at_once_one_wins(tmp_path):
    path = str(tmp_path / "inbox.sqlite")
    inbox = Inbox(path)
    for round_number in range(10):
        question = ask(inbox, nonce=str(round_number))
        wins: list[str] = []

        def answer(name, question=question, wins=wins):
            own = Inbox(path)
            try:
                own.answer(question.id, meant="no" if name % 2 else "once", approver=f"uid:{name}")
                wins.append(f"uid:{name}")
            except NotPendingError:
                pass
            finally:
                own.close()

        threads = [threading.Thread(target=answer, args=(number,)) for number in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert [inbox.take(question.id).approver] == wins


def test_an_event_loop_waits_without_being_held_up(inbox):
    async def scenario():
        question = ask(inbox)
        waiting = asyncio.create_task(inbox.wait(question.id))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        inbox.answer(question.id, meant="once", approver="uid:1")
        return await asyncio.wait_for(waiting, 2)

    assert asyncio.run(scenario()).word == "yes"


def test_a_cancelled_wait_withdraws(inbox):
    async def scenario():
        question = ask(inbox)
        waiting = asyncio.create_task(inbox.wait(question.id))
        await asyncio.sleep(0.06)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return question

    question = asyncio.run(scenario())
    with pytest.raises(NotPendingError):
        inbox.answer(question.id, meant="once", approver="uid:1")


def test_a_damaged_file_is_an_error_not_an_empty_inbox(tmp_path):
    path = tmp_path / "inbox.sqlite"
    path.write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    with pytest.raises(HostError, match="cannot open the inbox"):
        Inbox(str(path))


def test_what_was_asked_is_stored_whole(inbox, tmp_path):
    question = ask(inbox)
    rows = sqlite3.connect(tmp_path / "inbox.sqlite").execute("SELECT action FROM question").fetchall()
    assert json.loads(rows[0][0]) == question.action


def test_a_no_holds_for_a_moment_a_yes_does_not(inbox, clock):
    question = ask(inbox, nonce="1")
    assert not inbox.recent_no("s-1", question.action)
    inbox.answer(question.id, meant="once", approver="uid:1")
    assert not inbox.recent_no("s-1", question.action)
    again = ask(inbox, nonce="2")
    inbox.answer(again.id, meant="no", approver="uid:1")
    assert inbox.recent_no("s-1", question.action)
    assert not inbox.recent_no("s-2", question.action)
    clock.now += 30_000
    assert not inbox.recent_no("s-1", question.action)
