#!/usr/bin/env bash
# Software: aio-pika 10.2.1 with aiormq 7.2.4 (PyPI), RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), Python 3.11
# Guess:    `repr(connection.transport)` works at any time, so it can be put into a log line about a lost connection.
# Seen:     it works while the connection is open. Once the close callback has run, it raises AttributeError: the
#           wrapper of the callback deletes its attribute `callback` after the call, and its own __repr__ reads it.
# Output:   open: UnderlayConnection(…
#           closed: AttributeError: 'OneShotCallback' object has no attribute 'callback'
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
import sys

import aio_pika


async def main(url):
    connection = await aio_pika.connect(url)
    transport = connection.transport
    before = repr(transport).startswith("UnderlayConnection(")
    print("open:", repr(transport)[:19] + "…")
    await connection.close()
    await asyncio.sleep(1)
    try:
        after = repr(transport)
    except AttributeError as error:
        after = f"AttributeError: {error}"
    print("closed:", after)
    expected = "AttributeError: 'OneShotCallback' object has no attribute 'callback'"
    assert before and after == expected, "the behaviour has changed"


asyncio.run(main(sys.argv[1]))
PYTHON
venv/bin/python probe.py "$url"
