"""Frames that no client of ours sends, from one seed: noise, nearly right ones, and right ones that were damaged."""

from __future__ import annotations

import json
import random
import string
from typing import Any

from chat_gateway.protocol.payloads import CLIENT_EVENTS
from tests.integration.security.events import payload

Frame = str | bytes

RESERVED = ("connect", "disconnect", "connect_error", "message", "__init__", "", "*", "ready", "constructor")
NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308)
TEXTS = (
    "",
    " ",
    "x" * 300,
    "\0",
    "é" * 200,
    "👩‍🚀" * 50,
    "\u202e",
    "../../etc/passwd",
    "' OR 1=1 --",
    "{{7*7}}",
    "<script>",
)
RAW_VALUES = (
    "NaN",
    "Infinity",
    "1e999",
    '"\\ud800"',
    '"\\u0000"',
    "[" * 5_000,
    '{"a":' * 2_000,
    "9" * 6_000,
    "tru",
    "'x'",
)
CLOSING = 0.02  # of the frames are such that they have to close the connection, so that it gets far


class Frames:
    """An endless stream of frames. `given` are values of the attacker's own, that let some frames get far."""

    def __init__(self, seed: int, given: dict[str, Any] | None = None) -> None:
        self._chance = random.Random(seed)
        self._given = given or {}

    def next(self) -> Frame:
        """One more."""
        chance = self._chance
        if chance.random() < CLOSING:
            return self._closing()
        makers = (self._event, self._event, self._event, self._damaged, self._packet, self._connect, self._noise)
        return chance.choice(makers)()

    def _closing(self) -> Frame:
        chance = self._chance
        made: list[Frame] = [
            chance.randbytes(chance.randrange(200)),
            "451-[]",
            "46[]",
            "1",
            "7",
            "",
            "b4AAA",
            "4" * 300_000,
        ]
        return chance.choice(made)

    def _noise(self) -> str:
        chance = self._chance
        length = chance.choice((1, 3, 10, 100, 2_000))
        return "4" + "".join(chance.choices(string.printable + "é\0\u2028😀", k=chance.randrange(length + 1)))

    def _packet(self) -> str:
        """Types, namespaces and ack ids in all combinations."""
        chance = self._chance
        kind = chance.choice("0123456789²x ")
        kind = "2" if kind in "56" else kind  # those two close
        namespace = chance.choice(("", "", "/", "/,", "/admin,", "/" + "n" * 300, "/a?b=c,", "/,/,", "//,"))
        ack_id = chance.choice(("", "", "0", "7", "007", "9" * 15, "9" * 16, "9" * 400, "-1", "1.5"))
        body = chance.choice(("", "[]", "{}", "null", "[1]", '["x"]', '["x",{}]', "[", '["list_chats"', *RAW_VALUES))
        return f"4{kind}{namespace}{ack_id}{body}"

    def _connect(self) -> str:
        chance = self._chance
        token = chance.choice((None, 1, "", "a.b.c", "x" * 5_000, ["x"], {"a": 1}, "eyJhbGciOiJub25lIn0.e30.", "ü"))
        body = chance.choice((json.dumps({"token": token}), json.dumps(token), "", "[", *RAW_VALUES))
        return f"40{chance.choice(('', '', '/admin,'))}{body}"

    def _event(self) -> str:
        """A known or unknown event with some fields replaced, dropped or added."""
        chance = self._chance
        name: Any = chance.choice((*CLIENT_EVENTS, *CLIENT_EVENTS, *RESERVED))
        made: Any = payload(name, self._given, chance) if name in CLIENT_EVENTS else {"a": 1}
        for field in list(made):
            if chance.random() < 0.3:
                made[field] = self._value(2)
            elif chance.random() < 0.1:
                del made[field]
        if chance.random() < 0.2:
            made[chance.choice(("user_id", "sender_id", "seq", "__proto__", "limit", "cursor", "x"))] = self._value(2)
        arguments = chance.choice(([made], [made], [made], [], [made, made], [self._value(2)], [[made]]))
        return f"42{self._ack_id()}" + json.dumps([name, *arguments])

    def _damaged(self) -> str:
        """A frame with something missing, doubled or changed, or with JSON in it that is none."""
        chance, frame = self._chance, self._event()
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(2, len(frame) + 1)
            until = min(len(frame), at + chance.choice((1, 1, 5, 50)))
            piece = chance.choice(("", frame[at:until] * 2, chance.choice(string.printable), chance.choice(RAW_VALUES)))
            frame = frame[:at] + piece + frame[until:]
        return frame if frame[:2] == "42" and frame[2:3] not in "56" else "42" + frame[2:]

    def _ack_id(self) -> str:
        return self._chance.choice(("", str(self._chance.randrange(1_000))))

    def _value(self, depth: int) -> Any:
        chance = self._chance
        kind = chance.randrange(6 if depth else 4)
        if kind == 0:
            return chance.choice((None, True, False, [], {}))
        if kind == 1:
            return chance.choice(NUMBERS)
        if kind == 2:
            return chance.choice(TEXTS)
        if kind == 3:
            return "".join(chance.choices(string.printable, k=chance.randrange(40)))
        if kind == 4:
            return [self._value(depth - 1) for _ in range(chance.randrange(4))]
        return {chance.choice(TEXTS): self._value(depth - 1) for _ in range(chance.randrange(4))}
