"""JSON as it crosses a boundary before anybody has read it: no more is known of it than that. Types only.

What is acted on is read into a value of its own at the edge; what is only kept and handed on (the Action that the
engine reads and the ledger keeps) stays such an object.
"""

from __future__ import annotations

JsonObject = dict[str, object]
