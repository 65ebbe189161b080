"""The client kit without I/O. Input: connections, acks, events and time. Output: calls and notices.

All rules of a correct client are here and in the modules that it uses, so that the golden scenarios
(`tests/contract/client_scenarios`) can test them. Pass acks and events in the order in which they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from backchat_client.notices import Notice
from backchat_client.state.outbox import Outbox, Outgoing
from backchat_client.state.requests import Call, Request, Requests
from backchat_client.state.session import Change, SessionState
from backchat_client.wire import Message, Outcome, Payload, outcome

SESSION_EVENTS = frozenset({"message", "message_updated", "message_delta", "reasoning_delta", "session_updated"})
NOT_FOUND = "not_found"
CONFLICT = "conflict"


class Core:
    """The state of one user's client."""

    def __init__(self, pending: Iterable[Outgoing], random: Callable[[], float]) -> None:
        """`pending` is the stored outbox; `random` returns numbers from 0 up to 1, for the jitter."""
        self.user_id: str | None = None
        self.connected = False
        self.sessions: dict[str, SessionState] = {}  # open sessions, in the order of `open`
        self.outbox = Outbox(pending)
        self._requests = Requests(random)
        self._notices: list[Notice] = []

    # ---- output

    def calls(self) -> list[Call]:
        """Take the calls to emit now, in order."""
        calls, self._requests.calls = self._requests.calls, []
        return calls

    def notices(self) -> list[Notice]:
        """Take the notices for the program, in order."""
        notices, self._notices = self._notices, []
        return notices

    @property
    def wake_at(self) -> float | None:
        """When `tick` is due; None if no retry is scheduled."""
        return self._requests.wake_at

    # ---- requests of the program

    def open(self, session_id: str) -> SessionState:
        """Open a session and follow it on every connection."""
        state = self.sessions.get(session_id)
        if state is None:
            state = self.sessions[session_id] = SessionState(session_id)
            self._join(state)
        return state

    def leave(self, session_id: str) -> None:
        """Close a session and stop following it."""
        if self.sessions.pop(session_id, None) is None:
            return
        self._requests.drop("join_chat", session_id)
        if self.connected:
            self._requests.start("leave_chat", session_id, {"session_id": session_id}, now=True)

    def older(self, session_id: str) -> None:
        """Request the previous page of history, if there is one and it is not requested already."""
        state = self.sessions[session_id]
        asked = self._requests.find("get_messages", session_id)
        if state.older_than is not None and asked is None:
            payload = {"session_id": session_id, "before_seq": state.older_than}
            self._requests.start("get_messages", session_id, payload, now=self.connected)

    def start_chat(self, payload: Payload) -> None:
        """Request a new session; `payload` has a `client_request_id`."""
        self._requests.start("start_chat", payload["client_request_id"], payload, now=self.connected)

    def send(self, item: Outgoing) -> None:
        """Send a message that is already in the store."""
        self.outbox.add(item)
        self._send_next(item.session_id)

    # ---- input from the connection

    def connect(self, user_id: str) -> None:
        """Start on a new connection: repeat every request without an outcome."""
        self.connected, self.user_id = True, user_id
        for request in self._requests:
            if request.kind == "start_chat":
                self._requests.call(request)
        for state in self.sessions.values():
            self._join(state)
        for request in self._requests:
            if request.kind == "get_messages":
                self._requests.call(request)
        for session_id in self.outbox.lanes():
            self._send_next(session_id)

    def disconnect(self) -> None:
        """End the connection; its pending acks will not arrive."""
        self.connected = False
        for request in self._requests:
            if request.kind in ("send_message", "leave_chat"):
                self._requests.drop(request.kind, request.key)
        self._requests.disconnected()
        for state in self.sessions.values():
            state.disconnected()

    def tick(self, now: float) -> None:
        """Make the calls that are due."""
        self._requests.tick(now)

    def answered(self, call_id: int, answer: Any, now: float) -> None:
        """Apply an ack; `None` if none arrived in time."""
        request = self._requests.answered(call_id)
        if request is None:
            return
        result = outcome(answer)
        if result.retryable and request.kind != "leave_chat":
            self._requests.retry(request, result, now)
            return
        self._requests.drop(request.kind, request.key)
        if result.code is None:
            self._succeeded(request, answer)
        else:
            self._refused(request, result, now)

    def event(self, name: str, payload: Payload) -> None:
        """Apply a server event."""
        if name == "message_rejected":
            self._message_ended(payload["session_id"], payload["client_message_id"])
            known = ("session_id", "client_message_id", "message_id", "code")
            self._notify("failed", **{key: payload[key] for key in known})
        elif name == "session_deleted":
            self._notify(name, **payload)
            self._close(payload["session_id"], NOT_FOUND)
        elif name in SESSION_EVENTS:
            state = self.sessions.get(payload["id" if name == "session_updated" else "session_id"])
            if state is not None:
                self._changed(state.event(name, payload))
            elif name == "session_updated":
                self._notify(name, **payload)
        elif name == "read":
            self._read(payload)
        else:
            self._notify(name, **payload)

    def _read(self, mark: Payload) -> None:
        state = self.sessions.get(mark["session_id"])
        if state is not None and mark["user_id"] == self.user_id:
            state.read(mark["seq"])
        self._notify("read", **mark)

    # ---- outcomes

    def _succeeded(self, request: Request, answer: Payload) -> None:
        state = self.sessions.get(request.key)
        if request.kind == "start_chat":
            self._started(request.key, answer["session"])
        elif request.kind == "send_message":
            self._accepted(request.key, request.payload["client_message_id"], answer["message_id"])
        elif request.kind == "join_chat" and state is not None:
            self._changed(state.join_answered(answer, request.payload.get("after_seq")))
            if not state.joined:
                self._join(state)
        elif request.kind == "get_messages" and state is not None:
            self._changed(state.older_answered(request.payload["before_seq"], answer))

    def _refused(self, request: Request, result: Outcome, now: float) -> None:
        code = result.code or ""
        state = self.sessions.get(request.key)
        if request.kind == "start_chat":
            self._notify("failed", client_request_id=request.key, code=code, message=result.message)
        elif request.kind == "send_message":
            client_message_id = request.payload["client_message_id"]
            self.outbox.remove(request.key, client_message_id)
            about = {"session_id": request.key, "client_message_id": client_message_id}
            self._notify("failed", **about, code=code, message=result.message)
            self._send_next(request.key)
        elif request.kind == "join_chat" and state is not None:
            if code == CONFLICT and state.cursor is not None:
                state.reset()
                self._requests.drop("get_messages", request.key)
                self._join(state)
            elif code == CONFLICT:  # a conflict on a first load is a fault of the server, so it is retried
                again = self._requests.start("join_chat", request.key, request.payload, now=False)
                self._requests.retry(again, result, now)
            else:
                self._close(request.key, code)

    def _started(self, client_request_id: str, session: Any) -> None:
        session_id = session["id"]
        fresh = session_id not in self.sessions
        state = self.sessions.setdefault(session_id, SessionState(session_id))
        if session["last_seq"] == 0 and state.cursor is None:
            self._requests.drop("join_chat", session_id)
            state.started(session)
        elif fresh:  # a repeated request: other members may have written in between
            self._join(state)
        self._notify("started", client_request_id=client_request_id, session_id=session_id)

    def _accepted(self, session_id: str, client_message_id: str, message_id: str) -> None:
        if self._message_ended(session_id, client_message_id):
            about = {"session_id": session_id, "client_message_id": client_message_id}
            self._notify("accepted", **about, message_id=message_id)

    def _message_ended(self, session_id: str, client_message_id: str) -> bool:
        """Remove a message from the outbox and send the session's next one; return whether it was there."""
        if self.outbox.remove(session_id, client_message_id) is None:
            return False
        self._send_next(session_id)
        return True

    def _close(self, session_id: str, code: str) -> None:
        self._requests.drop("join_chat", session_id)
        self._requests.drop("get_messages", session_id)
        if self.sessions.pop(session_id, None) is not None:
            self._notify("closed", session_id=session_id, code=code)

    # ---- calls

    def _join(self, state: SessionState) -> None:
        cursor = {} if state.cursor is None else {"after_seq": state.cursor}
        self._requests.start("join_chat", state.id, {"session_id": state.id, **cursor}, now=self.connected)

    def _send_next(self, session_id: str) -> None:
        """Send the session's first message, unless its request is already active."""
        item = self.outbox.first(session_id)
        request = self._requests.find("send_message", session_id)
        if request is not None:
            if item and request.payload["client_message_id"] == item.client_message_id:
                return
            self._requests.drop("send_message", session_id)
        if item is not None and self.connected:
            self._requests.start("send_message", session_id, item.payload, now=True)

    # ---- notices

    def _changed(self, changes: Iterable[Change]) -> None:
        for name, payload in changes:
            if name == "loaded":
                for message in payload["messages"]:
                    self._receipt(message)
            elif name in ("message", "message_updated"):
                self._receipt(cast("Message", payload))
            self._notices.append(Notice(name, payload))

    def _receipt(self, message: Message) -> None:
        """Treat a stored message of this user as its ack, which may arrive later."""
        item = self.outbox.receipt(message, self.user_id)
        if item is not None:
            about = {"session_id": item.session_id, "client_message_id": item.client_message_id}
            self._notify("accepted", **about, message_id=message["id"])
            self._send_next(item.session_id)

    def _notify(self, name: str, **payload: Any) -> None:
        self._notices.append(Notice(name, payload))
