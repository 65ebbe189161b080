"""The tables that auth owns: schema `auth` on PostgreSQL, none on SQLite (`open_engine` translates).

A login is a family of refresh tokens: one row in `logins` (named by `sid` in its access tokens), one row in
`refresh_tokens` for each token it was ever given. Whoever presents a token whose row is not the newest of its
family has an old one; the row of the login is what rotation locks and what revoking marks.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, LargeBinary, MetaData, String, Table

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
    Column("id", String(64), primary_key=True),  # lower case
    Column("passcode_hash", String(255), nullable=False),  # Argon2id, PHC string
    Column("roles", JSON, nullable=False),  # array of strings
    Column("created_at", UtcDateTime, nullable=False),
)

logins = Table(
    "logins",
    metadata,
    Column("sid", String(36), primary_key=True),  # UUID
    Column("user_id", String(64), ForeignKey(users.c.id), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the token: 256 random bits need no salt
    Column("sid", String(36), ForeignKey(logins.c.sid, ondelete="CASCADE"), nullable=False, index=True),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
