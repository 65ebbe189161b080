"""Settings of the persistence worker."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import CommonSettings, DistributedSettings, Url


class PersistenceSettings(CommonSettings):
    """What `build` takes."""

    chatbots_max: int = Field(default=8, ge=1, description="Chatbots of one session; more are refused `conflict`")
    users_max: int = Field(default=100, ge=1, description="Users of one session; more are refused `conflict`")
    queries_in_flight: int = Field(default=8, ge=1, le=100, description="Reads that one worker runs at once")
    turn_patience: float = Field(
        default=600.0, ge=1, description="Seconds after which a turn that is still open is published again"
    )


class PersistenceMigrationSettings(CommonSettings):
    """What `migrate` reads."""

    database_url: Url = Field(
        pattern=r"^postgresql\+asyncpg://", repr=False, description="PostgreSQL, as `postgresql+asyncpg://…`"
    )


class PersistenceProcessSettings(PersistenceSettings, PersistenceMigrationSettings, DistributedSettings):
    """What a process of its own reads."""
