"""Generates AsyncAPI 3.0 documents from the payload models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.contracts import topology
from shared.contracts.accounts import ACCOUNT_EVENTS
from shared.contracts.commands import COMMANDS
from shared.contracts.events import EVENTS, ChatbotsAnnounced
from shared.contracts.payload import Payload
from shared.contracts.queries import QUERIES, Reply
from shared.contracts.schemas import AnyModel, Schema, components
from shared.contracts.turns import RunTurn, StopTurn

ASYNCAPI = "3.0.0"
REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with its messages by name; `action` is that of the described system."""

    name: str
    address: str | None
    description: str
    action: Literal["send", "receive"]
    messages: Mapping[str, AnyModel]
    bindings: dict[str, Any] = field(default_factory=dict)
    replies: Mapping[str, AnyModel] = field(default_factory=dict)  # message name → model of its ack


def describe(title: str, version: str, description: str, channels: Sequence[Channel]) -> dict[str, Any]:
    """Return the document, ready for `json.dumps`."""
    models = {m for c in channels for m in (*c.messages.values(), *c.replies.values())}
    references, schemas = components(models, REF)
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": title, "version": version, "description": description},
        "defaultContentType": "application/json",
        "channels": {c.name: _channel(c, references) for c in channels},
        "operations": {f"{c.action}.{c.name}": _operation(c) for c in channels},
        "components": {"schemas": schemas},
    }


def _channel(channel: Channel, references: Mapping[AnyModel, Schema]) -> dict[str, Any]:
    messages = {}
    for name, model in channel.messages.items():
        messages[name] = {"name": name, "payload": references[model]}
        if name in channel.replies:
            messages[name]["x-ack"] = references[channel.replies[name]]
    described: dict[str, Any] = {"address": channel.address, "description": channel.description, "messages": messages}
    if channel.bindings:
        described["bindings"] = channel.bindings
    return described


def _operation(channel: Channel) -> dict[str, Any]:
    return {"action": channel.action, "channel": {"$ref": f"#/channels/{channel.name}"}}


def bus_channels() -> list[Channel]:
    """Return the channels between the services, one for each exchange."""
    events = tuple(e for e in EVENTS if e is not ChatbotsAnnounced)
    rows: list[tuple[str, topology.Exchange, str, str | None, tuple[type[Payload], ...]]] = [
        (
            "log",
            topology.log(4),
            "Commands that change a session, in order; key: its partition",
            "{partition}",
            COMMANDS,
        ),
        ("turns", topology.TURNS, "Turns to run; key: the chatbot's id", "{chatbot_id}", (RunTurn,)),
        ("control", topology.CONTROL, "Control messages for all chatbot workers", None, (StopTurn,)),
        ("delivery", topology.DELIVERY, "Events for gateways; key: s.{partition} or u.{bucket}", "{key}", events),
        ("queries", topology.QUERIES, "Queries; replied to on the queue of the sender", topology.QUERY_KEY, QUERIES),
        ("accounts", topology.ACCOUNTS, "Account events from auth's outbox", topology.USER_DELETED_KEY, ACCOUNT_EVENTS),
        ("catalogue", topology.CATALOGUE, "Announcements of the catalogue", None, (ChatbotsAnnounced,)),
        (
            "replies",
            topology.DIRECT,
            "Replies to commands and queries; key: the queue of the sender",
            "replies.{connection}",
            (Reply,),
        ),
    ]
    return [_bus_channel(*row) for row in rows]


def _bus_channel(
    name: str, exchange: topology.Exchange, description: str, address: str | None, payloads: tuple[type[Payload], ...]
) -> Channel:
    binding = {
        "amqp": {
            "is": "routingKey",
            "exchange": {"name": exchange.name, "type": exchange.kind if exchange.name else "default", "durable": True},
            "bindingVersion": "0.3.0",
        }
    }
    return Channel(name, address, description, "send", {p.TYPE: p for p in payloads}, binding)
