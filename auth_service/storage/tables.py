"""The tables that auth owns: schema `auth` on PostgreSQL, none on SQLite (`open_engine` translates).

A login is a family of refresh tokens: one row in `logins` (named by `sid` in its access tokens), one row in
`refresh_tokens` for each token it was ever given. `rotated_at` marks those that were exchanged for a successor; the
row of the login is what rotation locks and what revoking marks.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, LargeBinary, MetaData, String, Table

from shared.database.engine import UtcDateTime

SCHEMA = "auth"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    },
)

users = Table(
    "users",
    metadata,
    Column("id", String(64), primary_key=True),  # lower case; stays taken when the account is gone
    Column("passcode_hash", String(255), nullable=False),  # Argon2id, PHC string; empty: nobody can log in by passcode
    Column("roles", JSON, nullable=False),  # array of strings
    Column("created_at", UtcDateTime, nullable=False),
    # Grows whenever a passcode that was checked before counts no more: changed, reset, disabled, deleted.
    Column("credentials_version", Integer, nullable=False, server_default="0"),
    Column("disabled_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
)

logins = Table(
    "logins",
    metadata,
    Column("sid", String(36), primary_key=True),  # UUID
    Column("user_id", String(64), ForeignKey(users.c.id), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime, index=True),
    Column("device", String(200)),  # user agent
    # These three are always filled; SQLite cannot add a column that must be.
    Column("last_used_at", UtcDateTime),
    Column("access_expires_at", UtcDateTime),  # of its newest access token
    Column("expires_at", UtcDateTime, index=True),  # of its newest refresh token
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the token: 256 random bits need no salt
    Column("sid", String(36), ForeignKey(logins.c.sid, ondelete="CASCADE"), nullable=False, index=True),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("rotated_at", UtcDateTime),
)

identities = Table(  # who an account is at an OpenID provider
    "identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", String(64), ForeignKey(users.c.id), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

attempts = Table(  # what the throttle counts; a key is a MAC, so no address is kept
    "attempts",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("failures", Float, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False, index=True),
    Column("blocked_until", UtcDateTime),
    Column("succeeded_at", UtcDateTime),
)

outbox = Table(  # events that were decided and are not yet known to be published
    "outbox",
    metadata,
    Column("id", String(32), primary_key=True),  # of the envelope
    Column("type", String(100), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)
