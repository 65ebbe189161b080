"""Payloads for every client event, made from the gateway's own models: a new event is covered as it appears."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chat_gateway.protocol.payloads import CLIENT_EVENTS

ANY = random.Random()
VALUES: dict[str, Any] = {
    "content": "words",
    "chatbot_id": "eliza",
    "rating": 1,
    "typing": True,
    "seq": 0,
    "query": "words",
    "invite": "A" * 64,
    "token": "no.token.atall",
    "user_id": "nobody",
    "title": "another title",
    "reply_policy": "all",
}
NOTHING_TO_CHANGE = frozenset({"title", "reply_policy"})  # optional fields that are given all the same


def of_sessions() -> list[str]:
    """The events that name a session and must."""
    return [name for name, model in CLIENT_EVENTS.items() if _required(name, "session_id") and model]


def payload(name: str, given: Mapping[str, Any], chance: random.Random = ANY) -> dict[str, Any]:
    """A payload that is right in form: `given` where the event has such a field, else a value that fits."""
    made: dict[str, Any] = {}
    for field in CLIENT_EVENTS[name].model_fields:
        if field in given:
            made[field] = given[field]
        elif field == "message_id" or (field == "session_id" and _required(name, field)):
            made[field] = str(UUID(bytes=chance.randbytes(16), version=4))
        elif _required(name, field) or field in NOTHING_TO_CHANGE:
            made[field] = VALUES[field]  # a KeyError here: say above what fits the new field
        elif field.startswith("client_"):
            made[field] = chance.randbytes(8).hex()
    return made


def _required(name: str, field: str) -> bool:
    found = CLIENT_EVENTS[name].model_fields.get(field)
    return found is not None and found.is_required()
