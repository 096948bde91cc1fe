"""Every bound of logging in, in one place."""

from __future__ import annotations

from typing import Final

#: One request's body, in bytes, and the parameters of one request.
BODY_BYTES_MAX: Final = 16 * 1024
PARAMETERS_MAX: Final = 32
#: A client's own words about itself, in characters.
NAME_CHARACTERS_MAX: Final = 64
REDIRECT_CHARACTERS_MAX: Final = 512
REDIRECTS_MAX: Final = 8
KEYS_MAX: Final = 4
STATE_CHARACTERS_MAX: Final = 1_024
#: Clients that make themselves known: so many in a minute, and so many that nobody let in yet; these are forgotten.
REGISTRATIONS_PER_MINUTE_MAX: Final = 20
UNAPPROVED_MAX: Final = 100
UNAPPROVED_KEPT_MS: Final = 3_600_000
#: Logins that wait for a person at once, and how long each waits.
WISHES_MAX: Final = 8
WISH_MS_MAX: Final = 10 * 60_000
CODE_MS_MAX: Final = 60_000
#: Tokens for requests that one client is given in a minute.
ISSUED_PER_MINUTE_MAX: Final = 30
ACCESS_MS: Final = 15 * 60_000
LOGIN_MS_MAX: Final = 30 * 24 * 3_600_000
#: How far ahead a client's signed assertion may expire.
ASSERTION_MS_MAX: Final = 5 * 60_000
ASSERTION_CHARACTERS_MAX: Final = 8_192
#: A document that describes a client: its bytes, those of the whole answer, the time, and how many are fetched at once.
DOCUMENT_BYTES_MAX: Final = 8 * 1024
DOCUMENT_ANSWER_BYTES_MAX: Final = 32 * 1024
DOCUMENT_S_MAX: Final = 5.0
DOCUMENTS_AT_ONCE_MAX: Final = 4
#: A disk that hangs must not hold a request for ever.
STORED_S_MAX: Final = 30.0
