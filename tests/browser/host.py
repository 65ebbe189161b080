"""A site of another origin: one page with the widget of the server under test."""

from __future__ import annotations

import json
import re
import secrets
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.stack import ROOT

GUIDE = ROOT / "docs" / "how-to" / "embed-the-widget.md"
VISITOR = "visitor"  # name of a cookie
PAGE = """<!doctype html>
<html lang="en">
<title>A shop</title>
<h1>A shop</h1>
<script src="{server}/chat/widget.js" async data-chatbot="echo" data-label="Chat with us"{more}></script>
"""
MEMBERS = "/members/"  # below it the site keeps its visitors' logins in its backend
MANUAL = "/manual/"  # below it the script adds no widget
POLICY = "default-src 'none'; script-src {server}; frame-src {server}; connect-src 'self'"


def backend(server: str) -> Any:
    """Return the backend of the guide, with that server's address in it."""
    example = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert example
    names: dict[str, Any] = {}
    exec(example[1].replace("https://chat.example", server), names)
    return names["chat_token"]


class HostPage:
    """The site. A context manager. On every path, `?server=` selects the origin of the widget."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, str]] = {}  # by the visitor's cookie
        self.server = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, server = self.path.partition("?server=")
                if not server:  # not a page but an icon, which browsers request automatically
                    self.send_error(404)
                    return
                site.server = server
                kinds = {MEMBERS: ' data-tokens="/chat-token"', MANUAL: " data-manual"}
                more = next((more for prefix, more in kinds.items() if path.startswith(prefix)), "")
                body = PAGE.format(server=server, more=more).encode()
                self.send_response(200)
                self.send_header(
                    "Set-Cookie", f"{VISITOR}={self.visitor() or site.new_visitor()}; Path=/; HttpOnly; SameSite=Lax"
                )
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", POLICY.format(server=server))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                session = site.sessions.get(self.visitor())
                known = self.path == "/chat-token" and session is not None
                body = json.dumps(backend(site.server)(session) if known else {}).encode()
                self.send_response(200 if known else 403)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def visitor(self) -> str:
                cookie = SimpleCookie(self.headers.get("Cookie", "")).get(VISITOR)
                return cookie.value if cookie and cookie.value in site.sessions else ""

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def new_visitor(self) -> str:
        """Start a session of the site, and return its cookie."""
        cookie = secrets.token_hex(8)
        self.sessions[cookie] = {}
        return cookie

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        """The site's origin. Its host name differs from the server's, so that they are different sites."""
        return f"http://localhost:{self._server.server_port}"
