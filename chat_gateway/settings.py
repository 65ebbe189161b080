"""Settings of the gateway, and the further ones of a separate gateway process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from shared.runtime.settings import DistributedSettings, Origins, OriginSettings, Url


class GatewaySettings(OriginSettings):
    """The settings of `chat_gateway.app.build`."""

    issuer: str = Field(default="backchat", min_length=1, max_length=200, description="Required `iss` of access tokens")
    events_per_second: float = Field(
        default=50, gt=0, description="Average client events per second of one user. Above it: `rate_limited`"
    )
    events_burst: int = Field(
        default=200, ge=1, description="Client events that one user may send at once. Above it: `rate_limited`"
    )
    service_events_per_second: float = Field(
        default=200, gt=0, description="Average client events per second of one service. Above it: `rate_limited`"
    )
    service_events_burst: int = Field(
        default=800, ge=1, description="Client events that one service may send at once. Above it: `rate_limited`"
    )
    events_in_flight: int = Field(
        default=256, ge=1, description="Maximum unanswered events of one socket. Above it: `rate_limited`"
    )
    events_in_flight_all: int = Field(
        default=10_000, ge=1, description="Maximum unanswered events of all sockets. Above it: `unavailable`"
    )
    handshakes: int = Field(
        default=2_000, ge=1, description="Maximum unauthenticated connections. Above it new ones are refused with 503"
    )
    handshakes_per_address: int = Field(
        default=1_000,
        ge=1,
        description="Maximum unauthenticated connections per client address; above it 503. An untrusted reverse proxy "
        "counts as one address",
    )
    connections_per_address: int = Field(
        default=5_000,
        ge=1,
        description="Maximum connections per client address (IPv6: per /64 prefix). Above it new ones are refused "
        "with 429",
    )
    sockets_per_user: int = Field(
        default=1_000, ge=1, description="Maximum open sockets of one user on one gateway. Above it: `rate_limited`"
    )
    sessions_per_socket: int = Field(
        default=1_000, ge=1, description="Maximum sessions that one socket may have joined. Above it: `rate_limited`"
    )
    sessions_served: int = Field(
        default=50_000,
        ge=1,
        description="Maximum sessions in the memory of one gateway. Above it the least recently used idle one is "
        "evicted; if none is idle: `unavailable`",
    )
    outbound_packets: int = Field(
        default=1_000, ge=10, description="Maximum packets queued for one socket. Above it a slow one is closed"
    )
    outbound_bytes: int = Field(
        default=256 * 1024,
        ge=65_536,
        description="Maximum bytes queued for one socket. Above it a slow socket closes",
    )
    read_within: float = Field(
        default=30,
        gt=0,
        description="Seconds in which a client must read queued data and answer a WebSocket ping. Above it the socket "
        "is closed",
    )
    reply_text_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1_048_576,
        description="Maximum characters of unfinished replies in the memory of one gateway. Above it the oldest "
        "reply is dropped",
    )
    frame_ancestors: Origins = Field(
        default=(),
        description="Origins whose pages may show `/chat/embed` in a frame, separated by commas. Empty: only our own",
    )
    page_dir: Path | None = Field(
        default=None, description="Directory of the built page. Unset: `web/dist`; no page is served if it is not built"
    )
    users_max: int = Field(default=100, ge=1, description="Maximum users of one session, as reported by `ready`")
    chatbots_max: int = Field(default=8, ge=1, description="Maximum chatbots of one session. Above it: `conflict`")

    @field_validator("page_dir")
    @classmethod
    def _check_page(cls, directory: Path | None) -> Path | None:
        if directory is not None and not (directory / "index.html").is_file():
            raise ValueError(f"no index.html in {directory}")
        return directory


class GatewayProcessSettings(GatewaySettings, DistributedSettings):
    """The settings of `python -m chat_gateway serve`."""

    auth_url: Url = Field(pattern=r"^https?://[^/]", description="Base URL of the auth service")
