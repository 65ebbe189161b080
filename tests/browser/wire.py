"""Controls the Socket.IO connection of a browser: cuts it, holds frames back, or answers for the server."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import BrowserContext, Route, WebSocketRoute

SOCKETS = re.compile(r"/socket\.io/")
EVENT = re.compile(r"42(\d*)(\[.*)", re.DOTALL)  # a Socket.IO event: id of its ack, name and payload

Frame = str | bytes


class Wire:
    """The connections of all pages of a browser context. Create it before a page connects."""

    def __init__(self, context: BrowserContext) -> None:
        self.is_cut = False
        self.refusals: dict[str, str] = {}  # error codes with which the page's events are answered, by event name
        self._held: list[tuple[WebSocketRoute, Frame]] | None = None
        self._holds = re.compile("")
        self._open: list[WebSocketRoute] = []
        context.route(SOCKETS, self._polled)
        context.route_web_socket(SOCKETS, self._opened)

    def cut(self) -> None:
        """Close every connection, and refuse new ones until `restore`."""
        self.is_cut = True
        for socket in self._open:
            socket.close()
        self._open.clear()
        self._held = None

    def restore(self) -> None:
        """Allow connections again."""
        self.is_cut = False

    def hold(self, pattern: str) -> None:
        """Hold back every frame of the server that starts with the pattern, until `release`; `cut` discards them."""
        self._held, self._holds = [], re.compile(pattern)

    def release(self) -> None:
        """Deliver the held frames."""
        held, self._held = self._held or [], None
        for socket, frame in held:
            socket.send(frame)

    def _polled(self, route: Route) -> None:
        if self.is_cut:
            route.abort()
        else:
            route.continue_()

    def _opened(self, socket: WebSocketRoute) -> None:
        if self.is_cut:
            # this fails at once, while the page would wait for a closed connection
            socket.send("no packet of Engine.IO")
            return
        server = socket.connect_to_server()
        self._open.append(socket)

        def say(frame: Frame) -> None:
            answer = self._refusal(frame)
            if answer:
                socket.send(answer)
            else:
                server.send(frame)

        def hear(frame: Frame) -> None:
            if self._held is not None and self._holds.match(str(frame)):
                self._held.append((socket, frame))
            else:
                socket.send(frame)

        socket.on_message(say)
        server.on_message(hear)

    def _refusal(self, frame: Frame) -> str | None:
        event = EVENT.match(str(frame))
        code = self.refusals.get(json.loads(event[2])[0]) if event else None
        if event is None or code is None:
            return None
        answer: Any = {"ok": False, "error": {"code": code, "message": "Not now."}}
        return f"43{event[1]}{json.dumps([answer])}"
