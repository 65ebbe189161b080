#!/usr/bin/env bash
# Software: RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), pika 1.4.4 (PyPI), Python 3.11
# Guess:    a connection that is blocked by a memory alarm is told when a disk alarm joins, or when only that is left, so
#           that the last reason it has heard is the present one.
# Seen:     it hears "low on memory" and nothing more until it is unblocked, also while the disk alarm is the only one; a
#           connection that publishes for the first time then hears "low on disk".
# Output:   memory alarm: low on memory
#           disk alarm instead: low on memory
#           a new connection: low on disk
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
import subprocess
import sys

import pika


def control(*arguments):
    subprocess.run([*sys.argv[2:], *arguments], check=True)


def publisher():
    """Return a connection that has published, and the list of the reasons that it hears."""
    connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
    reasons = []
    connection.add_on_connection_blocked_callback(lambda _, frame: reasons.append(frame.method.reason))
    connection.channel().basic_publish("", "nowhere", b"")
    connection.process_data_events(2)
    return connection, reasons


control("set_vm_memory_high_watermark", "0")
first, heard = publisher()
print("memory alarm:", *heard)
control("set_disk_free_limit", "100000GB")
control("set_vm_memory_high_watermark", "0.4")
first.process_data_events(5)
print("disk alarm instead:", *heard)
second, heard_by_second = publisher()
print("a new connection:", *heard_by_second)
control("set_disk_free_limit", "10MB")
first.process_data_events(2)
second.process_data_events(2)
first.close()
second.close()
assert (heard, heard_by_second) == (["low on memory"], ["low on disk"]), "the behaviour has changed"
PYTHON
venv/bin/python probe.py "$url" "${node[@]}" /usr/lib/rabbitmq/bin/rabbitmqctl -q -n "$RABBITMQ_NODENAME"
