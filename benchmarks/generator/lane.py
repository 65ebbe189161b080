"""A lane: one session with at most one turn in flight, and the checks of its events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """The errors of a run. All must be 0 except `refused`, which reports overload."""

    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    refused: int = 0


@dataclass(slots=True)
class Turn:
    """One question and its answer; times in seconds of the monotonic clock, `due` being when it was to be sent."""

    due: float
    client_message_id: str
    message_id: str | None = None
    reply_to: str | None = None
    acked: float = 0.0
    stored: float = 0.0
    replied: float = 0.0

    @property
    def ended(self) -> float:
        """The time of its last event."""
        return max(self.acked, self.stored, self.replied)


@dataclass(slots=True)
class Lane:
    """A session of the generator.

    `tells_stored`: the system sends the stored message to its author, before the reply (Backchat does, the
    baselines do not); only then a message has a `seq`.
    """

    session_id: str
    tells_stored: bool
    tally: Tally
    turn: Turn | None = None
    last_seq: int = 0
    sent: int = 0
    completed: int = 0
    seen: set[str] = field(default_factory=set)
    acked_ids: list[str] = field(default_factory=list)

    def begin(self, due: float) -> Turn:
        """Start the next turn."""
        self.sent += 1
        self.turn = Turn(due, f"{self.session_id}-{self.sent}")
        return self.turn

    def take_ack(self, answer: dict[str, Any], now: float) -> Turn | None:
        """Note the ack; returns the turn if that ended it, a refused one included (its `acked` stays 0)."""
        turn = self.turn
        if turn is None or turn.acked:
            self.tally.doubled += 1
            return None
        if not answer.get("ok"):
            self.tally.refused += 1
            self.turn = None
            return turn
        turn.acked = now
        turn.message_id = answer["message_id"]
        self.acked_ids.append(answer["message_id"])
        return self._ended(turn)

    def take_message(self, message: dict[str, Any], now: float) -> Turn | None:
        """Note a `message` event; returns the turn if that ended it."""
        if not self._is_new(message):
            return None
        turn = self.turn
        if turn is None:
            self.tally.reordered += 1  # nothing is under way, so it is an answer to nothing
            return None
        if message["sender_type"] == "user":
            turn.stored = now
            if message["client_message_id"] != turn.client_message_id:
                self.tally.reordered += 1
        else:
            turn.replied = now
            turn.reply_to = message["reply_to"]
            if self.tells_stored and not turn.stored:
                self.tally.reordered += 1
        return self._ended(turn)

    def take_change(self, seq: int) -> None:
        """Note an event that is no message but takes a number of the session."""
        self._number(seq)

    def give_up(self) -> None:
        """Count the turn in flight as lost: its time is over."""
        if self.turn is not None:
            self.tally.lost += 1
            self.turn = None

    def compare_history(self, stored_ids: list[str]) -> None:
        """Compare what was acked with what is stored, user messages by their ids in order of `seq`."""
        kept = set(stored_ids)
        self.tally.lost += sum(message_id not in kept for message_id in self.acked_ids)
        self.tally.doubled += len(stored_ids) - len(kept)
        acked = set(self.acked_ids)
        if [i for i in stored_ids if i in acked] != [i for i in self.acked_ids if i in kept]:
            self.tally.reordered += 1

    def _is_new(self, message: dict[str, Any]) -> bool:
        if message["id"] in self.seen:
            self.tally.doubled += 1
            return False
        self.seen.add(message["id"])
        if self.tells_stored:
            self._number(message["updated_seq"])
        return True

    def _number(self, seq: int) -> None:
        if seq <= self.last_seq:
            self.tally.reordered += 1
            return
        self.tally.lost += seq - self.last_seq - 1
        self.last_seq = seq

    def _ended(self, turn: Turn) -> Turn | None:
        if not (turn.acked and turn.replied and (turn.stored or not self.tells_stored)):
            return None
        if turn.reply_to != turn.message_id:
            self.tally.reordered += 1
        self.turn = None
        self.completed += 1
        return turn
