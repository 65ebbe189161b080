"""Which chatbots answer a message, and how a reply is cut. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.contracts.views import REPLY_CONTENT_MAX, ErrorView, MessageStatus, ReplyPolicy

CHAIN_MAX = 4  # turns of chatbots that answer each other, the first of which answers a person
TOO_LONG = ErrorView(code="too_long", message="The reply was longer than allowed and was cut.")
CHATBOT_UNAVAILABLE = ErrorView(
    code="chatbot_unavailable", message="This chatbot is not available any more, so nobody could answer."
)


def answering(policy: ReplyPolicy, chatbots: Sequence[str], content: str, rotation: int) -> list[str]:
    """The chatbots that a user's message asks, in the session's order.

    `rotation` counts the messages that `round_robin` has handed out so far.
    """
    if policy == "silent" or not chatbots:
        return []
    if policy == "all":
        return list(chatbots)
    if policy == "round_robin":
        return [chatbots[rotation % len(chatbots)]]
    named = [chatbot for chatbot in chatbots if names(content, chatbot)] if len(chatbots) > 1 else []
    return named or [chatbots[0]]


def called_upon(policy: ReplyPolicy, chatbots: Sequence[str], speaker: str, content: str, depth: int) -> list[str]:
    """The chatbots that a chatbot's reply asks: those it names, unless that makes the chain too long.

    `depth` counts the chatbots that answered chatbots before this reply.
    """
    if policy == "silent" or depth + 1 >= CHAIN_MAX or "@" not in content:
        return []
    return [chatbot for chatbot in chatbots if chatbot != speaker and names(content, chatbot)]


def names(content: str, chatbot_id: str) -> bool:
    """Whether a text says `@chatbot_id`, as a word of its own (an e-mail address does not)."""
    if "@" not in content:
        return False
    return re.search(rf"(?<![\w@])@{re.escape(chatbot_id)}(?![\w-]|\.\w)", content, re.IGNORECASE) is not None


def as_stored(
    content: str, status: MessageStatus, error: ErrorView | None
) -> tuple[str, MessageStatus, ErrorView | None]:
    """A reply as it is stored: no NUL (PostgreSQL has none), and cut where the contract says."""
    content = content.replace("\x00", "")
    if len(content) > REPLY_CONTENT_MAX:
        return content[:REPLY_CONTENT_MAX], "stopped", TOO_LONG
    return content, status, error
