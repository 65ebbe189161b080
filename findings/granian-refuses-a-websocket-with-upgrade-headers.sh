#!/usr/bin/env bash
# Software: granian 2.8.9, uvicorn 0.54.0, websockets 17.4 (PyPI), Python 3.11
# Guess:    an application that refuses a WebSocket by `websocket.http.response.start` with status 401 gives a plain 401.
# Seen:     granian sends the 401 with the headers of a successful handshake (`connection: upgrade`, `upgrade: websocket`,
#           `sec-websocket-accept`); uvicorn does not.
# Output:   uvicorn: 401
#           granian: 401 connection: upgrade sec-websocket-accept upgrade: websocket
set -euo pipefail

work=$(mktemp -d)
servers=()
clean() {
    for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap clean EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq websockets==17.4 uvicorn==0.54.0 granian==2.8.9
cat >app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
    await receive()
    await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "websocket.http.response.body", "body": b""})
PYTHON
serve() { # NAME COMMAND…: starts an ASGI server on a free port, prints NAME and PORT
    local name=$1 port
    shift
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "${@//PORT/$port}" >"$name.log" 2>&1 &
    servers+=($!)
    for _ in $(seq 100); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.2
    done
    echo "$name $port" >>ports
}
serve uvicorn venv/bin/uvicorn app:app --port PORT
serve granian venv/bin/granian --interface asgi --port PORT app:app
cat >probe.py <<'PYTHON'
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

for line in sys.stdin:
    name, port = line.split()
    try:
        connect(f"ws://127.0.0.1:{port}/")
    except InvalidStatus as refused:
        headers = {key.lower(): value for key, value in refused.response.headers.raw_items()}
        found = [f"{key}: {headers[key]}" for key in ("connection", "upgrade") if headers.get(key) in ("upgrade", "websocket")]
        found += ["sec-websocket-accept"] * ("sec-websocket-accept" in headers)
        print(f"{name}: {refused.response.status_code}", *sorted(found))
PYTHON
venv/bin/python probe.py <ports | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
uvicorn: 401
granian: 401 connection: upgrade sec-websocket-accept upgrade: websocket
EXPECTED
