#!/usr/bin/env bash
# Software: amqp-connection-manager 5.0.0 with amqplib 2.3.1 (npm), Node.js 20, RabbitMQ 3.10.8 (Debian 12 package rabbitmq-server)
# Guess:    publishing to an exchange that does not exist fails, and that channel alone is opened again at once; other
#           channels of the manager go on, since AMQP ends a channel, not the connection, for this.
# Seen:     the whole connection counts as lost: every channel is set up again, after the reconnection time of 5 s, and a
#           message on a channel that did nothing wrong waits that long.
# Output:   publish: channel closed
#           disconnected: true, the other channel was set up 2 times, its message took more than 4 s: true
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
npm install --silent --no-audit --no-fund amqp-connection-manager@5.0.0 amqplib@2.3.1 >/dev/null
cat >probe.js <<'JAVASCRIPT'
const manager = require("amqp-connection-manager");

async function main(url) {
  const connection = manager.connect([url]);
  let disconnected = false;
  let setups = 0;
  connection.on("disconnect", () => (disconnected = true));
  const wrong = connection.createChannel();
  wrong.on("error", () => {});
  const other = connection.createChannel({
    setup: async (channel) => {
      setups += 1;
      await channel.assertQueue("inbox");
    },
  });
  await Promise.all([wrong.waitForConnect(), other.waitForConnect()]);
  await wrong.publish("absent", "key", Buffer.from("x")).catch((error) => console.log("publish:", error.message));
  const start = Date.now();
  await other.sendToQueue("inbox", Buffer.from("x"));
  const slow = Date.now() - start > 4000;
  console.log(
    `disconnected: ${disconnected}, the other channel was set up ${setups} times, its message took more than 4 s: ${slow}`,
  );
  process.exit();
}

main(process.argv[2]);
JAVASCRIPT
node probe.js "$url" | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
publish: channel closed
disconnected: true, the other channel was set up 2 times, its message took more than 4 s: true
EXPECTED
