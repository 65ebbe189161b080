#!/usr/bin/env bash
# Software: mcp 2.3.0 with httpx 0.28.1 (PyPI), Python 3.11
# Guess:    a request without a session is refused, and the refusal names no session and the id of the request.
# Seen:     the 400 "Missing session ID" has a new `mcp-session-id` header and a null id. A client that takes that session
#           (as it should from a response to `initialize`) gets 404 "Session not found" at once.
# Output:   400, id None, Bad Request: Missing session ID, with a session id: True
#           with that session: 404 Session not found
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq mcp==2.3.0 httpx==0.28.1
cat >probe.py <<'PYTHON'
import asyncio

import httpx
from mcp.server.mcpserver import MCPServer

app = MCPServer("empty").streamable_http_app()
accept = {"accept": "application/json, text/event-stream"}


async def send(client, headers=None, **message):
    return await client.post("/mcp", json={"jsonrpc": "2.0", **message}, headers=accept | (headers or {}))


async def main():
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        refusal = await send(client, id=7, method="tools/list")
        error, session = refusal.json(), refusal.headers.get("mcp-session-id")
        print(f"{refusal.status_code}, id {error['id']}, {error['error']['message']}, with a session id: {bool(session)}")
        again = await send(client, {"mcp-session-id": session or ""}, id=8, method="tools/list")
        print("with that session:", again.status_code, again.json()["error"]["message"])


asyncio.run(main())
PYTHON
venv/bin/python probe.py 2>/dev/null | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
400, id None, Bad Request: Missing session ID, with a session id: True
with that session: 404 Session not found
EXPECTED
