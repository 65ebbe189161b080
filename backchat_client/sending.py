"""What became of a message, as somebody who waits for it sees it."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from backchat_client.errors import BackchatClientError, Rejected
from backchat_client.notices import Notice
from backchat_client.wire import Message


class Sending:
    """A message on its way. It is in the outbox, and goes on its way whether anybody waits here or not."""

    def __init__(self, session_id: str, client_message_id: str) -> None:
        self.session_id = session_id
        self.client_message_id = client_message_id
        loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[str] = loop.create_future()
        self._stored: asyncio.Future[Message] = loop.create_future()

    async def accepted(self) -> str:
        """Wait until the server holds it durably; its message id.

        Raises:
            Rejected: it never will.
            Closed, NotSignedIn: the client has stopped; the message stays in the store.
        """
        return await asyncio.shield(self._accepted)

    async def stored(self) -> Message:
        """Wait until it is in the history. Only for sessions that are open: others are not told of it.

        Raises:
            Rejected, Closed, NotSignedIn: as for `accepted`.
        """
        return await asyncio.shield(self._stored)

    def resolve_accepted(self, message_id: str) -> None:
        """It is held."""
        if not self._accepted.done():
            self._accepted.set_result(message_id)

    def resolve_stored(self, message: Message) -> None:
        """It is in the history."""
        self.resolve_accepted(message["id"])
        if not self._stored.done():
            self._stored.set_result(message)

    def fail(self, error: BackchatClientError) -> None:
        """It is not, or nobody will know."""
        for future in (self._accepted, self._stored):
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody has to be waiting


class Sendings:
    """Those that somebody still holds on to: a program that does not care costs nothing."""

    def __init__(self) -> None:
        self._waiting: WeakValueDictionary[tuple[str, str], Sending] = WeakValueDictionary()

    def begin(self, session_id: str, client_message_id: str) -> Sending:
        """Wait for a message; for the same one twice, the same object."""
        key = (session_id, client_message_id)
        sending = self._waiting.get(key) or Sending(session_id, client_message_id)
        self._waiting[key] = sending
        return sending

    def see(self, notice: Notice, user_id: str | None) -> None:
        """Let a notice settle what it settles."""
        payload = notice.payload
        if notice.name == "loaded":
            for message in payload["messages"]:
                self.see(Notice("message", message), user_id)
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
        """The client has stopped."""
        for sending in list(self._waiting.values()):
            sending.fail(error)
