#!/usr/bin/env bash
# Software: uvicorn 0.54.0, hypercorn 0.18.0 with wsproto 1.3.2, granian 2.8.9, websockets 17.4 (PyPI), Python 3.11
# Guess:    when the application raises an exception on an open WebSocket, the client gets a close frame with 1011
#           (internal error), whatever the server.
# Seen:     hypercorn sends 1011. uvicorn cuts the connection without a close frame. granian sends a close frame without a
#           code, which clients take for a normal end (1005): a crash looks like success.
# Output:   uvicorn: no close frame ConnectionClosedError
#           hypercorn: 1011 ConnectionClosedError
#           granian: 1005 ConnectionClosedOK
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
venv/bin/pip install -qq websockets==17.4 uvicorn==0.54.0 hypercorn==0.18.0 wsproto==1.3.2 granian==2.8.9
cat >app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
    await receive()
    await send({"type": "websocket.accept"})
    raise RuntimeError("a fault of the application")
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
serve hypercorn venv/bin/hypercorn app:app --bind 127.0.0.1:PORT
serve granian venv/bin/granian --interface asgi --port PORT app:app
cat >probe.py <<'PYTHON'
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

for line in sys.stdin:
    name, port = line.split()
    with connect(f"ws://127.0.0.1:{port}/") as socket:
        try:
            socket.recv(timeout=10)
        except ConnectionClosed as closed:
            print(f"{name}:", int(closed.rcvd.code) if closed.rcvd else "no close frame", type(closed).__name__)
PYTHON
venv/bin/python probe.py <ports | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
uvicorn: no close frame ConnectionClosedError
hypercorn: 1011 ConnectionClosedError
granian: 1005 ConnectionClosedOK
EXPECTED
