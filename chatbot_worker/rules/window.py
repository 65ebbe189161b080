"""The context window of a chatbot: the newest messages that fit into its bounds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.contracts.turns import ContextMessage, RunTurn

OVERHEAD = 8  # tokens around one message: its role, its author, the separators of the chat template
SUMMARY_MESSAGES = 8  # outside the window that are worth a summary


@dataclass(frozen=True, slots=True)
class Bounds:
    """The size of a window: tokens of all messages, number and UTF-8 bytes of the earlier ones. `None` is no bound."""

    tokens: float | None = None
    messages: int | None = None
    bytes: int | None = None


UNBOUNDED = Bounds()


def window(
    context: Sequence[ContextMessage], bounds: Bounds, count: Callable[[str], int]
) -> tuple[ContextMessage, ...]:
    """Return the part of a turn's context that its chatbot is given, oldest first.

    Unanswered messages take precedence over earlier ones, and newer messages over older ones. Earlier messages have no
    gaps between them. The newest unanswered message is always included, and whole: the kind of chatbot knows best how
    to shorten it.

    Args:
        context: of the turn, oldest first.
        bounds: of the result.
        count: returns the number of tokens in a text.
    """
    if bounds == UNBOUNDED:
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
    """Return the indexes of the newest unanswered messages that fit, and the tokens that are left."""
    kept: set[int] = set()
    for place in range(len(context) - 1, -1, -1):
        if context[place].unanswered:
            left -= count(context[place].content) + OVERHEAD
            if left < 0 and kept:
                break
            kept.add(place)
    return kept, left


def outside_window(turn: RunTurn, shown: Sequence[ContextMessage]) -> tuple[ContextMessage, ...]:
    """Return the messages before the window and after the turn's summary, which the next summary would contain."""
    begin = shown[0].seq if shown else 0
    summarized = 0 if turn.summary is None else turn.summary.up_to_seq
    return tuple(message for message in turn.context if summarized < message.seq < begin)


def worth_summarizing(messages: Sequence[ContextMessage], bounds: Bounds) -> bool:
    """Return whether enough messages are outside the window for a summary, which costs one call of the model.

    A turn contains twice as much as the window, so that no message is lost before it is summarized.
    """
    size = sum(len(message.content.encode()) for message in messages)
    enough = SUMMARY_MESSAGES if bounds.messages is None else max(1, min(SUMMARY_MESSAGES, bounds.messages // 2))
    return len(messages) >= enough or (bounds.bytes is not None and size >= bounds.bytes // 4 and bool(messages))
