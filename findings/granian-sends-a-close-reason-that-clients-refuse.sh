#!/usr/bin/env bash
# Software: granian 2.8.9, hypercorn 0.18.0 with wsproto 1.3.2, websockets 17.4 (PyPI), Python 3.11
# Guess:    a close reason of 200 characters does not fit into a close frame (at most 123 bytes): the server raises an error
#           to the application or cuts the text, as hypercorn does.
# Seen:     granian accepts it and sends a frame that the protocol forbids. The client fails with 1002 (protocol error), so
#           code 4000 and the reason are lost, and the application never learns of it.
# Output:   hypercorn: 4000 123
#           granian: the client closed with 1002
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
venv/bin/pip install -qq websockets==17.4 hypercorn==0.18.0 wsproto==1.3.2 granian==2.8.9
cat >app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4000, "reason": "x" * 200})
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
            if closed.rcvd:
                print(f"{name}:", int(closed.rcvd.code), len(closed.rcvd.reason))
            else:
                print(f"{name}: the client closed with", int(closed.sent.code))
PYTHON
venv/bin/python probe.py <ports | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
hypercorn: 4000 123
granian: the client closed with 1002
EXPECTED
