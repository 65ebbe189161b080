"""All payloads by type, for dispatch, golden events and the AsyncAPI document."""

from __future__ import annotations

from shared.contracts.accounts import ACCOUNT_EVENTS
from shared.contracts.commands import COMMANDS
from shared.contracts.dead_letters import DEAD
from shared.contracts.events import EVENTS
from shared.contracts.payload import Payload
from shared.contracts.queries import QUERIES, Reply
from shared.contracts.turns import TURNS

_ALL: tuple[type[Payload], ...] = (*COMMANDS, *ACCOUNT_EVENTS, *EVENTS, *TURNS, *QUERIES, *DEAD, Reply)

PAYLOADS: dict[str, type[Payload]] = {payload.TYPE: payload for payload in _ALL}
