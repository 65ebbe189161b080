"""The outcome of a sent message, as futures."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from backchat_client.errors import BackchatClientError, Rejected
from backchat_client.notices import Notice
from backchat_client.wire import Message


class Sending:
    """A message in the outbox. It is sent even if the program does not wait for its outcome."""

    def __init__(self, session_id: str, client_message_id: str) -> None:
        self.session_id = session_id
        self.client_message_id = client_message_id
        loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[str] = loop.create_future()
        self._stored: asyncio.Future[Message] = loop.create_future()

    async def accepted(self) -> str:
        """Wait until the server holds the message durably; return its message id.

        Raises:
            Rejected: the server refused the message permanently.
            Closed, NotSignedIn: the client has stopped; the message stays in the store.
        """
        return await asyncio.shield(self._accepted)

    async def stored(self) -> Message:
        """Wait until the message is in the history. Works only for open sessions.

        Raises:
            Rejected, Closed, NotSignedIn: as for `accepted`.
        """
        return await asyncio.shield(self._stored)

    def resolve_accepted(self, message_id: str) -> None:
        """Resolve `accepted`."""
        if not self._accepted.done():
            self._accepted.set_result(message_id)

    def resolve_stored(self, message: Message) -> None:
        """Resolve both."""
        self.resolve_accepted(message["id"])
        if not self._stored.done():
            self._stored.set_result(message)

    def fail(self, error: BackchatClientError) -> None:
        """Fail what is not resolved."""
        for future in (self._accepted, self._stored):
            if not future.done():
                future.set_exception(error)
                future.exception()  # without it, asyncio logs the error if no caller awaits it


class Sendings:
    """The `Sending` objects that the program still references, by message. Others are garbage-collected."""

    def __init__(self) -> None:
        self._waiting: WeakValueDictionary[tuple[str, str], Sending] = WeakValueDictionary()

    def begin(self, session_id: str, client_message_id: str) -> Sending:
        """Return the object for a message; the same object for the same message."""
        key = (session_id, client_message_id)
        sending = self._waiting.get(key) or Sending(session_id, client_message_id)
        self._waiting[key] = sending
        return sending

    def apply(self, notice: Notice, user_id: str | None) -> None:
        """Resolve or fail the object that a notice is about."""
        payload = notice.payload
        if notice.name == "loaded":
            for message in payload["messages"]:
                self.apply(Notice("message", message), user_id)
            return
        sending = self._waiting.get((payload.get("session_id", ""), payload.get("client_message_id") or ""))
        if sending is None:
            return
        if notice.name == "accepted":
            sending.resolve_accepted(payload["message_id"])
        elif notice.name == "failed":
            sending.fail(Rejected(payload["code"], payload.get("message", "")))
        elif notice.name in ("message", "message_updated") and payload["sender_id"] == user_id:
            sending.resolve_stored(payload)  # type: ignore[arg-type]

    def fail(self, error: BackchatClientError) -> None:
        """Fail all objects: the client has stopped."""
        for sending in list(self._waiting.values()):
            sending.fail(error)
