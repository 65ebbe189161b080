"""A private RabbitMQ cluster for tests, whose nodes can be killed and suspended."""

from __future__ import annotations

import contextlib
from typing import Self

from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import wait_until

CONFIGURATION = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = {seed}
cluster_partition_handling = pause_minority
"""
ERLANG = "+S 1:1 -kernel net_ticktime 10"  # a suspended node is considered down after 7.5 to 12.5 s
HEAL_TIMEOUT = 90.0  # seconds
POLL_INTERVAL = 0.5  # seconds; a check takes as much CPU time

HEALTHY = """
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
    """`size` nodes on loopback with one cookie and one epmd; a minority pauses itself."""

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
        """Addresses of the default vhost, separated by commas."""
        return ",".join(node.url for node in self.nodes)

    @property
    def running(self) -> list[int]:
        """Indexes of the nodes that are neither ended nor suspended."""
        return [index for index, node in enumerate(self.nodes) if node.running and index not in self._frozen]

    def start(self) -> Self:
        """Start all nodes that are not running, with their data (14 s for three); returns when the cluster is healthy."""
        if not self._formed:
            self.nodes[0].start()  # first: nodes that start at the same time may form separate clusters
        for node in self.nodes:
            if not node.running:
                node.launch()
        for node in self.nodes:
            node.wait()
        self._formed = True
        self.wait_until_healthy()
        return self

    def stop(self) -> None:
        """Stop for good and remove the data."""
        for node in reversed(self.nodes):  # the seed last, because it has the epmd of all nodes
            node.stop()

    def kill_node(self, index: int) -> None:
        """Kill one node with SIGKILL."""
        self.nodes[index].kill()
        self._frozen.discard(index)

    def start_node(self, index: int) -> None:
        """Start a killed node; if all nodes run then, returns when the cluster is healthy."""
        self.nodes[index].start()
        if len(self.running) == len(self.nodes):
            self.wait_until_healthy()

    def pause_node(self, index: int) -> None:
        """Suspend one node; after at most 12.5 s the rest of the cluster works without it."""
        self.nodes[index].pause()
        self._frozen.add(index)

    def resume_node(self, index: int) -> None:
        """Resume a suspended node; if all nodes run then, returns when the cluster is healthy.

        If the cluster considered the node down, RabbitMQ 3.x sees a partition without a minority, which it does not
        heal: an operator must restart the node, as this method does.
        """
        node = self.nodes[index]
        node.resume()
        self._frozen.discard(index)
        if node.evaluate(PARTITIONED).strip() == "true":
            node.kill()
            node.start()
        if len(self.running) == len(self.nodes):
            self.wait_until_healthy()

    def leader_of(self, queue: str, vhost: str = "/") -> int:
        """Return the index of the node that leads a quorum queue; waits for the end of an election."""
        names = [node.node for node in self.nodes]

        def leader() -> str:
            answer = self.evaluate(LEADER.format(queue=queue, vhost=vhost))
            assert answer in names, answer
            return answer

        return names.index(wait_until(leader, HEAL_TIMEOUT, every=POLL_INTERVAL))

    def wait_until_healthy(self) -> None:
        """Wait until the cluster is `healthy`."""
        wait_until(self.healthy, HEAL_TIMEOUT, every=POLL_INTERVAL)

    def healthy(self) -> bool:
        """Whether all nodes run without a partition, and every quorum queue has a running member on each node."""
        with contextlib.suppress(RuntimeError):  # a node is pausing or stopping
            return self.evaluate(HEALTHY.format(size=len(self.nodes))) == "true"
        return False

    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression on the first node that answers, and return the result."""
        errors = []
        for index in self.running:
            try:
                return self.nodes[index].evaluate(expression).strip().strip("'")
            except RuntimeError as error:
                errors.append(str(error))
        raise RuntimeError(f"no node answers: {errors}")
