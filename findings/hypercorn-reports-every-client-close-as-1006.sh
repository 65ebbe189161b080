#!/usr/bin/env bash
# Software: hypercorn 0.18.0 with wsproto 1.3.2, granian 2.8.9, uvicorn 0.54.0, websockets 17.4 (PyPI), Python 3.11
# Guess:    when the client closes a WebSocket with code 4321, the application gets `websocket.disconnect` with code 4321;
#           with 1000 it gets 1000.
# Seen:     so in uvicorn and granian. hypercorn answers the close frame rightly, but tells the application 1006, the code
#           for a lost connection, whatever the client said. There an application cannot distinguish the two.
# Output:   uvicorn: 4321 1000
#           hypercorn: 1006 1006
#           granian: 4321 1000
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
import os


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
    with open(os.environ["CODES"], "a") as file:
        file.write(f"{int(message['code'])}\n")
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
CODES=$work/uvicorn.codes serve uvicorn venv/bin/uvicorn app:app --port PORT
CODES=$work/hypercorn.codes serve hypercorn venv/bin/hypercorn app:app --bind 127.0.0.1:PORT
CODES=$work/granian.codes serve granian venv/bin/granian --interface asgi --port PORT app:app
cat >probe.py <<'PYTHON'
import sys
import time
from pathlib import Path

from websockets.sync.client import connect

for line in sys.stdin:
    name, port = line.split()
    codes = Path(f"{name}.codes")
    for number, code in enumerate((4321, 1000), 1):
        with connect(f"ws://127.0.0.1:{port}/") as socket:
            socket.close(code)
        for _ in range(100):
            if codes.exists() and len(codes.read_text().split()) >= number:
                break
            time.sleep(0.1)
    print(f"{name}:", *codes.read_text().split())
PYTHON
venv/bin/python probe.py <ports | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
uvicorn: 4321 1000
hypercorn: 1006 1006
granian: 4321 1000
EXPECTED
