"""Parses the JSON of servers. Pure."""

from __future__ import annotations

import json
from typing import Any

import orjson

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.kinds.wire import failures


class NotJson(ReplyError):
    """Data of a server is no JSON."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, view=failures.BROKEN)


def loads(data: str | bytes) -> Any:
    """Parse JSON, also with NaN and lone surrogates.

    Raises:
        NotJson: the data is none.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)
    except ValueError:  # RecursionError is no ValueError
        raise NotJson("not JSON") from None
    except RecursionError:
        raise NotJson("JSON too deep") from None
