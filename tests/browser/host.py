"""Somebody else's site: one page with the widget of our server in it, on an origin of its own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

PAGE = """<!doctype html>
<html lang="en">
<title>A shop</title>
<h1>A shop</h1>
<script src="{server}/chat/widget.js" async data-chatbot="echo" data-label="Chat with us"></script>
"""
POLICY = "default-src 'none'; script-src {server}; frame-src {server}"


class HostPage:
    """The site; a context manager. Whatever path is asked for, `?server=` names where the widget comes from."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server = self.path.partition("?server=")[2]
                body = PAGE.format(server=server).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", POLICY.format(server=server))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        """Its origin: another host name than the server's, so that the two are different sites."""
        return f"http://localhost:{self._server.server_port}"
