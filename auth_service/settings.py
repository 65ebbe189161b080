"""Settings of the auth service: its own knobs, and what a process of its own needs besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from shared.runtime.settings import CommonSettings, DistributedSettings, OriginSettings, Url, strong

ACCESS_TOKEN_TTL_MAX = 86_400  # seconds; no token of ours lives longer, whatever it says about itself


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """An OpenID provider, and who we are to it."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    scopes: str
    id_claim: str
    target: str


class AuthSettings(OriginSettings):
    """What `auth_service.app.build` takes."""

    issuer: str = Field(
        default="backchat", min_length=1, max_length=200, description="`iss` of access tokens; gateways must agree"
    )
    access_token_ttl: int = Field(
        default=900, ge=1, le=ACCESS_TOKEN_TTL_MAX, description="Lifetime of an access token, in seconds"
    )
    refresh_token_ttl: int = Field(
        default=2_592_000, ge=1, le=31_536_000, description="Lifetime of a refresh token, in seconds"
    )
    key_overlap: float = Field(
        default=90.0,
        ge=0.0,
        le=604_800.0,
        description="How long a new signing key is published before it signs, in seconds; longer than a minute, "
        "for which verifiers may keep the published keys",
    )
    hashing_memory: int = Field(
        default=19_456, ge=19_456, le=1_048_576, description="Argon2id: memory of one hash, in KiB (OWASP's floor)"
    )
    hashing_time: int = Field(default=2, ge=2, le=20, description="Argon2id: passes over that memory")
    hashing_threads: int = Field(
        default=2, ge=1, le=4, description="Passcodes hashed at the same time, a thread and `hashing_memory` each"
    )
    hashing_queue: int = Field(
        default=150, ge=1, le=1_000, description="Passcodes that may wait for a thread; more are refused `unavailable`"
    )

    login_failures: int = Field(
        default=10, ge=1, le=1_000, description="Wrong passcodes for an account from one address before waits begin"
    )
    login_failures_address: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="Wrong passcodes from an address for accounts that it does not know",
    )
    login_failures_account: int = Field(
        default=50, ge=1, le=100_000, description="Wrong passcodes for one account from addresses that do not know it"
    )
    registrations_per_hour: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Accounts that may be opened from one address in an hour"
    )
    guests: Literal["on", "off"] = Field(default="off", description="Whether `POST /guest` opens accounts for guests")
    guests_per_hour: int = Field(
        default=60, ge=1, le=100_000, description="Guests that may come from one address in an hour"
    )
    exports_per_hour: int = Field(default=20, ge=1, le=10_000, description="Exports that a user may ask for in an hour")

    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])",
        description="Issuer of the OpenID provider that people may log in by; none: passcodes only",
    )
    oidc_client_id: str | None = Field(default=None, min_length=1, max_length=255, description="Our id at the provider")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Our secret at the provider; none for a public client, which PKCE protects alone"
    )
    oidc_redirect_uri: str | None = Field(
        default=None,
        validate_default=True,
        pattern=r"^https?://[^/]+/oidc/callback$",
        description="Our address as the provider knows it: `https://chat.example.org/oidc/callback`",
    )
    oidc_scopes: str = Field(
        default="openid profile", pattern=r"^openid\b", description="What the provider is asked for"
    )
    oidc_id_claim: str = Field(
        default="preferred_username", min_length=1, description="Claim that the id of a new account is made from"
    )
    oidc_target: str = Field(
        default="/chat/", pattern=r"^/([^/\\].*)?$", description="Path of this site to go to after such a login"
    )

    @property
    def oidc(self) -> OidcSettings | None:
        """The OpenID provider, if there is one."""
        if not self.oidc_issuer or not self.oidc_client_id or not self.oidc_redirect_uri:
            return None
        secret = self.oidc_client_secret.get_secret_value() if self.oidc_client_secret else None
        ours = (self.oidc_issuer, self.oidc_client_id, secret, self.oidc_redirect_uri)
        return OidcSettings(*ours, self.oidc_scopes, self.oidc_id_claim, self.oidc_target)

    @field_validator("oidc_client_secret")
    @classmethod
    def _no_placeholder(cls, client_secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        return client_secret and strong(client_secret, info.data.get("oidc_issuer") or "")

    @field_validator("oidc_redirect_uri")
    @classmethod
    def _whole_provider(cls, redirect_uri: str | None, info: ValidationInfo) -> str | None:
        given = {bool(redirect_uri), bool(info.data.get("oidc_issuer")), bool(info.data.get("oidc_client_id"))}
        if len(given) > 1:
            raise ValueError("a provider needs BACKCHAT_OIDC_ISSUER, _CLIENT_ID and _REDIRECT_URI together")
        return redirect_uri

    @field_validator("refresh_token_ttl")
    @classmethod
    def _outlives_access(cls, ttl: int, info: ValidationInfo) -> int:
        if ttl < info.data.get("access_token_ttl", 0):
            raise ValueError("must not be shorter than BACKCHAT_ACCESS_TOKEN_TTL")
        return ttl


class AuthProcessSettings(AuthSettings, DistributedSettings):
    """What `python -m auth_service serve` reads."""

    database_url: Url = Field(
        pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://",
        repr=False,
        description="The database: `postgresql+asyncpg://…` or `sqlite+aiosqlite:///…`",
    )
    signing_keys: Path = Field(
        description="Directory of Ed25519 keys (`*.pem`, PKCS8) and `server.secret`, the same for all replicas; "
        "an empty one gets its first ones"
    )


class MigrateSettings(CommonSettings):
    """What `python -m auth_service migrate` reads."""

    database_url: Url = Field(
        pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://", repr=False, description="The database to migrate"
    )


class UserCommandSettings(AuthSettings, MigrateSettings):
    """What `python -m auth_service user …` reads."""


class KeysCommandSettings(AuthSettings):
    """What `python -m auth_service keys …` reads."""

    signing_keys: Path = Field(description="Directory of the keys")
