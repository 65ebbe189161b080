"""Settings of the persistence worker."""

from __future__ import annotations

from pydantic import Field

from shared.database.address import DatabaseUrl
from shared.runtime.settings import CommonSettings, DistributedSettings


class PersistenceSettings(CommonSettings):
    """Settings of the service, embedded or as a separate process."""

    chatbots_max: int = Field(
        default=8, ge=1, description="Maximum chatbots of one session. Above it, requests fail with `conflict`."
    )
    users_max: int = Field(
        default=100, ge=1, description="Maximum members of one session. Above it, requests fail with `conflict`."
    )
    queries_in_flight: int = Field(
        default=8,
        ge=1,
        le=100,
        description="Maximum queries that one worker runs at once. Further queries wait in the queue.",
    )
    turn_patience: float = Field(
        default=600.0, ge=1, description="Seconds after which a turn that is still open is republished."
    )


class PersistenceMigrationSettings(CommonSettings):
    """Settings of `migrate`."""

    database_url: DatabaseUrl = Field(
        pattern=r"^postgresql\+asyncpg://", repr=False, description="PostgreSQL, as `postgresql+asyncpg://…`"
    )


class AccessesSettings(CommonSettings):
    """Settings of `accesses`."""

    database_url: DatabaseUrl = Field(
        pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://",
        repr=False,
        description="URL of the database: `postgresql+asyncpg://…` or `sqlite+aiosqlite:///…`",
    )


class PersistenceProcessSettings(PersistenceSettings, PersistenceMigrationSettings, DistributedSettings):
    """Settings of the worker as a separate process."""
