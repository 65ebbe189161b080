"""The gateway asks auth directly, whatever proxies the environment names for the way outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from chat_gateway.identity.auth_client import AuthClient


class Auth(BaseHTTPRequestHandler):
    """Answers each request with an empty list."""

    def do_GET(self) -> None:
        body = b'{"keys": [], "cursor": "1", "logins": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing."""


@pytest.fixture
def auth_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Auth)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("http_proxy", "http://proxy.invalid:3128"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("all_proxy", "nonsense"),
    ],
)
async def test_proxies_of_the_environment_are_not_asked(
    monkeypatch: pytest.MonkeyPatch, auth_url: str, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    async with AuthClient(auth_url) as client:
        assert await client.jwks() == {"keys": [], "cursor": "1", "logins": []}
        assert (await client.revocations(None))["cursor"] == "1"
