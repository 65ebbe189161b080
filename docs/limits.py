"""Render the table of limits: constants of the contract, and settings with their defaults."""

from __future__ import annotations

from pydantic_settings import BaseSettings

import auth_service.domain.passcodes
import chat_gateway.protocol.fields
import chat_gateway.protocol.payloads
import chat_gateway.sockets.server
from auth_service.http.middleware.body_limit import BODY_MAX
from auth_service.settings import AuthSettings
from chat_gateway.settings import GatewaySettings
from persistence_worker.settings import PersistenceSettings
from shared.contracts import views
from shared.runtime.process import FRAME_MAX
from shared.runtime.settings import PREFIX

CONSTANTS: tuple[tuple[str, float, str], ...] = (
    ("Content of a user's message", views.USER_CONTENT_MAX, "characters, after trimming"),
    ("Content of a chatbot's message; a longer one is cut", views.REPLY_CONTENT_MAX, "characters"),
    ("Title", views.TITLE_MAX, "characters"),
    ("Comment of a rating", chat_gateway.protocol.fields.COMMENT_MAX, "characters"),
    ("Search query", chat_gateway.protocol.fields.QUERY_MAX, "characters"),
    ("Client id (`client_request_id`, `client_message_id`)", views.CLIENT_ID_MAX, "printable ASCII characters"),
    ("`limit` of a page", views.PAGE_MAX, "elements"),
    ("`limit` of a page, default", views.PAGE_DEFAULT, "elements"),
    ("Page of messages", views.PAGE_BYTES_MAX // 1024, "KiB"),
    ("Lifetime of an invite", chat_gateway.protocol.payloads.INVITE_EXPIRES_MAX // 86_400, "days"),
    ("Lifetime of an invite, default", chat_gateway.protocol.payloads.INVITE_EXPIRES_DEFAULT // 86_400, "days"),
    ("Uses of an invite, if limited", chat_gateway.protocol.payloads.INVITE_USES_MAX, ""),
    ("Frame of a WebSocket, and POST of long-polling", FRAME_MAX // 1024, "KiB"),
    ("Time to authenticate a connection", chat_gateway.sockets.server.AUTHENTICATE_WITHIN, "seconds"),
    ("Body of a request to auth_service", BODY_MAX // 1024, "KiB"),
    ("Passcode, least", auth_service.domain.passcodes.LENGTH_MIN, "characters"),
    ("Passcode, most", auth_service.domain.passcodes.LENGTH_MAX, "characters"),
)
SETTINGS: tuple[tuple[type[BaseSettings], tuple[str, ...]], ...] = (
    (
        GatewaySettings,
        (
            "events_per_second",
            "events_burst",
            "service_events_per_second",
            "service_events_burst",
            "events_in_flight",
            "events_in_flight_all",
            "handshakes",
            "handshakes_per_address",
            "connections_per_address",
            "sockets_per_user",
            "sessions_per_socket",
            "outbound_packets",
            "outbound_bytes",
            "read_within",
        ),
    ),
    (PersistenceSettings, ("users_max", "chatbots_max", "queries_in_flight")),
    (
        AuthSettings,
        (
            "access_token_ttl",
            "refresh_token_ttl",
            "hashing_queue",
            "login_failures",
            "login_failures_address",
            "login_failures_account",
            "registrations_per_hour",
            "guests_per_hour",
            "exports_per_hour",
        ),
    ),
)


def limits() -> str:
    """Two tables: limits that are fixed, and those that a setting changes."""
    lines = ["Fixed:\n", "| limit | value |", "| --- | --- |"]
    lines += [f"| {name} | {_number(value)} {unit} |".replace("  ", " ") for name, value, unit in CONSTANTS]
    lines += ["", "Set by a variable ([all variables](configuration.md)):\n"]
    lines += ["| variable | default | meaning |", "| --- | --- | --- |"]
    for model, names in SETTINGS:
        for name in names:
            field = model.model_fields[name]
            value = field.get_default(call_default_factory=True)
            meaning = (field.description or "").replace("|", "\\|")
            lines.append(f"| `{PREFIX}{name.upper()}` | {_number(value)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"
