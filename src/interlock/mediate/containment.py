"""The wall around what belongs to one server: whatever its part of the work raises is that server's fault, as a value.

Used at the edges of a server only (its link, its background tasks, its part of a list), so that no await on one
server can end anything that serves another. Left out: what follows from a fault (breaker, words, record).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from interlock.vocabulary.errors import PeerError

T = TypeVar("T")

_LOG: Final = logging.getLogger("interlock.gateway")
_WORDS_CHARACTERS_MAX: Final = 300
#: What a peer or the machine can cause: no fault of ours, so nothing for our own log.
_EXPECTED: Final = (PeerError, OSError, ValueError, EOFError)


async def contained(work: Awaitable[T], otherwise: Callable[[str], T]) -> T:
    """What the work gives; where it raises, `otherwise` of the fault in words.

    Only what ends this task goes on: its own cancelling, and the end of the process. Native libraries panic with
    exceptions beside `Exception`, task groups raise groups, and a future that a peer's end has cancelled looks like a
    cancelled task: all of these stay here.
    """
    try:
        return await work
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return otherwise("what it waited for was called off")
    except BaseException as error:  # the edge of one server: see the module
        if not isinstance(error, _EXPECTED):
            _LOG.error("a server's part of the work failed: %s", _words(error), exc_info=error)
        return otherwise(_words(error))


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    return (str(error) or type(error).__name__)[:_WORDS_CHARACTERS_MAX]
