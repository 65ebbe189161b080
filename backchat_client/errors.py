"""What the kit raises.

BackchatClientError
├── Refused       the server said no, with a code of the contract
│   ├── Rejected      … to a message, for good
│   └── NotSignedIn   … to the account: nothing more can be done with it
├── Unknown       no answer: it may have happened or not
├── Closed        the client was closed while something was waiting
└── Lagging       the program reads its events too slowly
"""

from __future__ import annotations


class BackchatClientError(Exception):
    """Anything that the kit raises."""


class Refused(BackchatClientError):
    """The server said no. `code` is the contract's, `detail` for people, `retry_after` in seconds, if named."""

    def __init__(self, code: str, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.detail = message
        self.retry_after = retry_after


class Rejected(Refused):
    """A message will never be stored; it has left the outbox."""


class NotSignedIn(Refused):
    """The account's credentials are not accepted: the client has stopped."""


class Unknown(BackchatClientError):
    """No answer came: what was asked for may have happened or not. Ask again with the same ids."""


class Closed(BackchatClientError):
    """The client was closed. Unsettled messages are still in the store, if it lasts."""


class Lagging(BackchatClientError):
    """The program fell too far behind its events. What `client.sessions` holds is still right: begin again there."""
