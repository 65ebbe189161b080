"""A proxy that fails requests for chosen files, for browsers whose requests a test cannot intercept."""

from __future__ import annotations

import re
import socket
import threading
from itertools import takewhile
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import BinaryIO, Self
from urllib.parse import urlsplit

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHUNK = 65_536  # bytes


class Gate:
    """The proxy, on a free port. A context manager."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        target = address.hostname or "", address.port or 80
        gate = self
        self._failing: re.Pattern[bytes] | None = None
        self._answer = b""

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(target) as server:
                    threading.Thread(target=_copy, args=(server, self.connection), daemon=True).start()
                    while head := _head(self.rfile):
                        if gate._fails(head):
                            self.connection.sendall(gate._answer)
                            return
                        server.sendall(head + b"\r\n")
                        if re.search(rb"(?im)^upgrade:", head):
                            break
                        length = re.search(rb"(?im)^content-length: *(\d+)", head)
                        server.sendall(self.rfile.read(int(length[1]) if length else 0))
                    while data := self.rfile.read1(CHUNK):
                        server.sendall(data)

        class Server(ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # one side closed the connection

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The stack's address through this proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, names: str, *, by_status: bool = False) -> None:
        """Fail every script whose name, without its hash, matches: close the connection, or answer with HTTP 503."""
        self._answer = UNAVAILABLE if by_status else b""
        self._failing = re.compile(rf"GET /chat/assets/({names})-[^/ ]*\.js ".encode())

    def heal(self) -> None:
        """Pass every request."""
        self._failing = None

    def _fails(self, head: bytes) -> bool:
        return bool(self._failing and self._failing.match(head))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _head(file: BinaryIO) -> bytes:
    """Return the next request line and headers; empty at the end of the connection."""
    lines = iter(file.readline, b"")
    return b"".join(takewhile(lambda line: line != b"\r\n", lines))


def _copy(server: socket.socket, client: socket.socket) -> None:
    try:
        while data := server.recv(CHUNK):
            client.sendall(data)
    except OSError:
        pass  # the opposite direction has ended
    finally:
        client.close()
