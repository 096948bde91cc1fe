"""Every bound of the side that faces agents, in one place."""

from __future__ import annotations

from typing import Final

#: One request's body, in bytes: arguments are data, not files.
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
BODY_S_MAX: Final = 30.0
HEADERS_BYTES_MAX: Final = 32 * 1024
HEADERS_COUNT_MAX: Final = 100
HEADERS_S_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 512
#: Of those who have not said who they are, and of one agent.
STRANGERS_MAX: Final = 128
AGENT_CONNECTIONS_MAX: Final = 256
KEEP_ALIVE_S: Final = 75
#: Before this an answer is plain JSON; after it a stream with comments keeps the connection alive.
STREAM_AFTER_S: Final = 2.0
#: For calls in a session that much sooner: from its first event on a client can come back for the answer.
STREAM_IN_SESSION_AFTER_S: Final = 0.25
COMMENT_EVERY_S: Final = 15.0
#: A client that lost its stream is asked to wait so long before it comes back.
RETRY_MS: Final = 1_000
#: Streams of one session that have ended are kept for a client that comes back: so many, for so long.
ENDED_STREAMS_MAX: Final = 16
ENDED_STREAM_KEPT_MS: Final = 300_000
#: Messages that wait for one stream; what comes beyond is counted and said, not kept.
STREAM_MESSAGES_MAX: Final = 1_000
#: The same in bytes: of one stream, and of all streams of one agent.
STREAM_BYTES_MAX: Final = 8 * 1024 * 1024
AGENT_BYTES_MAX: Final = 32 * 1024 * 1024
#: A client that takes nothing for so long is not waited for any more.
STALLED_S_MAX: Final = 60.0
SESSIONS_PER_AGENT_MAX: Final = 64
SESSION_IDLE_MS_MAX: Final = 3_600_000
REQUESTS_PER_SESSION_MAX: Final = 64
#: Messages of one batch, and bytes of all its answers together.
BATCH_MAX: Final = 32
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
ASKED_S_MAX: Final = 300.0
QUESTIONS_PER_SESSION_MAX: Final = 32
#: Calls at servers of the older era that wait for a client of the newer one to come back with its answers.
PARKED_S_MAX: Final = 300.0
PARKED_PER_AGENT_MAX: Final = 8
PARKED_MAX: Final = 64
#: Pages that a client was asked to visit and that no word came of, and a server's name of one.
PAGES_MAX: Final = 64
PAGE_NAME_CHARACTERS_MAX: Final = 256
#: How often one request is made again for a client of the older era, because its server asks for more.
ROUNDS_MAX: Final = 8
#: A server that does not say so soon whether it tells of a resource is taken not to.
SUBSCRIBED_S_MAX: Final = 5.0
#: A server that is alone at its endpoint is waited for so long before its list, which may start it, is an error.
LIST_S_MAX: Final = 35.0
#: Of several at one endpoint each has so long; one that was late before, as long as it has not answered, this moment.
LIST_AT_ONCE_S: Final = 5.0
LIST_LATE_S: Final = 0.25
#: A server that is being started is looked at so often, and nobody waits for its list beyond this, also unseen.
STARTING_LOOK_S: Final = 0.1
STARTING_S_MAX: Final = 150.0
#: A level for log messages is passed on to servers, and no client waits long for one that does not answer.
LEVEL_S_MAX: Final = 3.0
#: Models take 64, of which clients use up to 16 for a prefix of their own (`mcp__interlock__`).
TOOL_NAME_CHARACTERS_MAX: Final = 48
#: What a server says of its use, in characters: of one, and of all at an endpoint.
INSTRUCTIONS_CHARACTERS_MAX: Final = 4_096
ALL_INSTRUCTIONS_CHARACTERS_MAX: Final = 16_384
UPSTREAM_NAME_CHARACTERS_MAX: Final = 256
TASK_NAME_CHARACTERS_MAX: Final = 1_024
#: A task is kept as long as its server says, and at least and at most so long.
TASK_KEPT_MS_MIN: Final = 3_600_000
TASK_KEPT_MS_MAX: Final = 30 * 24 * 3_600_000
REFUSALS_RECORDED_PER_S_MAX: Final = 20
PROMPT_BYTES_MAX: Final = 1024 * 1024
PROMPTS_KEPT_MAX: Final = 4_096
