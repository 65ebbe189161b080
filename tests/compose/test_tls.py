"""With `BACKCHAT_SITE` the edge serves HTTPS only; for `localhost`, Caddy issues the certificate itself."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator

import httpx2
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.compose.operating import Operator

ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"
SITE = "https://localhost"


@pytest.fixture
def trust(changing: Operator) -> Iterator[ssl.SSLContext]:
    """The stack at `https://localhost`, and a TLS context that trusts its authority."""
    changing.run("docker compose up --detach --wait", BACKCHAT_SITE="localhost")
    authority = changing.run(f"docker compose exec -T edge cat {ROOT_CERTIFICATE}", BACKCHAT_SITE="localhost")
    yield ssl.create_default_context(cadata=authority)


async def test_page_accounts_and_sockets_work_over_https(trust: ssl.SSLContext, url: str) -> None:
    with httpx2.Client(verify=trust) as http:
        page = http.get(f"{SITE}/chat/")
        assert page.status_code == 200
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        there = http.get("http://localhost/chat/")
        assert (there.status_code, there.headers["Location"]) == (308, f"{SITE}/chat/")
        with pytest.raises(httpx2.TransportError):
            http.get(f"{url}/chat/")
        body = {"id": "over-https", "passcode": "four words of chance"}
        assert http.post(f"{SITE}/register", json=body).status_code == 201
        token = http.post(f"{SITE}/login", json=body).json()["access_token"]
    address = f"wss{SITE.removeprefix('https')}/socket.io/?EIO=4&transport=websocket"
    with connect(address, ssl=trust, origin=Origin(SITE), proxy=None) as socket:
        assert str(socket.recv(timeout=10)).startswith("0{")
        socket.send("40" + json.dumps({"token": token}))
        assert str(socket.recv(timeout=10)).startswith('40{"sid"')
