"""A private RabbitMQ node for tests.

`BACKCHAT_TEST_RABBITMQ_ROOT` names a directory with the files of another Debian release (`.ci/rabbitmq4` makes one);
the server then runs in it by chroot.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from tests.support.children import PLAIN_ENVIRONMENT, START_TIMEOUT, Child, Home, NotInstalled, Server, answers
from tests.support.ports import free_port

# Read at import: `conftest` clears the environment.
ROOT: Final = os.environ.get("BACKCHAT_TEST_RABBITMQ_ROOT")  # noqa: TID251 - the tests' own setting

# In a private mount namespace, which ends with the process, so that nothing has to be unmounted.
ENTER = """
mount --bind "$1" "$0$1" && mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" || exit 1
root=$0; shift
exec /usr/sbin/chroot "$root" "$@"
"""

RABBITMQ_LIMITS = {"memory": "1GB", "disk": "50MB"}  # of `vm_memory_high_watermark` and `disk_free_limit`, absolute
VHOSTS_AT_ONCE = 12  # a call of rabbitmqctl takes 0.5 s for any number of vhosts


class RabbitMQ(Server):
    """A private RabbitMQ node; user and password `test`.

    `peer` is a node to form a cluster with; the new node shares its epmd and its cookie. `configuration` is added to
    rabbitmq.conf, and `erlang` to the arguments of the Erlang virtual machine.
    """

    STOP_SIGNAL = signal.SIGTERM
    STOP_TIMEOUT = 30
    CREDENTIALS = "test:test"

    def __init__(self, *, peer: RabbitMQ | None = None, configuration: str = "", erlang: str = "") -> None:
        self._server = _rabbitmq_server()
        self._home = Home("mq")
        self._peer = peer
        self.port = free_port()
        self._ports: dict[str, int] = {"dist": free_port(), "epmd": peer._ports["epmd"] if peer else free_port()}
        self._cookie: str = peer._cookie if peer else secrets.token_hex(16)
        self.node = f"t{secrets.token_hex(6)}@localhost"
        self._epmd: Child | None = None
        self._vhosts: list[str] = []
        self._used: list[str] = []
        self._configure(configuration, erlang)

    @property
    def url(self) -> str:
        """Address of the default vhost."""
        return f"amqp://{self.CREDENTIALS}@127.0.0.1:{self.port}/"

    def start(self) -> Self:
        """Start with the data of the previous start; returns when it answers AMQP."""
        self.launch()
        return self.wait()

    def launch(self) -> None:
        """Start without waiting."""
        if not (self._peer or (self._epmd and self._epmd.running)):
            # As a child process: an epmd that a node starts survives it as a daemon.
            command = self._inside(["epmd", "-port", str(self._ports["epmd"]), "-address", "127.0.0.1"])
            self._epmd = Child(self._home, "epmd", command, environment=PLAIN_ENVIRONMENT)
            self._epmd.wait_until(lambda: answers(self._ports["epmd"], b"", b""), timeout=START_TIMEOUT)
        self._child = Child(self._home, "rabbitmq", self._inside([self._server]), environment=self._environment)

    def wait(self) -> Self:
        """Wait until it answers AMQP."""
        assert self._child
        self._child.wait_until(lambda: answers(self.port, b"AMQP\0\0\x09\x01", b"\x01"), timeout=START_TIMEOUT)
        return self

    def stop(self) -> None:
        """Stop and remove the data."""
        for child in (self._child, self._epmd):
            if child:
                child.kill()
        self._home.close()

    def fresh_vhost(self) -> str:
        """Return the address of an unused vhost. Vhosts are made and deleted in batches."""
        if not self._vhosts:
            self._vhosts = [f"v{secrets.token_hex(6)}" for _ in range(VHOSTS_AT_ONCE)]
            self.evaluate(_vhosts_expression(self._vhosts, self._used))
            self._used = []
        name = self._vhosts.pop()
        return f"{self.url}{name}"

    def retire_vhost(self, url: str) -> None:
        """Mark a vhost of `fresh_vhost` for deletion."""
        self._used.append(url.rpartition("/")[2])

    def flush_registry(self) -> None:
        """Write the queue registry to disk: 3.10 loses a quorum queue declared less than a second before a crash."""
        self.evaluate("[dets:sync(Table) || Table <- dets:all()].")

    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression on the node and return the result."""
        return self.ctl("eval", expression)

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on the node (0.5 s) and return its output."""
        command = self._inside([self._server.with_name("rabbitmqctl"), "-q", "-n", self.node, *arguments])
        done = subprocess.run(
            command, env=self._environment, cwd=self._home.path, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments[0]} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        """Wrap a command to run in the directory of `BACKCHAT_TEST_RABBITMQ_ROOT`, if it is set."""
        plain = [str(part) for part in command]
        if not ROOT:
            return plain
        return ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", ENTER, ROOT, str(self._home.path.parent), *plain]

    def _configure(self, configuration: str, erlang: str) -> None:
        home = self._home.path
        user, password = self.CREDENTIALS.split(":")
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"default_user = {user}\ndefault_pass = {password}\nloopback_users = none\n"
            "log.console = true\nlog.console.level = warning\nlog.file = false\n"
            f"vm_memory_high_watermark.absolute = {RABBITMQ_LIMITS['memory']}\n"
            f"disk_free_limit.absolute = {RABBITMQ_LIMITS['disk']}\n"
            f"{configuration}"
        )
        (home / "enabled_plugins").write_text("[].\n")
        cookie = home / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        self._environment = PLAIN_ENVIRONMENT | {
            "PATH": f"{self._server.parent}:{PLAIN_ENVIRONMENT['PATH']}",
            "HOME": str(home),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._ports["dist"]),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {erlang}".strip(),
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }


def _vhosts_expression(made: list[str], deleted: list[str]) -> str:
    def names(of: list[str]) -> str:
        return "[" + ",".join(f'<<"{name}">>' for name in of) + "]"

    return (
        f'[rabbit_vhost:delete(V, <<"test">>) || V <- {names(deleted)}], '
        f'[begin rabbit_vhost:add(V, <<"test">>), rabbit_auth_backend_internal:set_permissions('
        f'<<"test">>, V, <<".*">>, <<".*">>, <<".*">>, <<"test">>) end || V <- {names(made)}].'
    )


def _rabbitmq_server() -> Path:
    # Not /usr/sbin/rabbitmq-server of Debian, which changes the user, drops the environment and ignores SIGTERM.
    places = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
    for place in places:
        path = Path(place) / "rabbitmq-server"
        if Path(f"{ROOT or ''}{path}").exists():
            return path
    raise NotInstalled("RabbitMQ is not installed: install it (Debian: apt-get install rabbitmq-server)")
