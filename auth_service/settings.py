"""Settings of the auth service, also for its commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from shared.database.address import DatabaseUrl
from shared.runtime.settings import CommonSettings, DistributedSettings, OriginSettings, require_strong

ACCESS_TOKEN_TTL_MAX = 86_400  # seconds; tokens with a longer lifetime are refused


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The OpenID provider and the registration of this client at it."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    scopes: str
    id_claim: str
    target: str


class AuthSettings(OriginSettings):
    """Settings of `auth_service.app.build`."""

    issuer: str = Field(
        default="backchat",
        min_length=1,
        max_length=200,
        description="Issuer (`iss`) of access tokens; must be the same for gateways",
    )
    access_token_ttl: int = Field(
        default=900,
        ge=1,
        le=ACCESS_TOKEN_TTL_MAX,
        description="Lifetime of an access token, in seconds. After it clients must refresh",
    )
    refresh_token_ttl: int = Field(
        default=2_592_000,
        ge=1,
        le=31_536_000,
        description="Lifetime of a refresh token, in seconds. After it users must log in again",
    )
    key_overlap: float = Field(
        default=90.0,
        ge=0.0,
        le=604_800.0,
        description="Time that a new signing key is published before it signs, in seconds. Must exceed the 60 "
        "seconds that verifiers may cache the published keys",
    )
    hashing_memory: int = Field(
        default=19_456,
        ge=19_456,
        le=1_048_576,
        description="Argon2id: memory of one hash, in KiB. The default is OWASP's minimum",
    )
    hashing_time: int = Field(default=2, ge=2, le=20, description="Argon2id: number of passes over the memory")
    hashing_threads: int = Field(
        default=2,
        ge=1,
        le=4,
        description="Maximum concurrent passcode hashes, each in a thread with `hashing_memory`. Further ones are "
        "queued",
    )
    hashing_queue: int = Field(
        default=150,
        ge=1,
        le=1_000,
        description="Maximum queued passcode hashes. Above it requests fail with `unavailable`",
    )

    login_failures: int = Field(
        default=10,
        ge=1,
        le=1_000,
        description="Wrong passcodes for one account from one address without a wait. Each further one doubles the "
        "wait, from 1 second to 15 minutes; attempts during a wait fail with `rate_limited`",
    )
    login_failures_address: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="Wrong passcodes from one address, for accounts that have not logged in from it, without a "
        "wait. Above it as for `login_failures`",
    )
    login_failures_account: int = Field(
        default=50,
        ge=1,
        le=100_000,
        description="Wrong passcodes for one account, from addresses that it has not logged in from, without a "
        "wait. Above it as for `login_failures`",
    )
    registrations_per_hour: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000,
        description="Maximum registrations from one address per hour. Above it they fail with `rate_limited`",
    )
    guests: Literal["on", "off"] = Field(default="off", description="Whether `POST /guest` creates accounts for guests")
    guests_per_hour: int = Field(
        default=60,
        ge=1,
        le=100_000,
        description="Maximum new guests from one address per hour. Above it they fail with `rate_limited`",
    )
    exports_per_hour: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Maximum exports of one user per hour. Above it they fail with `rate_limited`",
    )

    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])",
        description="Issuer of the OpenID provider for logins. Without it users log in with passcodes only",
    )
    oidc_client_id: str | None = Field(
        default=None, min_length=1, max_length=255, description="Client id at the provider"
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Client secret at the provider. Without it this is a public client, protected by PKCE"
    )
    oidc_redirect_uri: str | None = Field(
        default=None,
        validate_default=True,
        pattern=r"^https?://[^/]+/oidc/callback$",
        description="Redirect URI registered at the provider: `https://chat.example.org/oidc/callback`",
    )
    oidc_scopes: str = Field(
        default="openid profile email", pattern=r"^openid\b", description="Scopes requested from the provider"
    )
    oidc_id_claim: str = Field(
        default="preferred_username",
        min_length=1,
        description="Claim from which the id of a new account is derived. Without it, `email` and `name` are used",
    )
    oidc_target: str = Field(
        default="/chat/",
        pattern=r"^/([^/\\].*)?$",
        description="Path of this site to redirect to after a login through the provider",
    )

    @property
    def oidc(self) -> OidcSettings | None:
        """The OpenID provider, if one is configured."""
        if not self.oidc_issuer or not self.oidc_client_id or not self.oidc_redirect_uri:
            return None
        secret = self.oidc_client_secret.get_secret_value() if self.oidc_client_secret else None
        ours = (self.oidc_issuer, self.oidc_client_id, secret, self.oidc_redirect_uri)
        return OidcSettings(*ours, self.oidc_scopes, self.oidc_id_claim, self.oidc_target)

    @field_validator("oidc_client_secret")
    @classmethod
    def _no_placeholder(cls, client_secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        return client_secret and require_strong(client_secret, info.data.get("oidc_issuer") or "")

    @field_validator("oidc_redirect_uri")
    @classmethod
    def _whole_provider(cls, redirect_uri: str | None, info: ValidationInfo) -> str | None:
        given = {bool(redirect_uri), bool(info.data.get("oidc_issuer")), bool(info.data.get("oidc_client_id"))}
        if len(given) > 1:
            raise ValueError("a provider requires BACKCHAT_OIDC_ISSUER, _CLIENT_ID and _REDIRECT_URI together")
        return redirect_uri

    @field_validator("refresh_token_ttl")
    @classmethod
    def _outlives_access(cls, ttl: int, info: ValidationInfo) -> int:
        if ttl < info.data.get("access_token_ttl", 0):
            raise ValueError("must not be shorter than BACKCHAT_ACCESS_TOKEN_TTL")
        return ttl


class AuthProcessSettings(AuthSettings, DistributedSettings):
    """Settings of `python -m auth_service serve`."""

    database_url: DatabaseUrl = Field(
        pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://",
        repr=False,
        description="URL of the database: `postgresql+asyncpg://…` or `sqlite+aiosqlite:///…`",
    )
    signing_keys: Path = Field(
        description="Directory of Ed25519 keys (`*.pem`, PKCS8) and `server.secret`, shared by all replicas. An empty "
        "one is filled at the first start"
    )


class MigrateSettings(CommonSettings):
    """Settings of `python -m auth_service migrate`."""

    database_url: DatabaseUrl = Field(
        pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://", repr=False, description="URL of the database to migrate"
    )


class UserCommandSettings(AuthSettings, MigrateSettings):
    """Settings of `python -m auth_service user …`."""


class KeysCommandSettings(AuthSettings):
    """Settings of `python -m auth_service keys …`."""

    signing_keys: Path = Field(description="Directory of the signing keys")
