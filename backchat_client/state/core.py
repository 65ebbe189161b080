"""The client kit without its I/O: connections, answers, events and time come in; calls and notices go out.

Everything that makes a client correct is here and in what it uses, so that the golden scenarios
(`tests/contract/client_scenarios`) can play it. Answers and events must come in in the order of the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from backchat_client.notices import Notice
from backchat_client.state.outbox import Outbox, Outgoing
from backchat_client.state.requests import Call, Request, Requests
from backchat_client.state.session import Change, SessionState
from backchat_client.wire import Message, Outcome, Payload, outcome

SESSION_EVENTS = frozenset({"message", "message_updated", "message_delta", "session_updated"})
NOT_FOUND = "not_found"
CONFLICT = "conflict"


class Core:
    """One user's client."""

    def __init__(self, pending: Iterable[Outgoing], random: Callable[[], float]) -> None:
        """`pending`: what the store kept; `random`: numbers from 0 up to 1, for the jitter."""
        self.user_id: str | None = None
        self.connected = False
        self.sessions: dict[str, SessionState] = {}  # open ones, in the order opened
        self.outbox = Outbox(pending)
        self._requests = Requests(random)
        self._notices: list[Notice] = []

    # ---- what goes out

    def calls(self) -> list[Call]:
        """The calls to make now, in this order; each is given once."""
        calls, self._requests.calls = self._requests.calls, []
        return calls

    def notices(self) -> list[Notice]:
        """What to tell the program, in this order; each is given once."""
        notices, self._notices = self._notices, []
        return notices

    @property
    def wake_at(self) -> float | None:
        """When `tick` has something to do; None: not by itself."""
        return self._requests.wake_at

    # ---- what the program wants

    def open(self, session_id: str) -> SessionState:
        """Hold and follow a session, from now on over every connection."""
        state = self.sessions.get(session_id)
        if state is None:
            state = self.sessions[session_id] = SessionState(session_id)
            self._join(state)
        return state

    def leave(self, session_id: str) -> None:
        """Hold it no longer."""
        if self.sessions.pop(session_id, None) is None:
            return
        self._requests.drop("join_chat", session_id)
        if self.connected:
            self._requests.ask("leave_chat", session_id, {"session_id": session_id}, now=True)

    def older(self, session_id: str) -> None:
        """Ask for the page of history before what is shown, if there is one and nobody has asked."""
        state = self.sessions[session_id]
        asked = self._requests.find("get_messages", session_id)
        if state.older_than is not None and asked is None:
            payload = {"session_id": session_id, "before_seq": state.older_than}
            self._requests.ask("get_messages", session_id, payload, now=self.connected)

    def start_chat(self, payload: Payload) -> None:
        """Ask for a new session; `payload` has a `client_request_id`."""
        self._requests.ask("start_chat", payload["client_request_id"], payload, now=self.connected)

    def send(self, item: Outgoing) -> None:
        """Send a message that is in the store already."""
        self.outbox.add(item)
        self._send_next(item.session_id)

    # ---- what the connection brings

    def connect(self, user_id: str) -> None:
        """A new connection is ready: ask again for everything that is not settled."""
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
        """The connection is gone, and the answers under way with it."""
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
        """An ack came, or did not come in time (`None`)."""
        request = self._requests.answered(call_id)
        if request is None:
            return
        result = outcome(answer)
        if result.again and request.kind != "leave_chat":
            self._requests.retry(request, result, now)
            return
        self._requests.drop(request.kind, request.key)
        if result.code is None:
            self._succeeded(request, answer)
        else:
            self._refused(request, result, now)

    def event(self, name: str, payload: Payload) -> None:
        """A server event came."""
        if name == "message_rejected":
            self._settled(payload["session_id"], payload["client_message_id"])
            known = ("session_id", "client_message_id", "message_id", "code")
            self._tell("failed", **{key: payload[key] for key in known})
        elif name == "session_deleted":
            self._tell(name, **payload)
            self._close(payload["session_id"], NOT_FOUND)
        elif name in SESSION_EVENTS:
            state = self.sessions.get(payload["id" if name == "session_updated" else "session_id"])
            if state is not None:
                self._changed(state.event(name, payload))
            elif name == "session_updated":
                self._tell(name, **payload)
        elif name == "read":
            self._read(payload)
        else:
            self._tell(name, **payload)

    def _read(self, mark: Payload) -> None:
        state = self.sessions.get(mark["session_id"])
        if state is not None and mark["user_id"] == self.user_id:
            state.read(mark["seq"])
        self._tell("read", **mark)

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
            self._tell("failed", client_request_id=request.key, code=code, message=result.message)
        elif request.kind == "send_message":
            client_message_id = request.payload["client_message_id"]
            self.outbox.settle(request.key, client_message_id)
            about = {"session_id": request.key, "client_message_id": client_message_id}
            self._tell("failed", **about, code=code, message=result.message)
            self._send_next(request.key)
        elif request.kind == "join_chat" and state is not None:
            if code == CONFLICT and state.cursor is not None:
                state.reset()
                self._requests.drop("get_messages", request.key)
                self._join(state)
            elif code == CONFLICT:  # to a first load there is none: the server is not itself just now
                again = self._requests.ask("join_chat", request.key, request.payload, now=False)
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
        elif fresh:  # asked for before, and others have written since
            self._join(state)
        self._tell("started", client_request_id=client_request_id, session_id=session_id)

    def _accepted(self, session_id: str, client_message_id: str, message_id: str) -> None:
        if self._settled(session_id, client_message_id):
            about = {"session_id": session_id, "client_message_id": client_message_id}
            self._tell("accepted", **about, message_id=message_id)

    def _settled(self, session_id: str, client_message_id: str) -> bool:
        """Take a message out of the outbox, by whatever it was settled, and go on with the next one."""
        if self.outbox.settle(session_id, client_message_id) is None:
            return False
        self._send_next(session_id)
        return True

    def _close(self, session_id: str, code: str) -> None:
        self._requests.drop("join_chat", session_id)
        self._requests.drop("get_messages", session_id)
        if self.sessions.pop(session_id, None) is not None:
            self._tell("closed", session_id=session_id, code=code)

    # ---- calls

    def _join(self, state: SessionState) -> None:
        cursor = {} if state.cursor is None else {"after_seq": state.cursor}
        self._requests.ask("join_chat", state.id, {"session_id": state.id, **cursor}, now=self.connected)

    def _send_next(self, session_id: str) -> None:
        """Send the lane's first message unless it is under way, or waiting to be sent again, already."""
        item = self.outbox.first(session_id)
        request = self._requests.find("send_message", session_id)
        if request is not None:
            if item and request.payload["client_message_id"] == item.client_message_id:
                return
            self._requests.drop("send_message", session_id)
        if item is not None and self.connected:
            self._requests.ask("send_message", session_id, item.payload, now=True)

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
        """A stored message of ours is as good as its ack, and may be there before it."""
        item = self.outbox.receipt(message, self.user_id)
        if item is not None:
            about = {"session_id": item.session_id, "client_message_id": item.client_message_id}
            self._tell("accepted", **about, message_id=message["id"])
            self._send_next(item.session_id)

    def _tell(self, name: str, **payload: Any) -> None:
        self._notices.append(Notice(name, payload))
