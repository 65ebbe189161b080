"""How much of a session a chatbot is shown: the newest messages that fit into its budget of tokens. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.contracts.turns import ContextMessage

OVERHEAD = 8  # tokens around one message: its role, its speaker, what a template puts between


def window(
    context: Sequence[ContextMessage], tokens: int | None, count: Callable[[str], int]
) -> tuple[ContextMessage, ...]:
    """The part of `context` (oldest first) that a chatbot is given.

    What is unanswered comes before what is older, the newest before all; earlier messages have no holes
    between them. The newest unanswered message is given whole, whatever it costs: a kind knows better than
    we do how to shorten what it is asked.

    Args:
        context: as the turn carries it, already bounded in messages and bytes.
        tokens: of the budget; `None` is no bound.
        count: the tokens of a text.
    """
    if tokens is None:
        return tuple(context)
    kept: set[int] = set()
    left = tokens
    for unanswered in (True, False):
        for place in range(len(context) - 1, -1, -1):
            if context[place].unanswered is not unanswered:
                continue
            left -= count(context[place].content) + OVERHEAD
            if left < 0 and kept:
                break
            kept.add(place)
    return tuple(message for place, message in enumerate(context) if place in kept)
