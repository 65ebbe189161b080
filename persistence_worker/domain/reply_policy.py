"""Reply policies: which chatbots answer a message. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.contracts.views import ReplyPolicy

CHAIN_MAX = 4  # turns of chatbots that answer each other; the first of them answers a user


def answering(policy: ReplyPolicy, chatbots: Sequence[str], content: str, rotation: int) -> list[str]:
    """Return the chatbots that answer a user's message, in the session's order.

    `rotation` is the number of messages that `round_robin` has assigned so far.
    """
    if policy == "silent" or not chatbots:
        return []
    if policy == "all":
        return list(chatbots)
    if policy == "round_robin":
        return [chatbots[rotation % len(chatbots)]]
    mentioned = [chatbot for chatbot in chatbots if mentions(content, chatbot)] if len(chatbots) > 1 else []
    return mentioned or [chatbots[0]]


def answering_chatbot(policy: ReplyPolicy, chatbots: Sequence[str], author: str, content: str, depth: int) -> list[str]:
    """Return the chatbots that answer a chatbot's reply: those it mentions, unless the chain becomes too long.

    `depth` is the number of chatbots that answered chatbots before this reply.
    """
    if policy == "silent" or depth + 1 >= CHAIN_MAX or "@" not in content:
        return []
    return [chatbot for chatbot in chatbots if chatbot != author and mentions(content, chatbot)]


def mentions(content: str, chatbot_id: str) -> bool:
    """Whether a text has `@chatbot_id` as a separate word (an e-mail address does not count)."""
    if "@" not in content:
        return False
    return re.search(rf"(?<![\w@])@{re.escape(chatbot_id)}(?![\w-]|\.\w)", content, re.IGNORECASE) is not None
