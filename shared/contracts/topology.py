"""The exchanges and queues with their names and limits; no other module contains such names.

Uses only arguments that both RabbitMQ 3.10 and 4.x support. Limits are queue arguments instead of policies, so that
an AMQP URL is sufficient to run the system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.contracts.turns import CONTEXT_BYTES_MAX

DELIVERY_LIMIT = 1_000_000  # workers detect poison messages; RabbitMQ 4.x would delete them after 20 deliveries
BATCH_EVENTS = 500  # maximum events in one AMQP message
BATCH_BYTES = 256 * 1024  # maximum bytes of one AMQP message with several events
EVENT_BYTES_MAX = 8 * CONTEXT_BYTES_MAX  # a bus refuses larger events; no event and no dead letter comes close
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange. `persistent`: messages survive a restart; `mandatory`: a message without a queue fails."""

    name: str
    kind: Literal["direct", "fanout", "topic"]
    persistent: bool
    mandatory: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and its bindings, as pairs of exchange and routing key.

    `quorum`: replicated and durable. `transient`: shared and durable, for messages that need not survive a restart.
    `exclusive`: belongs to one connection; the bus adds a new suffix to the name for each connection.
    """

    name: str
    kind: Literal["quorum", "transient", "exclusive"]
    bindings: tuple[tuple[Exchange, str], ...] = ()
    single_active_consumer: bool = False
    max_bytes: int | None = None
    max_length: int | None = None
    overflow: Literal["reject-publish", "drop-head"] = "drop-head"
    message_ttl: float | None = None  # seconds


DIRECT = Exchange("", "direct", persistent=False, mandatory=False)  # the broker's default exchange: key = queue name
TURNS = Exchange("chat.turns", "direct", persistent=True, mandatory=True)
DELIVERY = Exchange("chat.delivery", "direct", persistent=False, mandatory=False)
QUERIES = Exchange("chat.queries", "direct", persistent=False, mandatory=True)
CATALOGUE = Exchange("chat.catalogue", "fanout", persistent=True, mandatory=True)
CONTROL = Exchange("chat.control", "fanout", persistent=False, mandatory=False)
ACCOUNTS = Exchange("accounts", "topic", persistent=True, mandatory=True)
LOST = Exchange(
    "chat.lost", "direct", persistent=False, mandatory=False
)  # overflow of a bounded queue, consumed to detect a gap
DEAD = Exchange("chat.dead", "direct", persistent=True, mandatory=True)

QUERY_KEY = "queries"
CATALOGUE_KEY = ""
CONTROL_KEY = ""
USER_DELETED_KEY = "user.deleted"


def log(partitions: int) -> Exchange:
    """The exchange of all commands. Its name has the number of partitions, so that two settings never mix."""
    return Exchange(f"chat.log.{partitions}", "direct", persistent=True, mandatory=True)


def log_queue(partition: int, partitions: int) -> Queue:
    """A partition of the log, with one active consumer; a full one refuses messages and never drops any."""
    return Queue(
        f"persistence.{partitions}.p.{partition}",
        "quorum",
        ((log(partitions), str(partition)),),
        single_active_consumer=True,
        max_bytes=256 * MIB,
        overflow="reject-publish",
    )


def turn_queue(chatbot_id: str) -> Queue:
    """The turns of one chatbot, so that a slow chatbot does not delay others."""
    return Queue(f"turns.{chatbot_id}", "quorum", ((TURNS, chatbot_id),))


def query_queue() -> Queue:
    """Queries, which expire when their callers have timed out."""
    return Queue("persistence.queries", "transient", ((QUERIES, QUERY_KEY),), message_ttl=5.0)


def catalogue_queue() -> Queue:
    """The announcements of chatbots."""
    return Queue("persistence.catalogue", "quorum", ((CATALOGUE, CATALOGUE_KEY),), max_length=100)


def control_queue(worker: str) -> Queue:
    """The control messages for one chatbot worker."""
    return Queue(f"control.{worker}", "exclusive", ((CONTROL, CONTROL_KEY),), max_length=10_000)


def accounts_queue() -> Queue:
    """The account events for the persistence worker."""
    return Queue("persistence.accounts", "quorum", ((ACCOUNTS, "user.*"),))


def delivery_queue(gateway: str) -> Queue:
    """The events for one gateway, which binds keys as needed. Clients catch up by cursor after an overflow (gap)."""
    return Queue(f"delivery.{gateway}", "exclusive", max_length=20_000, max_bytes=32 * MIB)


def dead_queue(queue: Queue) -> Queue:
    """The dead letters of a queue."""
    return Queue(f"dead.{queue.name}", "quorum", ((DEAD, queue.name),))


def session_key(partition: int) -> str:
    """Return the delivery key for events of the sessions in a partition."""
    return f"s.{partition}"


def user_key(bucket: int) -> str:
    """Return the delivery key for events of the users in a bucket."""
    return f"u.{bucket}"
