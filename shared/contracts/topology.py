"""The one table of exchanges and queues (design §2). No name of either stands anywhere else.

Only arguments that RabbitMQ 3.10 and 4.x both know; limits are queue arguments, not policies, because an
AMQP address must be enough to run on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.contracts.turns import CONTEXT_BYTES_MAX

DELIVERY_LIMIT = 1_000_000  # the worker decides what is poison; unset is 20 on 4.x, then silent deletion
BATCH_EVENTS = 500  # events in one AMQP message at most
BATCH_BYTES = 256 * 1024  # and bytes, unless one event alone is larger
EVENT_BYTES_MAX = (
    8 * CONTEXT_BYTES_MAX
)  # no event of ours comes near, not even in a dead letter; a bus refuses a larger one
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """Always durable itself. `persistent`: its messages survive a restart; `mandatory`: no queue is an error."""

    name: str
    kind: Literal["direct", "fanout", "topic"]
    persistent: bool
    mandatory: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and what it is bound to, as (exchange, routing key).

    `quorum`: replicated, survives everything. `transient`: shared, itself as safe, for messages that need not survive.
    `exclusive`: one connection's own; the bus adds a fresh suffix to the name for each connection.
    """

    name: str
    kind: Literal["quorum", "transient", "exclusive"]
    bindings: tuple[tuple[Exchange, str], ...] = ()
    single_active_consumer: bool = False
    max_bytes: int | None = None
    max_length: int | None = None
    overflow: Literal["reject-publish", "drop-head"] = "drop-head"
    message_ttl: float | None = None  # seconds


DIRECT = Exchange("", "direct", persistent=False, mandatory=False)  # the broker's default: key = queue name
TURNS = Exchange("chat.turns", "direct", persistent=True, mandatory=True)
DELIVERY = Exchange("chat.delivery", "direct", persistent=False, mandatory=False)
QUERIES = Exchange("chat.queries", "direct", persistent=False, mandatory=True)
CATALOGUE = Exchange("chat.catalogue", "fanout", persistent=True, mandatory=True)
CONTROL = Exchange("chat.control", "fanout", persistent=False, mandatory=False)
ACCOUNTS = Exchange("accounts", "topic", persistent=True, mandatory=True)
LOST = Exchange("chat.lost", "direct", persistent=False, mandatory=False)  # from a bounded queue to its sentinel
DEAD = Exchange("chat.dead", "direct", persistent=True, mandatory=True)

QUERY_KEY = "queries"
CATALOGUE_KEY = ""
CONTROL_KEY = ""
USER_DELETED_KEY = "user.deleted"


def log(partitions: int) -> Exchange:
    """The exchange of all commands; the number of partitions is in its name, so that two settings never mix."""
    return Exchange(f"chat.log.{partitions}", "direct", persistent=True, mandatory=True)


def log_queue(partition: int, partitions: int) -> Queue:
    """One partition of the log: one active consumer; full means refuse, never drop."""
    return Queue(
        f"persistence.{partitions}.p.{partition}",
        "quorum",
        ((log(partitions), str(partition)),),
        single_active_consumer=True,
        max_bytes=256 * MIB,
        overflow="reject-publish",
    )


def turn_queue(chatbot_id: str) -> Queue:
    """The turns of one chatbot: a hanging chatbot harms itself alone."""
    return Queue(f"turns.{chatbot_id}", "quorum", ((TURNS, chatbot_id),))


def query_queue() -> Queue:
    """Reads: nobody waits longer than they live."""
    return Queue("persistence.queries", "transient", ((QUERIES, QUERY_KEY),), message_ttl=5.0)


def catalogue_queue() -> Queue:
    """The announcements of chatbots."""
    return Queue("persistence.catalogue", "quorum", ((CATALOGUE, CATALOGUE_KEY),), max_length=100)


def control_queue(worker: str) -> Queue:
    """What one chatbot worker is told at once."""
    return Queue(f"control.{worker}", "exclusive", ((CONTROL, CONTROL_KEY),), max_length=10_000)


def accounts_queue() -> Queue:
    """The account events that persistence acts on."""
    return Queue("persistence.accounts", "quorum", ((ACCOUNTS, "user.*"),))


def delivery_queue(gateway: str) -> Queue:
    """What one gateway serves; it binds the keys itself. Bounded: an overflow is a gap, and the cursor mends it."""
    return Queue(f"delivery.{gateway}", "exclusive", max_length=20_000, max_bytes=32 * MIB)


def dead_queue(queue: Queue) -> Queue:
    """Where the poison of a queue is kept for a person to look at."""
    return Queue(f"dead.{queue.name}", "quorum", ((DEAD, queue.name),))


def session_key(partition: int) -> str:
    """The delivery key of everything in a session's partition."""
    return f"s.{partition}"


def user_key(bucket: int) -> str:
    """The delivery key of everything for the users of a bucket."""
    return f"u.{bucket}"
