"""Types of the fields that clients send (contract.md §3.2). JSON types are not converted. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr

from shared.contracts.views import CLIENT_ID_MAX, PAGE_MAX, TITLE_MAX

SEQ_MAX = 2**63 - 1
CHATBOT_ID_MAX = 64
COMMENT_MAX = 2_000
QUERY_MAX = 200

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("not a UUID")
    return UUID(value)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL is not allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate is not allowed") from None
    return text


def _whole(value: Any) -> Any:
    if type(value) is not int:  # to a `Literal`, `True` is 1
        raise ValueError("not a whole number")
    return value


Id = Annotated[UUID, BeforeValidator(_uuid)]
ClientId = Annotated[StrictStr, Field(min_length=1, max_length=CLIENT_ID_MAX, pattern=r"^[\x20-\x7e]+$")]
Text = Annotated[StrictStr, AfterValidator(_storable)]
Title = Annotated[Text, Field(min_length=1, max_length=TITLE_MAX)]
Comment = Annotated[Text, Field(max_length=COMMENT_MAX)]
Query = Annotated[Text, Field(min_length=1, max_length=QUERY_MAX)]
ChatbotId = Annotated[Text, Field(min_length=1, max_length=CHATBOT_ID_MAX)]
UserId = Annotated[  # in the form in which auth stores it; also the id of a service
    StrictStr, Field(pattern=r"^(service:)?[A-Za-z0-9._-]{1,64}$"), AfterValidator(str.lower)
]
Seq = Annotated[StrictInt, Field(ge=0, le=SEQ_MAX)]
Rating = Annotated[Literal[-1, 0, 1], BeforeValidator(_whole)]
Limit = Annotated[StrictInt, Field(ge=1, le=PAGE_MAX)]
Opaque = Annotated[StrictStr, Field(min_length=1, max_length=1_000, pattern=r"^[\x20-\x7e]+$")]  # a page's cursor
