"""The JSON bodies of requests and responses of the HTTP surface (contract.md §1.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from auth_service.crypto.refresh_tokens import TOKEN_MAX
from auth_service.domain import passcodes, users
from auth_service.domain.logins import Login, Tokens
from shared.contracts import schemas
from shared.contracts.payload import rfc3339
from shared.contracts.queries import ExportedSession

Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

UserId = Annotated[
    str,
    AfterValidator(users.parse_user_id),
    Field(
        description="Stored, compared and shown in lower case", json_schema_extra={"pattern": "^[A-Za-z0-9._-]{1,64}$"}
    ),
]
NewUserId = Annotated[
    str,
    AfterValidator(users.parse_new_user_id),
    Field(
        description="Stored, compared and shown in lower case. Neither `me` nor only dots",
        json_schema_extra={"pattern": "^[A-Za-z0-9._-]{1,64}$"},
    ),
]
NewPasscode = Annotated[
    str,
    AfterValidator(passcodes.normalised),
    Field(
        description="Any Unicode except NUL, normalised to NFKC. The most common passcodes are refused",
        json_schema_extra={
            "format": "password",
            "minLength": passcodes.LENGTH_MIN,
            "maxLength": passcodes.LENGTH_MAX,
        },
    ),
]


CurrentPasscode = Annotated[
    str,
    AfterValidator(passcodes.well_formed),
    Field(
        min_length=1,
        description="The current passcode. A value that cannot be a passcode is refused as wrong, not as malformed",
        json_schema_extra={"format": "password"},
    ),
]


class Registration(BaseModel):
    """Body of `POST /register`."""

    id: NewUserId
    passcode: NewPasscode


class Credentials(BaseModel):
    """Body of `POST /login`."""

    id: UserId
    passcode: CurrentPasscode


class Refresh(BaseModel):
    """Body of `POST /refresh`. Pages that have the token in a cookie may omit it."""

    refresh_token: (
        Annotated[str, AfterValidator(passcodes.well_formed), Field(min_length=1, max_length=TOKEN_MAX)] | None
    ) = None


class PasscodeChange(BaseModel):
    """Body of `PUT /me/passcode`. A guest, who has no passcode, omits `current_passcode`."""

    current_passcode: CurrentPasscode | None = None
    new_passcode: NewPasscode


class Deletion(BaseModel):
    """Body of `DELETE /me`. Accounts without a passcode omit it: guests, and logins through a provider."""

    passcode: CurrentPasscode | None = None


class Registered(BaseModel):
    """Response of `POST /register` and `PUT /v1/users/{user_id}`."""

    id: str
    created_at: Timestamp


class LoggedIn(BaseModel):
    """Response of `POST /login`, `/refresh`, `/guest` and `/v1/users/{user_id}/login`; lifetimes in seconds.

    `refresh_token` is missing if it was put into a cookie.
    """

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int


def logged_in(tokens: Tokens, *, in_cookie: bool = False) -> LoggedIn:
    """Build the response for tokens, whose refresh token may be in a cookie instead."""
    return LoggedIn(
        access_token=tokens.access_token,
        token_type="bearer",  # noqa: S106 - a type, not a token
        expires_in=tokens.expires_in,
        refresh_token=None if in_cookie else tokens.refresh_token,
        refresh_expires_in=tokens.refresh_expires_in,
    )


class TokenForm(BaseModel):
    """Form of `POST /token` (RFC 6749, section 4.4). Without HTTP Basic, it has the credentials."""

    grant_type: Literal["client_credentials"]
    client_id: str = Field(default="", description="The name of the service")
    client_secret: str = Field(default="", description="A key of the service", json_schema_extra={"format": "password"})
    scope: str = Field(default="", description="Scopes, separated by spaces. Without it, all granted ones")


class ServiceToken(BaseModel):
    """Response of `POST /token`; the lifetime is in seconds. There is no refresh token."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    scope: str = Field(description="The scopes of the token, separated by spaces")


class TokenError(BaseModel):
    """An error of `POST /token` (RFC 6749, section 5.2)."""

    error: Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"]
    error_description: str


class Me(BaseModel):
    """Response of `GET /me`."""

    id: str
    created_at: Timestamp
    roles: list[str]


class OwnLogin(BaseModel):
    """A login of the authenticated user. `device`: from the `User-Agent`; `current`: the login of this request."""

    sid: str
    device: str | None
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    current: bool

    @classmethod
    def of(cls, login: Login, current: str) -> Self:
        """Build the entry for a request that was authenticated by the login `current`."""
        return cls(
            sid=login.sid,
            device=login.device,
            created_at=login.created_at,
            last_used_at=login.last_used_at,
            expires_at=login.expires_at,
            current=login.sid == current,
        )


class OwnLogins(BaseModel):
    """Response of `GET /me/logins`: at most 200, the last used first."""

    logins: list[OwnLogin]


class ExportedSessionSchema:
    """Describes an `ExportedSession`, which persistence has built, in the OpenAPI document."""

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return schemas.inlined(ExportedSession)


class Export(BaseModel):
    """Response of `GET /me/export`."""

    exported_at: Timestamp
    account: Me
    logins: list[OwnLogin]
    sessions: list[Annotated[Any, ExportedSessionSchema()]]


class Problem(BaseModel):
    """An error as a problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
