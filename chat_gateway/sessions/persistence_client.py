"""What the gateway asks of others: queries to persistence, and commands whose answer it waits for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.bus.port import REQUEST_TIMEOUT, Bus
from shared.contracts import ids
from shared.contracts.envelope import Event, MalformedEvent, Received
from shared.contracts.payload import Payload
from shared.contracts.queries import Reply
from shared.contracts.topology import QUERIES, QUERY_KEY, log
from shared.errors import Internal, Unavailable, from_code

SOURCE = "chat_gateway"


class PersistenceClient:
    """Requests over the bus, with the answer's error raised as ours."""

    def __init__(self, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._log = log(partitions)
        self._partitions = partitions

    async def query(self, request: Payload, timeout: float = REQUEST_TIMEOUT) -> dict[str, Any]:
        """The raw result of a query.

        Raises:
            BackchatError: what the answer says; `Unavailable` if there was none in time.
        """
        event = Event(source=SOURCE, data=request)
        return _result(await self._bus.request(QUERIES, QUERY_KEY, event, timeout))

    async def command(self, session_id: UUID, command: Payload, within: float) -> dict[str, Any]:
        """The raw result of a command on a session, which is begun within so many seconds or not at all; as `ask`.

        It is with the publisher when this waits for the first time, so that commands can be given in order.
        """
        key = str(ids.partition(session_id, self._partitions))
        event = Event(source=SOURCE, data=command, subject=str(session_id))
        return _result(await self._bus.request(self._log, key, event, min(within, REQUEST_TIMEOUT)))


def _result(answer: Received) -> dict[str, Any]:
    try:
        reply = answer.parse(Reply)
    except MalformedEvent:
        raise Internal from None
    if reply.error is not None:
        raise from_code(reply.error.code, reply.error.message, reply.error.retry_after)
    if reply.result is None:
        raise Unavailable
    return reply.result
