"""A request that waits for the answer to its message: it ends early with its login, and with the gateway."""

from __future__ import annotations

import asyncio

import orjson

from chat_gateway.identity.authentication import Identity
from chat_gateway.transport.frames import Frame
from chat_gateway.transport.wire import payload_of
from shared.errors import BackchatError, TokenInvalid, from_code

EVENT_PREFIX = 2  # characters before the JSON array of an event: the types of the Engine.IO and Socket.IO packets


class Rejected(Exception):
    """The message was accepted and could not be stored; `error` says why."""

    def __init__(self, error: BackchatError) -> None:
        super().__init__(error.code)
        self.error = error


class Waiter:
    """One waiting request. Implements `ConnectedClient`; it joins no session.

    `changed` is set when a message of its session is stored or changed. `ended` is done when the wait must end: with
    `None` if the gateway stops, or with an exception if the login is revoked or the message is rejected.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.user_id = identity.user_id
        self.joined: set[str] = set()
        self.valid_until = float("inf")
        self.expiry: asyncio.TimerHandle | None = None
        self.changed = asyncio.Event()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._message_id: str | None = None
        self._rejections: dict[str, str] = {}  # codes by message id, until the id of this message is known

    @property
    def open(self) -> bool:
        """Whether the request still waits."""
        return not self.ended.done()

    @property
    def receives(self) -> bool:
        """A waiting request joins no session."""
        return False

    @property
    def follows(self) -> str | None:
        """It is no stream."""
        return None

    def wait_for(self, message_id: str) -> None:
        """Wait for this message."""
        self._message_id = message_id
        if (code := self._rejections.get(message_id)) is not None:
            self._end(Rejected(from_code(code)))

    def send(self, frame: Frame) -> None:
        """Take an event that concerns the wait: a rejection, or the stop of the gateway."""
        if frame.name == "going_away":
            self._end(None)
        elif frame.name == "message_rejected":
            rejection = orjson.loads(payload_of(frame.wire)[EVENT_PREFIX:])[1]
            if self._message_id is None:
                self._rejections[rejection["message_id"]] = rejection["code"]
            elif rejection["message_id"] == self._message_id:
                self._end(Rejected(from_code(rejection["code"])))

    def dismiss(self, *_last_words: Frame) -> None:
        """End the wait, because the login was revoked."""
        self._end(TokenInvalid())

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
            self.ended.exception()  # marks it as retrieved, if the client is gone
