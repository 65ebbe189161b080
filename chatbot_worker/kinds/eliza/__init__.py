"""The kind `eliza`: after Joseph Weizenbaum's program of 1966, with a new script (`eliza.toml`). Pure.

`language` splits and reflects sentences, `script` parses the script, `doctor` runs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from importlib import resources

from pydantic import Field

from chatbot_worker.chatbots.protocol import Kind, Options, Turn
from chatbot_worker.kinds.eliza.doctor import converse
from chatbot_worker.kinds.eliza.script import Script, parse
from chatbot_worker.kinds.pacing import paced
from shared.contracts.events import ContextWanted
from shared.contracts.turns import ContextMessage

NAMED = 3  # in a session of several users, about one of so many replies begins with a name


class ElizaOptions(Options):
    """The options of the kind `eliza`."""

    delay: float = Field(
        default=0.02, ge=0, le=2, description="Seconds between words. With 0 the reply is complete at once"
    )


class Eliza:
    """Eliza. The same conversation always gets the same answer."""

    def __init__(self, options: ElizaOptions, script: Script) -> None:
        self._delay = options.delay
        self._script = script

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        """Return the answer, word by word."""
        return paced(self.say(turn), self._delay)

    def say(self, turn: Turn) -> str:
        """Return the whole answer."""
        said = converse(self._script, turn.session_id.int & 0xFFFF, groups(turn))
        return said if (name := _name(turn)) is None else f"{name}, {_lowered(said)}"


def groups(turn: Turn) -> Iterator[str]:
    """Yield the users' messages between two answers of Eliza, oldest first. The last ones are unanswered."""
    said: list[str] = []
    for message in turn.context:
        if message.unanswered:
            continue
        if message.sender_type == "user":
            said.append(message.content)
        elif message.sender_id == turn.chatbot_id and said:
            yield "\n".join(said)
            said = []
    yield "\n".join(message.content for message in turn.unanswered)


def _name(turn: Turn) -> str | None:
    """Return the user to address by name, in some replies to a single user in a session of several."""
    asking: Sequence[ContextMessage] = turn.unanswered
    who = {message.sender_id for message in asking if message.sender_type == "user"}
    if len(turn.speakers) < 2 or len(who) != 1 or len(turn.context) % NAMED:
        return None
    return who.pop()


def _lowered(text: str) -> str:
    """Return the sentence as it is written after a name and a comma."""
    return text if text.startswith(("I ", "I'", "ELIZA", "Joseph")) else text[:1].lower() + text[1:]


def _make(options: ElizaOptions) -> Eliza:
    return Eliza(options, parse(resources.files(__package__).joinpath("eliza.toml").read_text(encoding="utf-8")))


KIND = Kind(
    options=ElizaOptions,
    make=_make,
    immediate=True,
    context=ContextWanted(messages=40, bytes=32 * 1024),
    concurrency=256,
)
