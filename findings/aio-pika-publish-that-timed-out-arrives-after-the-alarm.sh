#!/usr/bin/env bash
# Software: aio-pika 10.2.1 with aiormq 7.2.4 (PyPI), RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), Python 3.11
# Guess:    while the broker blocks publishers (memory alarm), `publish(timeout=2)` raises TimeoutError and takes the
#           message back; it never arrives, so publishing it again does no harm.
# Seen:     it raises, but the message lies in the socket of the blocked connection and is stored when the alarm clears.
#           Publishing it again stores it twice.
# Output:   during the alarm: TimeoutError, 0 stored
#           after it: 1 stored
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
import logging
import sys

import aio_pika

logging.disable(logging.CRITICAL)


async def control(*arguments):
    process = await asyncio.create_subprocess_exec(*sys.argv[2:], *arguments)
    assert await process.wait() == 0


async def stored(url):
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        return (await channel.declare_queue("inbox", passive=True)).declaration_result.message_count


async def main(url):
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.declare_queue("inbox")
    publish = channel.default_exchange.publish
    await publish(aio_pika.Message(b"first"), "inbox")
    await (await channel.get_queue("inbox")).purge()
    await control("set_vm_memory_high_watermark", "0")
    await asyncio.sleep(2)
    try:
        await publish(aio_pika.Message(b"second"), "inbox", timeout=2)
        outcome = "confirmed"
    except Exception as error:
        outcome = type(error).__name__
    during = await stored(url)
    print(f"during the alarm: {outcome}, {during} stored")
    await control("set_vm_memory_high_watermark", "0.4")
    for _ in range(100):
        if after := await stored(url):
            break
        await asyncio.sleep(0.1)
    print(f"after it: {after} stored")
    await connection.close()
    assert (outcome, during, after) == ("TimeoutError", 0, 1), "the behaviour has changed"


asyncio.run(main(sys.argv[1]))
PYTHON
venv/bin/python probe.py "$url" "${node[@]}" /usr/lib/rabbitmq/bin/rabbitmqctl -q -n "$RABBITMQ_NODENAME"
