"""How much of a session a chatbot is shown: the newest messages that fit into its bounds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.contracts.turns import ContextMessage, RunTurn

OVERHEAD = 8  # tokens around one message: its role, its speaker, what a template puts between
FOLD_MESSAGES = 8  # that have left the window until they are worth a summary


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what is shown: tokens of all, messages and UTF-8 bytes of what needs no answer; `None` is no bound."""

    tokens: float | None = None
    messages: int | None = None
    bytes: int | None = None


def window(
    context: Sequence[ContextMessage], bounds: Bounds, count: Callable[[str], int]
) -> tuple[ContextMessage, ...]:
    """The part of `context` (oldest first) that a chatbot is given.

    What is unanswered comes before what is older, the newest before all; earlier messages have no holes
    between them. The newest unanswered message is given whole, whatever it costs: a kind knows better than
    we do how to shorten what it is asked.

    Args:
        context: as the turn carries it, already bounded in messages and bytes.
        bounds: of what is given.
        count: the tokens of a text.
    """
    if bounds == Bounds():
        return tuple(context)
    kept, left = _unanswered(context, math.inf if bounds.tokens is None else bounds.tokens, count)
    messages = math.inf if bounds.messages is None else bounds.messages
    room = math.inf if bounds.bytes is None else bounds.bytes
    for place in range(len(context) - 1, -1, -1):
        if context[place].unanswered:
            continue
        left -= count(context[place].content) + OVERHEAD
        messages -= 1
        room -= len(context[place].content.encode())
        if (left < 0 and kept) or messages < 0 or room < 0:
            break
        kept.add(place)
    return tuple(message for place, message in enumerate(context) if place in kept)


def _unanswered(context: Sequence[ContextMessage], left: float, count: Callable[[str], int]) -> tuple[set[int], float]:
    """The places of the newest unanswered messages that fit, and the tokens that are left."""
    kept: set[int] = set()
    for place in range(len(context) - 1, -1, -1):
        if context[place].unanswered:
            left -= count(context[place].content) + OVERHEAD
            if left < 0 and kept:
                break
            kept.add(place)
    return kept, left


def outside_window(turn: RunTurn, shown: Sequence[ContextMessage]) -> tuple[ContextMessage, ...]:
    """The messages before all that is `shown` and behind the turn's summary: what a further summary would tell of."""
    begin = shown[0].seq if shown else 0
    told = 0 if turn.summary is None else turn.summary.up_to_seq
    return tuple(message for message in turn.context if told < message.seq < begin)


def worth_summarizing(messages: Sequence[ContextMessage], bounds: Bounds) -> bool:
    """Whether so much has left the window that it is time, and still all there: a summary costs a call of the model.

    A turn brings twice what is shown.
    """
    size = sum(len(message.content.encode()) for message in messages)
    enough = FOLD_MESSAGES if bounds.messages is None else max(1, min(FOLD_MESSAGES, bounds.messages // 2))
    return len(messages) >= enough or (bounds.bytes is not None and size >= bounds.bytes // 4 and bool(messages))
