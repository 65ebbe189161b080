"""`eliza`: after Joseph Weizenbaum's program of 1966, with a script of our own (`eliza.toml`).

`language` hears and reflects, `script` is the form of the script, `doctor` the procedure; all pure.
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

NAMED = 3  # of so many replies in a room of several people, about one says a name


class ElizaOptions(Options):
    """How fast she speaks."""

    delay: float = Field(default=0.02, ge=0, le=2, description="Seconds between words; 0 says all at once")


class Eliza:
    """A patient listener. The same conversation always gets the same answer."""

    def __init__(self, options: ElizaOptions, script: Script) -> None:
        self._delay = options.delay
        self._script = script

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        """Her answer, word by word."""
        return paced(self.say(turn), self._delay)

    def say(self, turn: Turn) -> str:
        """Her whole answer."""
        said = converse(self._script, turn.session_id.int & 0xFFFF, groups(turn))
        return said if (name := _name(turn)) is None else f"{name}, {_lowered(said)}"


def groups(turn: Turn) -> Iterator[str]:
    """What people said between her answers, oldest first; the last is what she is to answer."""
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
    """Whom to address, now and then, where several people talk and one of them is answered."""
    asking: Sequence[ContextMessage] = turn.unanswered
    who = {message.sender_id for message in asking if message.sender_type == "user"}
    if len(turn.speakers) < 2 or len(who) != 1 or len(turn.context) % NAMED:
        return None
    return who.pop()


def _lowered(text: str) -> str:
    """The sentence as it goes on after a name."""
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
