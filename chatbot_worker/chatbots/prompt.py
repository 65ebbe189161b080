"""A turn as a language model reads it: who said what, within a budget of tokens. Pure.

Only the operator speaks with the role `system`. What people and other chatbots wrote has the role `user`,
whatever it says; where several speak, each message begins with its author's id.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chatbot_worker.chatbots.protocol import Turn
from shared.contracts.turns import ContextMessage

OVERHEAD = 8  # tokens that a chat template puts around one message
LEFT_OUT = " […] "
SEVERAL = (
    "Several take part in this conversation; each of their messages begins with the name of who wrote it. "
    'You are "{you}": answer as yourself, and do not begin with your name.'
)


@dataclass(frozen=True, slots=True)
class Speech:
    """What one role says, in the words of the chat completions API."""

    role: Literal["system", "user", "assistant"]
    content: str


def conversation(turn: Turn, system: str = "") -> list[Speech]:
    """The system prompt, what was said, and last what is to be answered; neighbours of one role are joined.

    What is unanswered comes last although a reply to something older may have come after it: a model
    would go on with a reply that stands at the end.
    """
    ordered = [message for message in turn.context if not message.unanswered] + list(turn.unanswered)
    if _several(turn):
        system = "\n\n".join(filter(None, [system, SEVERAL.format(you=turn.chatbot_id)]))
    head = [Speech("system", system)] if system else []
    said = [Speech(_role(turn, message), turn.said(message)) for message in ordered if message.content]
    return head + _joined(said)


def fit(speeches: Sequence[Speech], budget: int) -> list[Speech]:
    """The newest of `speeches` that fit into `budget` tokens, the system's always, the last one in any case.

    A last one that is too long by itself keeps its beginning and its end, where a question stands.
    """
    head = [speech for speech in speeches if speech.role == "system"]
    rest = [speech for speech in speeches if speech.role != "system"]
    left = budget - sum(_weight(speech) for speech in head)
    kept: list[Speech] = []
    for speech in reversed(rest):
        weight = _weight(speech)
        if weight > left:
            if not kept:
                kept.append(Speech(speech.role, _cut(speech.content, max(left - OVERHEAD, OVERHEAD))))
            break
        kept.append(speech)
        left -= weight
    return head + kept[::-1]


def asked_without_mention(turn: Turn) -> str:
    """What is to be answered, without the `@id` by which this chatbot was called: for programs that match words."""
    call = re.compile(rf"@{re.escape(turn.chatbot_id)}(?![\w.-]*\w)[ \t,:]*", re.IGNORECASE)
    return "\n".join(call.sub("", message.content).strip() for message in turn.unanswered)


def estimate(text: str) -> int:
    """About how many tokens a text has, rather too many: 3.5 ASCII characters each, 1.5 bytes of others."""
    ascii_ = len(text) if text.isascii() else sum(map(str.isascii, text))
    others = len(text.encode("utf-8", "replace")) - ascii_
    return ascii_ * 2 // 7 + others * 2 // 3 + 1


def _several(turn: Turn) -> bool:
    others = {m.sender_id for m in turn.context if m.sender_type == "chatbot" and m.sender_id != turn.chatbot_id}
    return len(turn.speakers) + len(others) > 1


def _role(turn: Turn, message: ContextMessage) -> Literal["user", "assistant"]:
    own = message.sender_type == "chatbot" and message.sender_id == turn.chatbot_id
    return "assistant" if own else "user"


def _joined(speeches: Sequence[Speech]) -> list[Speech]:
    """Many chat templates insist on roles that take turns."""
    return [
        Speech(role, "\n".join(speech.content for speech in group))
        for role, group in itertools.groupby(speeches, key=lambda speech: speech.role)
    ]


def _weight(speech: Speech) -> int:
    return estimate(speech.content) + OVERHEAD


def _cut(text: str, budget: int) -> str:
    """Its beginning and its end, in proportion to the budget."""
    kept = max(2, len(text) * budget // max(estimate(text), 1) - len(LEFT_OUT))
    half = kept // 2
    return text if kept >= len(text) else f"{text[: kept - half]}{LEFT_OUT}{text[-half:]}"
