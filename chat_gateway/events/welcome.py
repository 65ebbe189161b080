"""The event `ready` of sockets and of streams of a user."""

from __future__ import annotations

from typing import Any

from chat_gateway.events import token_expiry
from chat_gateway.events.budgets import event_limits
from chat_gateway.identity.authentication import Identity
from chat_gateway.protocol.server_events import PROTOCOL
from chat_gateway.settings import GatewaySettings
from shared.contracts.payload import rfc3339_now
from shared.contracts.views import USER_CONTENT_MAX
from shared.runtime.process import FRAME_MAX


def ready_of(identity: Identity, settings: GatewaySettings) -> dict[str, Any]:
    """Return the payload of `ready`."""
    rate, burst = event_limits(settings, identity.user_id)
    return {
        "user_id": identity.user_id,
        "token_expires_at": token_expiry.expires_at(identity),
        "server_time": rfc3339_now(),
        "protocol": PROTOCOL,
        "limits": {
            "content": USER_CONTENT_MAX,
            "frame": FRAME_MAX,
            "events_per_second": rate,
            "burst": burst,
            "users": settings.users_max,
            "chatbots": settings.chatbots_max,
        },
    }
