"""The JSON bodies of the public surface (contract §1): what comes in, what goes out."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from auth_service.crypto.refresh_tokens import TOKEN_MAX
from auth_service.domain import passcodes, users
from auth_service.domain.logins import Login
from shared.contracts.payload import Timestamp
from shared.contracts.queries import ExportedSession

UserId = Annotated[
    str,
    AfterValidator(users.parse_user_id),
    Field(
        description="Stored, compared and shown in lower case", json_schema_extra={"pattern": "^[A-Za-z0-9._-]{1,64}$"}
    ),
]
NewPasscode = Annotated[
    str,
    AfterValidator(passcodes.normalised),
    Field(
        description="Any Unicode but NUL; counted and compared in its NFKC form; the commonest are refused",
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
        description="As it was chosen; one that nobody could have is wrong, not malformed",
        json_schema_extra={"format": "password"},
    ),
]


class Registration(BaseModel):
    """Body of `POST /register`."""

    id: UserId
    passcode: NewPasscode


class Credentials(BaseModel):
    """Body of `POST /login`."""

    id: UserId
    passcode: CurrentPasscode


class Refresh(BaseModel):
    """Body of `POST /refresh`; pages that have the token in a cookie may leave it out."""

    refresh_token: (
        Annotated[str, AfterValidator(passcodes.well_formed), Field(min_length=1, max_length=TOKEN_MAX)] | None
    ) = None


class PasscodeChange(BaseModel):
    """Body of `PUT /me/passcode`. A guest, who has no passcode, chooses the first one and gives none."""

    current_passcode: CurrentPasscode | None = None
    new_passcode: NewPasscode


class Deletion(BaseModel):
    """Body of `DELETE /me`. Who has no passcode (a guest, or a login by a provider) gives none."""

    passcode: CurrentPasscode | None = None


class Registered(BaseModel):
    """Answer of `POST /register`."""

    id: str
    created_at: Timestamp


class LoggedIn(BaseModel):
    """Answer of whatever begins or goes on with a login; lifetimes in seconds.

    There is no `refresh_token` where it went into a cookie.
    """

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int


class Me(BaseModel):
    """Answer of `GET /me`."""

    id: str
    created_at: Timestamp
    roles: list[str]


class OwnLogin(BaseModel):
    """One login of one's own. `device`: what the client said of itself; `current`: the one that asks."""

    sid: str
    device: str | None
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    current: bool

    @classmethod
    def of(cls, login: Login, current: str) -> Self:
        """As the bearer of the login `current` sees it."""
        return cls(
            sid=login.sid,
            device=login.device,
            created_at=login.created_at,
            last_used_at=login.last_used_at,
            expires_at=login.expires_at,
            current=login.sid == current,
        )


class OwnLogins(BaseModel):
    """Answer of `GET /me/logins`: last used first, 200 at most."""

    logins: list[OwnLogin]


class Export(BaseModel):
    """Answer of `GET /me/export`."""

    exported_at: Timestamp
    account: Me
    logins: list[OwnLogin]
    sessions: list[ExportedSession]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
