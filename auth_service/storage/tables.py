"""The tables of auth: in schema `auth` on PostgreSQL, without a schema on SQLite (`open_engine` translates).

A login is a family of refresh tokens: one row in `logins`, whose `sid` is in its access tokens, and one row in
`refresh_tokens` for each of its refresh tokens. `rotated_at` is set when a token was exchanged for its successor.
Rotation locks the row of the login, revocation sets its `revoked_at`.
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
    Column("id", String(64), primary_key=True),  # lower case; remains after deletion, so the id stays taken
    Column(
        "passcode_hash", String(255), nullable=False
    ),  # Argon2id, PHC string; empty: login by passcode is impossible
    Column("roles", JSON, nullable=False),  # array of strings
    Column("created_at", UtcDateTime, nullable=False),
    # Incremented when checked credentials become invalid: passcode changed or reset, account disabled or deleted.
    Column("credentials_version", Integer, nullable=False, server_default="0"),
    Column("disabled_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("service", String(64)),  # the service that has created the account; it has no passcode
)

logins = Table(
    "logins",
    metadata,
    Column("sid", String(36), primary_key=True),  # UUID
    Column("user_id", String(64), ForeignKey(users.c.id), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime, index=True),
    Column("device", String(200)),  # user agent
    # Never null; declared nullable because SQLite cannot add a NOT NULL column without a default.
    Column("last_used_at", UtcDateTime),
    Column("access_expires_at", UtcDateTime),  # of its newest access token
    Column("expires_at", UtcDateTime, index=True),  # of its newest refresh token
    Column("service", String(64), index=True),  # that lends the login
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

identities = Table(  # links of accounts to identities at an OpenID provider
    "identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", String(64), ForeignKey(users.c.id), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

attempts = Table(  # tallies of the throttle; a key is a MAC, so no address is stored
    "attempts",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("failures", Float, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False, index=True),
    Column("blocked_until", UtcDateTime),
    Column("succeeded_at", UtcDateTime),
)

services = Table(
    "services",
    metadata,
    Column("name", String(64), primary_key=True),  # lower case; remains after revocation, so the name stays taken
    Column("scopes", JSON, nullable=False),  # array of strings
    Column("key_lifetime", Integer),  # of its keys, in seconds; null: they do not expire
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

service_keys = Table(
    "service_keys",
    metadata,
    Column("id", String(36), primary_key=True),  # UUID, the `sid` of its access tokens
    Column("service", String(64), ForeignKey(services.c.name), nullable=False, index=True),
    Column("hash", LargeBinary(32), nullable=False),  # SHA-256 of the key: 256 random bits need no salt
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime, index=True),
    Column("access_expires_at", UtcDateTime),  # of its newest access token; null: it has none
)

ended_service_tokens = Table(  # access tokens of services that were ended by `POST /logout`
    "ended_service_tokens",
    metadata,
    Column("jti", String(36), primary_key=True),
    Column("ended_at", UtcDateTime, nullable=False, index=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

outbox = Table(  # committed events that the bus has not confirmed
    "outbox",
    metadata,
    Column("id", String(32), primary_key=True),  # of the envelope
    Column("type", String(100), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)
