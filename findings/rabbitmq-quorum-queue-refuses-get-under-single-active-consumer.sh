#!/usr/bin/env bash
# Software: RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), pika 1.4.4 (PyPI), Python 3.11
# Guess:    `basic.get` works on a queue with `x-single-active-consumer` as long as no consumer is subscribed, on
#           quorum queues as on classic ones.
# Seen:     the classic queue hands the message over; the quorum queue closes the channel with 405 RESOURCE_LOCKED,
#           although the queue has no consumer at all. A tool that peeks by `basic.get` works until the type changes.
# Output:   classic: b'one'
#           quorum: 405
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
venv/bin/pip install -qq pika==1.4.4
cat >probe.py <<'PYTHON'
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
seen = {}
for kind in ("classic", "quorum"):
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(kind, durable=True, arguments={"x-queue-type": kind, "x-single-active-consumer": True})
    channel.basic_publish("", kind, b"one")
    try:
        seen[kind] = channel.basic_get(kind, auto_ack=True)[2]
    except pika.exceptions.ChannelClosedByBroker as error:
        seen[kind] = error.reply_code
    print(f"{kind}: {seen[kind]}")
assert seen == {"classic": b"one", "quorum": 405}, "the behaviour has changed"
PYTHON
venv/bin/python probe.py "$url"
