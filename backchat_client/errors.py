"""Exceptions of the kit.

BackchatClientError
├── Refused       the server refused, with a code of the contract
│   ├── Rejected      … a message, permanently
│   └── NotSignedIn   … the account's credentials; the client has stopped
├── Unknown       no answer: the request may or may not have been applied
├── Closed        the client was closed during the call
└── Lagging       the program reads its events too slowly
"""

from __future__ import annotations


class BackchatClientError(Exception):
    """Base class of all exceptions of the kit."""


class Refused(BackchatClientError):
    """The server refused: `code` of the contract, `detail` for people, and `retry_after` in seconds or None."""

    def __init__(self, code: str, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.detail = message
        self.retry_after = retry_after


class Rejected(Refused):
    """The message will never be stored and has left the outbox."""


class NotSignedIn(Refused):
    """The server does not accept the credentials; the client has stopped."""


class Unknown(BackchatClientError):
    """No answer arrived: the request may or may not have been applied. Repeat it with the same ids."""


class Closed(BackchatClientError):
    """The client was closed. Unaccepted messages are still in the store, if it is durable."""


class Lagging(BackchatClientError):
    """The reader fell more than 10,000 notices behind. `client.sessions` is still correct: resume from there."""
