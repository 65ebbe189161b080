"""The Socket.IO connection of a browser in the hands of a test, on whatever stack: cut, held up, or answered for."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import BrowserContext, Route, WebSocketRoute

SOCKETS = re.compile(r"/socket\.io/")
EVENT = re.compile(r"42(\d*)(\[.*)", re.DOTALL)  # an event, as Socket.IO frames it: id of the ack, name and payload

Frame = str | bytes


class Wire:
    """The way of every page of a browser context to the server. To be made before a page opens its connection."""

    def __init__(self, context: BrowserContext) -> None:
        self.is_cut = False
        self.refusals: dict[str, str] = {}  # the code that an event of the page is answered with, by its name
        self._held: list[tuple[WebSocketRoute, Frame]] | None = None
        self._holds = re.compile("")
        self._open: list[WebSocketRoute] = []
        context.route(SOCKETS, self._polled)
        context.route_web_socket(SOCKETS, self._opened)

    def cut(self) -> None:
        """End every connection, and let no other come about until `mend`."""
        self.is_cut = True
        for socket in self._open:
            socket.close()
        self._open.clear()
        self._held = None

    def mend(self) -> None:
        """Let connections come about again."""
        self.is_cut = False

    def hold(self, pattern: str) -> None:
        """Keep back each frame of the server whose beginning matches, until `let_go`; a `cut` loses them."""
        self._held, self._holds = [], re.compile(pattern)

    def let_go(self) -> None:
        """Let what was kept back arrive."""
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
            socket.send("no packet of Engine.IO")  # which fails at once; what is only closed is waited for
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
