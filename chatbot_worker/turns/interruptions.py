"""The ends of an execution that its chatbot has not brought about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Interruption(Enum):
    """Why an execution ended before its chatbot had finished."""

    STOPPED = auto()  # by a user: the reply ends with the text so far
    YIELDED = auto()  # it waited, and made room for turns of other users
    SHUTDOWN = auto()  # the worker stops, or its chatbot has left the catalogue


@dataclass(frozen=True, slots=True)
class HandBack:
    """The outcome of a turn that must be requeued. `urgent`: there is time for one attempt to publish it."""

    urgent: bool
