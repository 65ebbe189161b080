"""A small client of W3C WebDriver, for browsers as Debian ships them, which Playwright cannot drive.

Chromium and WebKitGTK have drivers that speak WebDriver over HTTP. Firefox has no driver in Debian, but understands the
same commands as JSON over TCP (Marionette); geckodriver only translates between the two.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Protocol

import httpx2

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id in WebDriver
TIMEOUT = 60.0  # seconds for one command
ROUTES = {
    "DeleteAllCookies": ("DELETE", "/cookie"),
    "ElementClear": ("POST", "/element/{id}/clear"),
    "ElementClick": ("POST", "/element/{id}/click"),
    "ElementSendKeys": ("POST", "/element/{id}/value"),
    "ExecuteScript": ("POST", "/execute/sync"),
    "FindElements": ("POST", "/elements"),
    "Navigate": ("POST", "/url"),
    "PerformActions": ("POST", "/actions"),
}


class CommandFailed(Exception):
    """The browser answered a command with an error."""


class WebDriver(Protocol):
    """A session of one browser."""

    def command(self, name: str, **parameters: Any) -> Any:
        """Run a command by its Marionette name without the prefix `WebDriver:`, and return its value.

        Raises:
            CommandFailed: the browser answered with an error.
        """

    def close(self) -> None:
        """End the connection to the browser."""


class HttpDriver:
    """A session over HTTP, through the driver at `url`."""

    def __init__(self, url: str, capabilities: dict[str, Any]) -> None:
        self._http = httpx2.Client(base_url=url, timeout=TIMEOUT)
        session = self._request("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{session['sessionId']}"

    def command(self, name: str, **parameters: Any) -> Any:
        method, path = ROUTES[name]
        return self._request(method, self._session + path.format(**parameters), parameters)

    def close(self) -> None:
        self._request("DELETE", self._session, {})
        self._http.close()

    def _request(self, method: str, path: str, body: dict[str, Any]) -> Any:
        response = self._http.request(method, path, json=body if method == "POST" else None)
        value = response.json()["value"]
        if response.is_error:
            raise CommandFailed(value)
        return value


class Marionette:
    """A session of the Firefox that listens on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._stream = self._socket.makefile("rb")
        self._last_id = 0
        self._receive()  # the server's greeting
        self.command("NewSession", capabilities={"alwaysMatch": {}})

    def command(self, name: str, **parameters: Any) -> Any:
        self._last_id += 1
        message = json.dumps([0, self._last_id, f"WebDriver:{name}", parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._receive()
        if error is not None:
            raise CommandFailed(error)
        return result["value"] if isinstance(result, dict) and result.keys() == {"value"} else result

    def close(self) -> None:
        self.command("DeleteSession")
        self._stream.close()
        self._socket.close()

    def _receive(self) -> Any:
        length = b""
        while (byte := self._stream.read(1)) != b":":
            if not byte:
                raise CommandFailed("Firefox closed the connection")
            length += byte
        return json.loads(self._stream.read(int(length)))
