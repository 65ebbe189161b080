"""Settings of the gateway: its own knobs, and what a process of its own needs besides."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from shared.runtime.settings import DistributedSettings, Origins, OriginSettings, Url


class GatewaySettings(OriginSettings):
    """What `chat_gateway.app.build` takes."""

    issuer: str = Field(
        default="backchat", min_length=1, max_length=200, description="`iss` that access tokens must have"
    )
    events_per_second: float = Field(default=50, gt=0, description="Client events of one user, per second on average")
    events_burst: int = Field(default=200, ge=1, description="Client events of one user at once")
    events_in_flight: int = Field(
        default=256, ge=1, description="Events of one socket that may be unanswered; more are refused `rate_limited`"
    )
    events_in_flight_all: int = Field(
        default=10_000, ge=1, description="Events of all sockets that may be unanswered; more are refused `unavailable`"
    )
    handshakes: int = Field(
        default=2_000, ge=1, description="Connections that may be unauthenticated at a time; more are refused with 503"
    )
    handshakes_per_address: int = Field(
        default=1_000, ge=1, description="The same from one address; an edge that is not trusted is one address"
    )
    connections_per_address: int = Field(
        default=5_000, ge=1, description="Connections from one address, of an IPv6 address its /64; more: 429"
    )
    sockets_per_user: int = Field(default=1_000, ge=1, description="Open sockets of one user on one gateway")
    sessions_per_socket: int = Field(default=1_000, ge=1, description="Sessions that one socket may have joined")
    sessions_served: int = Field(
        default=50_000, ge=1, description="Sessions that one gateway keeps in memory; the least recently used goes"
    )
    outbound_packets: int = Field(
        default=1_000, ge=10, description="Packets that may wait for one slow socket before it is closed"
    )
    outbound_bytes: int = Field(
        default=256 * 1024, ge=65_536, description="Bytes that may wait for one slow socket before it is closed"
    )
    read_within: float = Field(
        default=30,
        gt=0,
        description="Seconds that a socket may leave what waits for it unread, or a WebSocket ping unanswered; then it "
        "is closed",
    )
    reply_text_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1_048_576, description="Characters of unfinished replies that a gateway remembers"
    )
    frame_ancestors: Origins = Field(
        default=(), description="Origins whose pages may show `/chat/` in a frame, separated by commas; none: our own"
    )
    page_dir: Path | None = Field(
        default=None, description="Directory of the built page; none: `web/dist`, and no page where that is not built"
    )
    users_max: int = Field(default=100, ge=1, description="Users of one session, as `ready` tells clients")
    chatbots_max: int = Field(default=8, ge=1, description="Chatbots of one session; more are refused `conflict`")

    @field_validator("page_dir")
    @classmethod
    def _check_page(cls, directory: Path | None) -> Path | None:
        if directory is not None and not (directory / "index.html").is_file():
            raise ValueError(f"there is no index.html in {directory}")
        return directory


class GatewayProcessSettings(GatewaySettings, DistributedSettings):
    """What `python -m chat_gateway serve` reads."""

    auth_url: Url = Field(pattern=r"^https?://[^/]", description="The auth service, where `/.well-known/jwks.json` is")
