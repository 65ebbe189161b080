"""One method for each client event other than starting, following and sending (contract.md §3.3)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import Any, Literal

from backchat_client.errors import Refused, Unknown
from backchat_client.state.backoff import delay
from backchat_client.state.session import SessionState
from backchat_client.wire import RETRYABLE, Payload, Session

PATIENCE = 60.0  # seconds, the default timeout of a method
NOT_FOUND = "not_found"
ENDINGS = frozenset({"delete_chat", "leave_session"})  # after success the session is not found any more


class Actions(ABC):
    """Methods for client events.

    A method that changes something repeats its event until the outcome is known; the server applies it once. It raises
    `Refused` with a code of the contract, and `TimeoutError` if the outcome is still unknown after `timeout` seconds
    (default 60). Methods that read, `create_invite` and `set_typing` send their event once; they may also raise
    `Unknown`.
    """

    random: Callable[[], float]

    @abstractmethod
    async def call(self, event: str, payload: Payload | None = None, *, timeout: float = PATIENCE) -> Payload:
        """Send a client event once, and return its ack."""

    @abstractmethod
    async def open(self, session_id: str, *, timeout: float = PATIENCE) -> SessionState:
        """Open a session and follow it."""

    async def change(self, event: str, payload: Payload, *, timeout: float = PATIENCE) -> Payload:
        """Send a repeatable client event until its outcome is known, and return its ack."""
        async with asyncio.timeout(timeout):
            for failures in count():
                try:
                    return await self.call(event, payload, timeout=timeout)
                except Unknown:
                    continue  # retried on the next connection, without a pause
                except Refused as error:
                    if failures and error.code == NOT_FOUND and event in ENDINGS:
                        return {"ok": True}  # an earlier attempt succeeded, but its ack was lost
                    if error.code not in RETRYABLE:
                        raise
                    await asyncio.sleep(delay(failures, error.retry_after or 0.0, self.random()))
        raise AssertionError  # unreachable: the loop ends by return, error or timeout

    async def update_chat(
        self, session_id: str, *, title: str | None = None, reply_policy: str | None = None, timeout: float = PATIENCE
    ) -> Session:
        """Set a session's title (any member) or reply policy (only the owner)."""
        given = _given(session_id=session_id, title=title, reply_policy=reply_policy)
        return _session(await self.change("update_chat", given, timeout=timeout))

    async def delete_chat(self, session_id: str, *, timeout: float = PATIENCE) -> None:
        """Delete a session. Only the owner may."""
        await self.change("delete_chat", {"session_id": session_id}, timeout=timeout)

    async def leave_session(self, session_id: str, *, timeout: float = PATIENCE) -> None:
        """End one's membership. (`leave` only stops following.)"""
        await self.change("leave_session", {"session_id": session_id}, timeout=timeout)

    async def add_chatbot(self, session_id: str, chatbot_id: str, *, timeout: float = PATIENCE) -> Session:
        """Add a chatbot to a session. Only the owner may."""
        payload = {"session_id": session_id, "chatbot_id": chatbot_id}
        return _session(await self.change("add_chatbot", payload, timeout=timeout))

    async def remove_chatbot(self, session_id: str, chatbot_id: str, *, timeout: float = PATIENCE) -> Session:
        """Remove a chatbot from a session. Only the owner may."""
        payload = {"session_id": session_id, "chatbot_id": chatbot_id}
        return _session(await self.change("remove_chatbot", payload, timeout=timeout))

    async def create_invite(
        self, session_id: str, *, expires_in: int | None = None, max_uses: int | None = None, timeout: float = PATIENCE
    ) -> str:
        """Return a new invite secret of a session, valid for `expires_in` seconds. Only the owner may."""
        given = _given(session_id=session_id, expires_in=expires_in, max_uses=max_uses)
        return str((await self.call("create_invite", given, timeout=timeout))["invite"])

    async def accept_invite(self, invite: str, *, timeout: float = PATIENCE) -> SessionState:
        """Become a member; return the session, open and loaded."""
        async with asyncio.timeout(timeout):
            session = _session(await self.change("accept_invite", {"invite": invite}, timeout=timeout))
            return await self.open(session["id"], timeout=timeout)

    async def remove_user(self, session_id: str, user_id: str, *, timeout: float = PATIENCE) -> Session:
        """End another user's membership and revoke all open invites. Only the owner may."""
        payload = {"session_id": session_id, "user_id": user_id}
        return _session(await self.change("remove_user", payload, timeout=timeout))

    async def stop_reply(self, session_id: str, message_id: str, *, timeout: float = PATIENCE) -> None:
        """Stop an active reply; it is stored with the text so far."""
        await self.change("stop_reply", {"session_id": session_id, "message_id": message_id}, timeout=timeout)

    async def regenerate_reply(self, session_id: str, message_id: str, *, timeout: float = PATIENCE) -> str:
        """Request another reply in place of this one; return the message id that it will have."""
        payload = {"session_id": session_id, "message_id": message_id}
        return str((await self.change("regenerate_reply", payload, timeout=timeout))["message_id"])

    async def edit_message(self, session_id: str, message_id: str, content: str, *, timeout: float = PATIENCE) -> None:
        """Change one's last message in a session; its replies are regenerated."""
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
        """Rate a reply; 0 withdraws the rating."""
        given = _given(session_id=session_id, message_id=message_id, rating=rating, comment=comment)
        await self.change("rate_reply", given, timeout=timeout)

    async def mark_read(self, session_id: str, seq: int, *, timeout: float = PATIENCE) -> None:
        """Mark everything up to `seq` as read."""
        await self.change("mark_read", {"session_id": session_id, "seq": seq}, timeout=timeout)

    async def set_typing(self, session_id: str, typing: bool, *, timeout: float = PATIENCE) -> None:  # noqa: FBT001
        """Report to other members whether one is typing."""
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
        """Search one's sessions, or one session: `{hits, next_cursor}`."""
        given = _given(query=query, session_id=session_id, cursor=cursor, limit=limit)
        return await self.call("search_messages", given, timeout=timeout)

    async def list_chats(
        self, *, cursor: str | None = None, limit: int | None = None, timeout: float = PATIENCE
    ) -> Payload:
        """Return one's sessions, most recent activity first: `{sessions, next_cursor}`."""
        return await self.call("list_chats", _given(cursor=cursor, limit=limit), timeout=timeout)

    async def list_chatbots(self, *, timeout: float = PATIENCE) -> list[Payload]:
        """Return the available chatbots, each as `{id, name, description, default}`."""
        found: list[Payload] = (await self.call("list_chatbots", timeout=timeout))["chatbots"]
        return found


def _given(**fields: Any) -> Payload:
    return {name: value for name, value in fields.items() if value is not None}


def _session(ack: Payload) -> Session:
    session: Session = ack["session"]
    return session
