"""What a program can do beside sending and following: one method for each other client event (contract §3)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import Any, Literal

from backchat_client.errors import Refused, Unknown
from backchat_client.state.backoff import delay
from backchat_client.state.session import SessionState
from backchat_client.wire import AGAIN, Payload, Session

PATIENCE = 60.0  # seconds that a method waits by default
NOT_FOUND = "not_found"
ENDINGS = frozenset({"delete_chat", "leave_session"})  # done, the session is not to be found any more


class Actions(ABC):
    """Methods that change something are repeated until their outcome is known: the server does each of them once.

    Beside what each says, they raise `Refused` with the code of the contract, and `TimeoutError` when after `timeout`
    seconds (60) nothing is known. Reads, `create_invite` and `set_typing` are tried once, and may raise `Unknown`.
    """

    random: Callable[[], float]

    @abstractmethod
    async def call(self, event: str, payload: Payload | None = None, *, timeout: float = PATIENCE) -> Payload:
        """One client event, once."""

    @abstractmethod
    async def open(self, session_id: str, *, timeout: float = PATIENCE) -> SessionState:
        """Hold and follow a session."""

    async def change(self, event: str, payload: Payload, *, timeout: float = PATIENCE) -> Payload:
        """A client event that may be sent again: again and again, until its outcome is known; its ack."""
        async with asyncio.timeout(timeout):
            for failures in count():
                try:
                    return await self.call(event, payload, timeout=timeout)
                except Unknown:
                    continue  # with the next connection, which is not kept waiting
                except Refused as error:
                    if failures and error.code == NOT_FOUND and event in ENDINGS:
                        return {"ok": True}  # a first try did it, whose answer was lost
                    if error.code not in AGAIN:
                        raise
                    await asyncio.sleep(delay(failures, error.retry_after or 0.0, self.random()))
        raise AssertionError  # never: it ends by itself or by the timeout

    async def update_chat(
        self, session_id: str, *, title: str | None = None, reply_policy: str | None = None, timeout: float = PATIENCE
    ) -> Session:
        """Give a session a title (any member) or a reply policy (its owner)."""
        given = _given(session_id=session_id, title=title, reply_policy=reply_policy)
        return _session(await self.change("update_chat", given, timeout=timeout))

    async def delete_chat(self, session_id: str, *, timeout: float = PATIENCE) -> None:
        """Delete a session, as its owner."""
        await self.change("delete_chat", {"session_id": session_id}, timeout=timeout)

    async def leave_session(self, session_id: str, *, timeout: float = PATIENCE) -> None:
        """Be a member no longer (`leave` only ceases to follow)."""
        await self.change("leave_session", {"session_id": session_id}, timeout=timeout)

    async def add_chatbot(self, session_id: str, chatbot_id: str, *, timeout: float = PATIENCE) -> Session:
        """Let a chatbot take part, as the owner."""
        payload = {"session_id": session_id, "chatbot_id": chatbot_id}
        return _session(await self.change("add_chatbot", payload, timeout=timeout))

    async def remove_chatbot(self, session_id: str, chatbot_id: str, *, timeout: float = PATIENCE) -> Session:
        """Let a chatbot take part no more, as the owner."""
        payload = {"session_id": session_id, "chatbot_id": chatbot_id}
        return _session(await self.change("remove_chatbot", payload, timeout=timeout))

    async def create_invite(
        self, session_id: str, *, expires_in: int | None = None, max_uses: int | None = None, timeout: float = PATIENCE
    ) -> str:
        """A secret by which others come into a session, as its owner; `expires_in` seconds."""
        given = _given(session_id=session_id, expires_in=expires_in, max_uses=max_uses)
        return str((await self.call("create_invite", given, timeout=timeout))["invite"])

    async def accept_invite(self, invite: str, *, timeout: float = PATIENCE) -> SessionState:
        """Become a member; the session is open then, and loaded."""
        async with asyncio.timeout(timeout):
            session = _session(await self.change("accept_invite", {"invite": invite}, timeout=timeout))
            return await self.open(session["id"], timeout=timeout)

    async def remove_user(self, session_id: str, user_id: str, *, timeout: float = PATIENCE) -> Session:
        """End somebody's membership, and all open invites with it, as the owner."""
        payload = {"session_id": session_id, "user_id": user_id}
        return _session(await self.change("remove_user", payload, timeout=timeout))

    async def stop_reply(self, session_id: str, message_id: str, *, timeout: float = PATIENCE) -> None:
        """End a reply under way; it is stored with the text so far."""
        await self.change("stop_reply", {"session_id": session_id, "message_id": message_id}, timeout=timeout)

    async def regenerate_reply(self, session_id: str, message_id: str, *, timeout: float = PATIENCE) -> str:
        """Ask for another reply in place of one; the id that its message will have."""
        payload = {"session_id": session_id, "message_id": message_id}
        return str((await self.change("regenerate_reply", payload, timeout=timeout))["message_id"])

    async def edit_message(self, session_id: str, message_id: str, content: str, *, timeout: float = PATIENCE) -> None:
        """Change one's last message in a session, and have it answered anew."""
        payload = {"session_id": session_id, "message_id": message_id, "content": content}
        await self.change("edit_message", payload, timeout=timeout)

    async def rate_reply(
        self,
        session_id: str,
        message_id: str,
        rating: Literal[-1, 0, 1],
        *,
        comment: str | None = None,
        timeout: float = PATIENCE,
    ) -> None:
        """Say what a reply was worth; 0 takes it back."""
        given = _given(session_id=session_id, message_id=message_id, rating=rating, comment=comment)
        await self.change("rate_reply", given, timeout=timeout)

    async def mark_read(self, session_id: str, seq: int, *, timeout: float = PATIENCE) -> None:
        """Everything up to that number has been read."""
        await self.change("mark_read", {"session_id": session_id, "seq": seq}, timeout=timeout)

    async def set_typing(self, session_id: str, typing: bool, *, timeout: float = PATIENCE) -> None:  # noqa: FBT001
        """Show the others that one writes, or does no longer."""
        await self.call("set_typing", {"session_id": session_id, "typing": typing}, timeout=timeout)

    async def search_messages(
        self,
        query: str,
        *,
        session_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        timeout: float = PATIENCE,
    ) -> Payload:
        """Find words in one's sessions, or in one of them: `{hits, next_cursor}`."""
        given = _given(query=query, session_id=session_id, cursor=cursor, limit=limit)
        return await self.call("search_messages", given, timeout=timeout)

    async def list_chats(
        self, *, cursor: str | None = None, limit: int | None = None, timeout: float = PATIENCE
    ) -> Payload:
        """One's sessions, newest activity first: `{sessions, next_cursor}`."""
        return await self.call("list_chats", _given(cursor=cursor, limit=limit), timeout=timeout)

    async def list_chatbots(self, *, timeout: float = PATIENCE) -> list[Payload]:
        """The chatbots that there are: `{id, name, description, default}` each."""
        found: list[Payload] = (await self.call("list_chatbots", timeout=timeout))["chatbots"]
        return found


def _given(**fields: Any) -> Payload:
    return {name: value for name, value in fields.items() if value is not None}


def _session(ack: Payload) -> Session:
    session: Session = ack["session"]
    return session
