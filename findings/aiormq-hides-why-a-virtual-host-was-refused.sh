#!/usr/bin/env bash
# Software: aiormq 7.2.4 (PyPI), RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server), pika 1.4.4 (PyPI), Python 3.11
# Guess:    connecting to a virtual host that does not exist raises an error with the words of the broker, "NOT_ALLOWED -
#           vhost absent not found", as a wrong password raises one with the words "ACCESS_REFUSED - …".
# Seen:     it raises InvalidFrameError "Expected one of ['Connection.OpenOk'], got <Connection.Close object …>"; the code
#           530 and the reason are in no attribute of the error or of its causes. pika has them.
# Output:   aiormq: InvalidFrameError, reason in it: False
#           pika: ProbableAccessDeniedError, reason in it: True
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
venv/bin/pip install -qq aiormq==7.2.4 pika==1.4.4
cat >probe.py <<'PYTHON'
import asyncio
import logging
import sys

import aiormq
import pika

logging.disable(logging.CRITICAL)
url = sys.argv[1] + "absent"


def has_reason(error):
    texts = []
    while error:
        texts.append(f"{error!r} {error} {vars(error)}")
        error = error.__cause__ or error.__context__
    return "NOT_ALLOWED" in " ".join(texts)


async def main():
    connection = await aiormq.connect(url)
    await connection.close()


seen = []
for name, connect in (("aiormq", lambda: asyncio.run(main())), ("pika", lambda: pika.BlockingConnection(pika.URLParameters(url)))):
    try:
        connect()
    except Exception as error:
        seen.append((type(error).__name__, has_reason(error)))
        print(f"{name}: {seen[-1][0]}, reason in it: {seen[-1][1]}")
assert seen == [("InvalidFrameError", False), ("ProbableAccessDeniedError", True)], "the behaviour has changed"
PYTHON
venv/bin/python probe.py "$url"
