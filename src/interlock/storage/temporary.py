"""The temporary folder of one session: `<temporaries>/interlock.<random>`, for its user alone.

/tmp is everybody's, and a session changes nothing there but what it made itself (`@shared-places`). What its programs
make by way of `TMPDIR` is here, is never mistaken for somebody else's, and goes with the session.

Root's session may act as other users (`su`, package managers), who must reach the folder, while nobody outside may
find it: the inner folder is open to all, and its name can neither be listed nor guessed.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from interlock.vocabulary.errors import HostError

PREFIX: Final = "interlock."
#: Whoever asks for a temporary folder asks one of these: mkdtemp and its kin, Windows-minded tools, tmux.
VARIABLES: Final = ("TMPDIR", "TMP", "TEMP", "TMUX_TMPDIR")
_TRIES: Final = 16


class Temporary(NamedTuple):
    """What is made and taken away (`top`), and what the session is given (`folder`)."""

    top: str
    folder: str

    def environment(self) -> dict[str, str]:
        """The variables by which programs find it."""
        return dict.fromkeys(VARIABLES, self.folder)

    def make(self) -> None:
        """Make it. Raises `HostError` where that cannot be done."""
        inner = self.folder != self.top
        try:
            os.mkdir(self.top, 0o711 if inner else 0o700)
            if inner:
                os.mkdir(self.folder)
                os.chmod(self.folder, 0o1777)  # noqa: S103 - who may reach it is said by the folder around it
        except OSError as error:
            raise HostError(
                f"no temporary folder can be made in `{os.path.dirname(self.top)}`: {error.strerror}",
                hint="set TMPDIR to a folder that you may write",
            ) from error


def choose(temporaries: str) -> Temporary:
    """A name in the folder `temporaries` that nobody has taken yet."""
    for _ in range(_TRIES):
        top = f"{temporaries.rstrip('/')}/{PREFIX}{os.urandom(4).hex()}"
        if not os.path.lexists(top):
            break
    return Temporary(top, f"{top}/{os.urandom(8).hex()}" if os.geteuid() == 0 else top)
