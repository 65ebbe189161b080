"""A private RabbitMQ cluster for tests: its nodes can be killed and frozen, and it says when it is whole again."""

from __future__ import annotations

import contextlib
import time
from typing import Self

from tests.support.rabbitmq import RabbitMQ

CONFIGURATION = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = {seed}
cluster_partition_handling = pause_minority
"""
ERLANG = "+S 1:1 -kernel net_ticktime 10"  # a frozen node is given up after 7.5 to 12.5 s
HEAL_TIMEOUT = 90.0  # seconds
POLL_INTERVAL = 0.5  # seconds; a look itself takes as long, of one core

WHOLE = """
Nodes = [node() | nodes()],
length(Nodes) =:= {size}
andalso lists:all(fun(Node) -> rabbit:is_running(Node) end, Nodes)
andalso lists:all(fun({{_, Seen}}) -> Seen =:= [] end, rabbit_node_monitor:partitions(Nodes))
andalso lists:all(fun(Queue) ->
    amqqueue:get_type(Queue) =/= rabbit_quorum_queue orelse
    lists:all(fun({{_, On}}) -> length(On) =:= {size} end, rabbit_quorum_queue:info(Queue, [members, online]))
  end, rabbit_amqqueue:list()).
"""
PARTITIONED = "rabbit_node_monitor:partitions() =/= []."
LEADER = """
case rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)) of
  {{ok, Queue}} -> [{{leader, Node}}] = rabbit_quorum_queue:info(Queue, [leader]), Node;
  Missing -> Missing
end.
"""


class RabbitMQCluster:
    """`size` nodes on loopback, one cookie and one epmd; a minority pauses itself."""

    def __init__(self, size: int = 3) -> None:
        self.nodes: list[RabbitMQ] = []
        self._formed = False
        self._frozen: set[int] = set()
        for _ in range(size):
            self._add()

    def _add(self) -> None:
        if not self.nodes:
            self.nodes.append(RabbitMQ(configuration="cluster_partition_handling = pause_minority\n", erlang=ERLANG))
            return
        seed = self.nodes[0]
        configuration = CONFIGURATION.format(seed=seed.node)
        self.nodes.append(RabbitMQ(peer=seed, configuration=configuration, erlang=ERLANG))

    @property
    def url(self) -> str:
        """The addresses of the default vhost, separated by commas."""
        return ",".join(node.url for node in self.nodes)

    @property
    def running(self) -> list[int]:
        """The nodes that are neither dead nor frozen."""
        return [index for index, node in enumerate(self.nodes) if node.running and index not in self._frozen]

    def start(self) -> Self:
        """Start what does not run (all of it: 14 s), with its data; returns when the cluster is whole."""
        if not self._formed:
            self.nodes[0].start()  # first alone: nodes that start at once may each form a cluster of their own
        for node in self.nodes:
            if not node.running:
                node.launch()
        for node in self.nodes:
            node.wait()
        self._formed = True
        self.wait_until_whole()
        return self

    def stop(self) -> None:
        """Stop for good and remove the data."""
        for node in reversed(self.nodes):  # the seed keeps everybody's epmd
            node.stop()

    def kill_node(self, index: int) -> None:
        """End one node as a crash would."""
        self.nodes[index].kill()
        self._frozen.discard(index)

    def start_node(self, index: int) -> None:
        """Bring a killed node back; if it was the last one missing, returns when the cluster is whole."""
        self.nodes[index].start()
        if len(self.running) == len(self.nodes):
            self.wait_until_whole()

    def pause_node(self, index: int) -> None:
        """Freeze one node, open connections included; after 12.5 s at most the others go on without it."""
        self.nodes[index].pause()
        self._frozen.add(index)

    def resume_node(self, index: int) -> None:
        """Let a frozen node go on; if all the others run, returns when the cluster is whole.

        A node that the others had given up comes back as a partition that no minority sees, so nobody pauses and
        3.x does not heal: an operator must restart the node, and so does this method.
        """
        node = self.nodes[index]
        node.resume()
        self._frozen.discard(index)
        if node.evaluate(PARTITIONED).strip() == "true":
            node.kill()
            node.start()
        if len(self.running) == len(self.nodes):
            self.wait_until_whole()

    def leader_of(self, queue: str, vhost: str = "/") -> int:
        """The node that leads a quorum queue; waits for an election that is under way."""
        names = [node.node for node in self.nodes]
        deadline = time.monotonic() + HEAL_TIMEOUT
        while (answer := self.evaluate(LEADER.format(queue=queue, vhost=vhost))) not in names:
            if time.monotonic() > deadline:
                raise RuntimeError(f"queue {queue} has no leader: {answer}")
            time.sleep(POLL_INTERVAL)
        return names.index(answer)

    def wait_until_whole(self) -> None:
        """Wait until `whole`."""
        deadline = time.monotonic() + HEAL_TIMEOUT
        while not self.whole():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the cluster did not become whole in {HEAL_TIMEOUT:g} s")
            time.sleep(POLL_INTERVAL)

    def whole(self) -> bool:
        """Whether all nodes run and know of no partition, and each quorum queue has a live member on all of them."""
        with contextlib.suppress(RuntimeError):  # a node that is about to pause or to stop
            return self.evaluate(WHOLE.format(size=len(self.nodes))) == "true"
        return False

    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression on the first node that answers, and return what it gives."""
        errors = []
        for index in self.running:
            try:
                return self.nodes[index].evaluate(expression).strip().strip("'")
            except RuntimeError as error:
                errors.append(str(error))
        raise RuntimeError(f"no node answers: {errors}")
