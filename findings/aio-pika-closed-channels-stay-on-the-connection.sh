#!/usr/bin/env bash
# Software: aio-pika 10.2.1 with aiormq 7.2.4 (PyPI), RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), Python 3.11
# Guess:    a channel that was closed is forgotten; a connection that opened 500 channels in turn is as small as one
#           that opened none.
# Seen:     each channel leaves two callbacks, with the objects that they refer to, on the closing future of the
#           connection. They go only with the connection, so a process with a channel for each piece of work grows
#           without end. A connection of aiormq alone, which aio-pika is built on, does not grow.
# Output:   aio-pika: 1000 callbacks more after 500 channels
#           aiormq: 0 callbacks more after 500 channels
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

rabbitmq() { # starts a private node with user guest; sets port and url
    local bin=/usr/lib/rabbitmq/bin distribution epmd
    read -r port distribution epmd <<<"$(free_ports 3)"
    url=amqp://guest:guest@127.0.0.1:$port/
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
import gc
import sys

import aio_pika
import aiormq


def callbacks(connection):
    gc.collect()
    return len(connection._closing._callbacks or ())


async def growth(connection, lower):
    channel = await connection.channel()
    await channel.close()
    before = callbacks(lower)
    for _ in range(500):
        channel = await connection.channel()
        await channel.close()
    return callbacks(lower) - before


async def main(url):
    async with await aio_pika.connect(url) as connection:
        high = await growth(connection, connection.transport.connection)
    connection = await aiormq.connect(url)
    low = await growth(connection, connection)
    await connection.close()
    print(f"aio-pika: {high} callbacks more after 500 channels")
    print(f"aiormq: {low} callbacks more after 500 channels")
    assert (high, low) == (1000, 0), "the behaviour has changed"


asyncio.run(main(sys.argv[1]))
PYTHON
venv/bin/python probe.py "$url"
