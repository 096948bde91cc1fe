"""What a server writes where only messages belong (banners, log lines): passed over, counted, told the operator."""

from __future__ import annotations

from typing import Final

#: So many in a row without one message is no protocol.
IN_A_ROW_MAX: Final = 1_000
SAMPLE_BYTES: Final = 200


class Noise:
    """The noise of one server."""

    def __init__(self) -> None:
        self.lines = 0
        self.sample = ""
        self._in_a_row = 0

    @property
    def is_all(self) -> bool:
        """Whether it says nothing else."""
        return self._in_a_row > IN_A_ROW_MAX

    def heard(self, line: bytes) -> None:
        """One line that is no message, or answers nothing."""
        self.lines += 1
        self._in_a_row += 1
        if not self.sample:
            self.sample = line[:SAMPLE_BYTES].decode("utf-8", "replace").strip()

    def message(self) -> None:
        """One message came."""
        self._in_a_row = 0
