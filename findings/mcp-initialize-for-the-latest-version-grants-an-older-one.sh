#!/usr/bin/env bash
# Software: mcp 2.3.0 with httpx 0.28.1 (PyPI), Python 3.11
# Guess:    the server implements the protocol version 2026-07-28 (it is its LATEST_PROTOCOL_VERSION), so an `initialize`
#           that asks for that version is granted it, or is refused because that version has no `initialize`.
# Seen:     it is granted 2025-11-25, without a hint. A version that does not exist gets the same answer, so a client cannot
#           distinguish a server that speaks 2026-07-28 from one that never will.
# Output:   latest: 2026-07-28
#           2025-06-18 -> 2025-06-18
#           2026-07-28 -> 2025-11-25
#           2099-01-01 -> 2025-11-25
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq mcp==2.3.0 httpx==0.28.1
cat >probe.py <<'PYTHON'
import asyncio
import json

import httpx
from mcp.server.mcpserver import MCPServer
from mcp.types import LATEST_PROTOCOL_VERSION

app = MCPServer("empty").streamable_http_app()
accept = {"accept": "application/json, text/event-stream"}


async def send(client, headers=None, **message):
    return await client.post("/mcp", json={"jsonrpc": "2.0", **message}, headers=accept | (headers or {}))


async def main():
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        print("latest:", LATEST_PROTOCOL_VERSION)
        for version in ("2025-06-18", "2026-07-28", "2099-01-01"):
            parameters = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "probe", "version": "1"}}
            answer = await send(client, id=1, method="initialize", params=parameters)
            data = next(line[6:] for line in answer.text.splitlines() if line.startswith("data: {"))
            print(version, "->", json.loads(data)["result"]["protocolVersion"])


asyncio.run(main())
PYTHON
venv/bin/python probe.py 2>/dev/null | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
latest: 2026-07-28
2025-06-18 -> 2025-06-18
2026-07-28 -> 2025-11-25
2099-01-01 -> 2025-11-25
EXPECTED
