"""Exit codes, `spec/home.md`. A command's own status passes through untouched; these are Interlock's."""

from __future__ import annotations

from typing import Final

OK: Final = 0
#: A question was answered, and the answer is no (a check that failed, nothing found): as grep and diff do.
NO: Final = 1
USAGE: Final = 120
POLICY: Final = 121
MACHINE: Final = 122
FAILED: Final = 123
REFUSED: Final = 124
DAMAGED: Final = 125
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
#: Added to the number of the signal that ended the command.
SIGNAL_BASE: Final = 128
