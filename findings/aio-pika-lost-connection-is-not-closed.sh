#!/usr/bin/env bash
# Software: aio-pika 10.2.1 with aiormq 7.2.4 (PyPI), RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), Python 3.11
# Guess:    after the TCP connection of a plain `aio_pika.connect` was reset, `connection.is_closed` is true, as it is
#           for its channels, and `await connection.closed()` returns.
# Seen:     the close callbacks are called and the channel is closed, but `connection.is_closed` stays false and
#           `closed()` does not return (3 s); opening a channel fails with a RuntimeError whose text is "… closed".
# Output:   callbacks called: 1, channel.is_closed: True, connection.is_closed: False
#           closed() returned: False, channel(): RuntimeError
set -euo pipefail

work=$(mktemp -d)
servers=()
clean() {
    for server in "${servers[@]}"; do kill -- "-$server" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap clean EXIT
cd "$work"

free_ports() { # COUNT
    python3 -c 'import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))' "$1"
}

rabbitmq() { # starts a private node with user guest; sets port
    local bin=/usr/lib/rabbitmq/bin distribution epmd
    read -r port distribution epmd <<<"$(free_ports 3)"
    mkdir mq
    printf 'listeners.tcp.1 = 127.0.0.1:%s\ndisk_free_limit.absolute = 10MB\n' "$port" >mq/rabbitmq.conf
    echo '[].' >mq/enabled_plugins
    echo "secret$RANDOM$RANDOM" >mq/.erlang.cookie
    chmod 400 mq/.erlang.cookie
    export ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME=finding$epmd@localhost
    node=(env HOME="$work/mq" PATH="$bin:$PATH" RABBITMQ_DIST_PORT="$distribution" RABBITMQ_MNESIA_BASE="$work/mq/data"
        RABBITMQ_LOG_BASE="$work/mq/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$work/mq/pid"
        RABBITMQ_ENABLED_PLUGINS_FILE="$work/mq/enabled_plugins" RABBITMQ_CONFIG_FILE="$work/mq/rabbitmq.conf"
        RABBITMQ_CONF_ENV_FILE=/dev/null)
    set -m
    epmd -port "$epmd" -address 127.0.0.1 >/dev/null 2>&1 &
    servers+=($!)
    "${node[@]}" "$bin/rabbitmq-server" >mq/output 2>&1 &
    servers+=($!)
    set +m
    for _ in $(seq 300); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.2
    done
    cat mq/output >&2
    return 1
}

rabbitmq
python3 -m venv venv
venv/bin/pip install -qq aio-pika==10.2.1 aiormq==7.2.4
cat >probe.py <<'PYTHON'
import asyncio
import logging
import sys

import aio_pika

logging.disable(logging.CRITICAL)


async def copy(source, target):
    while data := await source.read(65536):
        target.write(data)
        await target.drain()


async def relay(port):
    """Start a TCP relay in front of the broker; return its port and the writers of its connections."""
    writers = []

    async def connected(reader, writer):
        upstream, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend([writer, upstream_writer])
        await asyncio.gather(copy(reader, upstream_writer), copy(upstream, writer), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1], writers


async def main(port):
    front, writers = await relay(port)
    connection = await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{front}/")
    channel = await connection.channel()
    lost = asyncio.Event()
    calls = []
    connection.close_callbacks.add(lambda *arguments: (calls.append(arguments), lost.set()))
    for writer in writers:
        writer.transport.abort()
    await asyncio.wait_for(lost.wait(), 10)
    await asyncio.sleep(1)
    state = (len(calls), channel.is_closed, connection.is_closed)
    print("callbacks called: {}, channel.is_closed: {}, connection.is_closed: {}".format(*state))
    done, _ = await asyncio.wait([asyncio.ensure_future(connection.closed())], timeout=3)
    try:
        await connection.channel()
        failure = None
    except Exception as error:
        failure = type(error).__name__
    print(f"closed() returned: {bool(done)}, channel(): {failure}")
    assert (*state, bool(done), failure) == (1, True, False, False, "RuntimeError"), "the behaviour has changed"


asyncio.run(main(int(sys.argv[1])))
PYTHON
venv/bin/python probe.py "$port"
