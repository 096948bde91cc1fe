"""Names of sessions, actions, grants and questions: one spelling each, made here and checked here.

Randomness and the clock are arguments; this module reads neither.
"""

from __future__ import annotations

import re
import time
from typing import NewType

__all__ = [
    "ActionId",
    "GrantId",
    "QuestionId",
    "SessionId",
    "action_id",
    "action_number",
    "action_session",
    "grant_id",
    "parse_action_id",
    "parse_grant_id",
    "parse_question_id",
    "parse_session_id",
    "question_id",
    "session_id",
]

SessionId = NewType("SessionId", str)
ActionId = NewType("ActionId", str)
GrantId = NewType("GrantId", str)
QuestionId = NewType("QuestionId", str)

_SESSION = re.compile(r"s-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_GRANT = re.compile(r"g-[0-9a-f]{8,64}", re.ASCII)
_QUESTION = re.compile(r"q-[0-9a-f]{8,64}", re.ASCII)

TOKEN_BYTES_MIN = 4
TOKEN_BYTES_MAX = 32


def session_id(*, now_s: float, random: bytes) -> SessionId:
    """`s-YYYYMMDDTHHMMSS-6hex`.

    Arguments:
        now_s: seconds since 1970, UTC.
        random: at least three random bytes, of which the first three are used.

    Raises:
        ValueError: `random` is too short.
    """
    if len(random) < 3:
        raise ValueError("a session needs three random bytes")
    return SessionId(f"s-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now_s))}-{random[:3].hex()}")


def action_id(session: SessionId, number: int) -> ActionId:
    """`<session>/<n>`, n counted from 0 by whoever observes the session's actions."""
    if number < 0:
        raise ValueError(f"an action's number is not negative: `{number}`")
    return ActionId(f"{session}/{number}")


def grant_id(random: bytes) -> GrantId:
    """`g-<hex>` of 4 to 32 random bytes."""
    return GrantId("g-" + _token(random))


def question_id(random: bytes) -> QuestionId:
    """`q-<hex>` of 4 to 32 random bytes."""
    return QuestionId("q-" + _token(random))


def parse_session_id(text: str) -> SessionId:
    """The text as a session id, or ValueError."""
    return SessionId(_checked(_SESSION, text, "session"))


def parse_action_id(text: str) -> ActionId:
    """The text as an action id, or ValueError."""
    session, slash, number = text.partition("/")
    if not slash or _NUMBER.fullmatch(number) is None:
        raise ValueError(f"`{text}` is not an action id")
    parse_session_id(session)
    return ActionId(text)


def parse_grant_id(text: str) -> GrantId:
    """The text as a grant id, or ValueError."""
    return GrantId(_checked(_GRANT, text, "grant"))


def parse_question_id(text: str) -> QuestionId:
    """The text as a question id, or ValueError."""
    return QuestionId(_checked(_QUESTION, text, "question"))


def action_session(action: ActionId) -> SessionId:
    """The session an action belongs to."""
    return SessionId(action.partition("/")[0])


def action_number(action: ActionId) -> int:
    """An action's number in its session."""
    return int(action.partition("/")[2])


def _token(random: bytes) -> str:
    if not TOKEN_BYTES_MIN <= len(random) <= TOKEN_BYTES_MAX:
        raise ValueError(f"a token takes {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} random bytes, not {len(random)}")
    return random.hex()


def _checked(pattern: re.Pattern[str], text: str, kind: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not a {kind} id")
    return text
