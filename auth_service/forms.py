"""The JSON bodies of the public surface (contract §1): what comes in, what goes out."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from auth_service import accounts, passcodes
from shared.contracts.payload import Timestamp
from shared.errors import InvalidRequest, UnsupportedMediaType

JSON_TYPE = "application/json"
BODY_TIMEOUT = 10.0  # seconds that a client may take to send a body

F = TypeVar("F", bound=BaseModel)


UserId = Annotated[
    str,
    AfterValidator(accounts.user_id),
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


class Registration(BaseModel):
    """Body of `POST /register`."""

    id: UserId
    passcode: NewPasscode


class Credentials(BaseModel):
    """Body of `POST /login`. A passcode that nobody could have is wrong, not malformed."""

    id: UserId
    passcode: Annotated[
        str, AfterValidator(passcodes.well_formed), Field(min_length=1, json_schema_extra={"format": "password"})
    ]


class Registered(BaseModel):
    """Answer of `POST /register`."""

    id: str
    created_at: Timestamp


class LoggedIn(BaseModel):
    """Answer of `POST /login`; lifetimes in seconds."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - a type, not a token
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Me(BaseModel):
    """Answer of `GET /me`."""

    id: str
    created_at: Timestamp
    roles: list[str]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str


async def read(request: Request, form: type[F]) -> F:
    """The request's body as a form.

    Raises:
        UnsupportedMediaType: not declared to be JSON.
        InvalidRequest: not JSON, or not of that form; says which field and why, and never what was sent.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != JSON_TYPE:
        raise UnsupportedMediaType
    fields = {name: value for name, value in _json_object(await _body(request)).items() if value is not None}
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest("; ".join(f"{_field(e['loc'])}: {_reason(e['msg'])}" for e in error.errors())) from None


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.body()
    except (TimeoutError, ClientDisconnect):
        raise InvalidRequest("The body did not arrive.") from None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InvalidRequest("The body must be JSON (RFC 8259) in UTF-8, without duplicate names.") from None
    if not isinstance(found, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two would count depends on the parser, and so would what a proxy has checked."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place))


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
