#!/usr/bin/env bash
# Software: amqplib 2.3.1, rabbitmq-client 5.0.8 (npm), Node.js 20, RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server)
# Guess:    a message header whose value is a Date becomes a timestamp, the type that AMQP has for it (Python's clients do
#           that with a datetime), or raises an error, as amqplib does for a BigInt.
# Seen:     both clients send an empty table. The date is lost without an error.
# Output:   amqplib: {"when":{}}
#           rabbitmq-client: {"when":{}}
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
npm install --silent --no-audit --no-fund amqplib@2.3.1 rabbitmq-client@5.0.8 >/dev/null
cat >probe.js <<'JAVASCRIPT'
const amqplib = require("amqplib");
const { Connection } = require("rabbitmq-client");

async function main(url) {
  const headers = { when: new Date("2026-01-02T03:04:05Z") };
  const one = await amqplib.connect(url);
  const channel = await one.createConfirmChannel();
  await channel.assertQueue("inbox");
  channel.publish("", "inbox", Buffer.from("x"), { headers });
  await channel.waitForConfirms();
  console.log("amqplib:", JSON.stringify((await channel.get("inbox", { noAck: true })).properties.headers));

  const other = new Connection(url);
  const publisher = other.createPublisher({ confirm: true });
  await publisher.send({ routingKey: "inbox", headers }, "x");
  console.log("rabbitmq-client:", JSON.stringify((await channel.get("inbox", { noAck: true })).properties.headers));
  await publisher.close();
  await other.close();
  await one.close();
}

main(process.argv[2]);
JAVASCRIPT
node probe.js "$url" | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
amqplib: {"when":{}}
rabbitmq-client: {"when":{}}
EXPECTED
