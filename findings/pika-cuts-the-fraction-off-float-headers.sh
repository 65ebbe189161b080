#!/usr/bin/env bash
# Software: pika 1.4.4, kombu 5.7.0 with amqp 5.4.2 (PyPI), RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), Python 3.11
# Guess:    a message header with the float 1.5, sent by another client, is read by pika as 1.5. (Pika cannot send
#           floats itself; that raises.)
# Seen:     pika hands on the integer 1, without an error. kombu reads 1.5 from the same queue.
# Output:   kombu: 1.5
#           pika: 1 (long)
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
venv/bin/pip install -qq pika==1.4.4 kombu==5.7.0 amqp==5.4.2
cat >probe.py <<'PYTHON'
import sys

import kombu
import pika

other = kombu.Connection(sys.argv[1])
queue = kombu.Queue("scores", channel=other.channel())
queue.declare()
for _ in range(2):
    kombu.Producer(other.channel()).publish("x", routing_key="scores", headers={"score": 1.5})
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
while channel.queue_declare("scores", passive=True).method.message_count < 2:
    connection.sleep(0.1)
right = queue.get(no_ack=True).headers["score"]
cut = channel.basic_get("scores", auto_ack=True)[1].headers["score"]
print(f"kombu: {right}")
print(f"pika: {int(cut)} ({type(cut).__name__})")
assert right == 1.5 and cut == 1 and isinstance(cut, int), "the behaviour has changed"
PYTHON
venv/bin/python probe.py "$url"
