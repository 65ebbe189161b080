#!/usr/bin/env bash
# Software: RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), pika 1.4.4 (PyPI), Python 3.11
# Guess:    a quorum queue with `x-delivery-limit` -1, which newer versions take for "no limit", is refused by a version
#           that does not know that meaning; or it has no limit.
# Seen:     the declaration is accepted, and the first message whose consumer goes away is dropped (dead-lettered with the
#           reason delivery_limit). A queue without the argument keeps it.
# Output:   no limit given: 1 message left
#           limit -1: 0 messages left, dead-lettered: delivery_limit
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
import time

import pika

connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
channel.confirm_delivery()
channel.queue_declare("dead", durable=True)
seen = {}
for name, limit in (("plain", {}), ("limited", {"x-delivery-limit": -1})):
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum", **dead, **limit})
    channel.basic_publish("", name, b"one")
    consumer = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
    assert consumer.channel().basic_get(name)[2] == b"one"
    consumer.close()
    time.sleep(2)
    seen[name] = channel.queue_declare(name, passive=True).method.message_count
_, properties, _ = channel.basic_get("dead", auto_ack=True)
reason = properties.headers["x-death"][0]["reason"] if properties else None
print(f"no limit given: {seen['plain']} message left")
print(f"limit -1: {seen['limited']} messages left, dead-lettered: {reason}")
assert (seen["plain"], seen["limited"], reason) == (1, 0, "delivery_limit"), "the behaviour has changed"
PYTHON
venv/bin/python probe.py "$url"
