"""Requests to persistence over the bus: queries, and commands whose answer is awaited."""

from __future__ import annotations

from typing import Any

from chat_gateway.identity.authentication import Identity
from shared.bus.port import REQUEST_TIMEOUT, Bus
from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.payload import Payload
from shared.contracts.queries import Reply
from shared.contracts.topology import QUERIES, QUERY_KEY, log

SOURCE = "chat_gateway"


class PersistenceClient:
    """Sends requests and returns their raw results; an error in the answer is raised as `BackchatError`."""

    def __init__(self, bus: Bus, partitions: int) -> None:
        self._bus = bus
        self._log = log(partitions)
        self._partitions = partitions

    async def query(self, query: Payload, timeout: float = REQUEST_TIMEOUT) -> dict[str, Any]:
        """Send a query; `timeout` in seconds.

        Raises:
            BackchatError: the error of the answer; `Unavailable` if there was none in time.
        """
        event = Event(source=SOURCE, data=query)
        return Reply.result_of(await self._bus.request(QUERIES, QUERY_KEY, event, timeout))

    async def command(self, command: Any, identity: Identity, within: float) -> dict[str, Any]:
        """Send a command on a session, which persistence drops unless it begins `within` that many seconds.

        A command of a service has its scopes, which persistence checks.
        The command is with the publisher before this coroutine first suspends, so that commands keep their order.

        Raises:
            BackchatError: the error of the answer; `Unavailable` if there was none in time.
        """
        if identity.scopes is not None and "scopes" in command.__struct_fields__:
            command = command.replace(scopes=identity.scope_names)
        key = str(ids.partition(command.session_id, self._partitions))
        event = Event(source=SOURCE, data=command, subject=str(command.session_id))
        return Reply.result_of(await self._bus.request(self._log, key, event, min(within, REQUEST_TIMEOUT)))
