"""A turn's context: the messages to answer and as many earlier ones as its chatbot asked for. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson

from persistence_worker.domain.state import Turn, holds
from shared.contracts.events import ContextWanted
from shared.contracts.turns import CONTEXT_BYTES_MAX, ContextMessage, Summary
from shared.contracts.views import Message, SenderType

AROUND = 180  # bytes of JSON around content and sender id of one message, at most
HEAD = 1024  # bytes of the turn around its context
SEQ_MAX = 2**62  # above every number
ROWS_MAX = 1_000  # more messages than fit into a context, as good as always; and a number further back is far back


class ContextRow(NamedTuple):
    """A stored message as far as a context needs it."""

    seq: int
    id: UUID
    sender_type: SenderType
    sender_id: str
    content: str


@dataclass(frozen=True, slots=True)
class Want:
    """Rows of a session that a context needs from the database: the newest `most` with `above` < seq < `below`."""

    session_id: UUID
    above: int
    below: int
    most: int


@dataclass(frozen=True, slots=True)
class Context:
    """What a turn is given. `as_of` is the session's newest number, where the chatbot wants summaries, else 0."""

    messages: list[ContextMessage]
    as_of: int = 0
    summary: Summary | None = None


Contexts = Mapping[UUID, Context]
"""The context of each turn that is to run, by the turn's id; none for a chatbot that is gone."""


def row_of(message: Message) -> ContextRow:
    """A message of this batch, taken from memory."""
    return ContextRow(message.seq, message.id, message.sender_type, message.sender_id, message.content)


def wants(turn: Turn, at_hand: Sequence[ContextRow], wanted: ContextWanted) -> list[Want]:
    """What must be read beside the session's messages `at_hand` (ascending, the newest there are)."""
    newest = turn.asked[-1][1]
    far = [span for span in turn.asked[:-1] if span[1] < newest - ROWS_MAX]  # an edited message is answered anew
    first = turn.asked[len(far)][0]
    bound = min(at_hand[0].seq if at_hand else SEQ_MAX, end(turn))
    earlier = wanted.messages if wanted.bytes else 0
    below = min(bound, newest + 1)
    up_to_newest = Want(turn.session_id, 0, below, min(max(below - first, 0) + earlier, ROWS_MAX))
    since = Want(turn.session_id, newest, bound, min(earlier, ROWS_MAX))  # as the reply that was under way meanwhile
    back = [Want(turn.session_id, span[0] - 1, span[1] + 1, min(span[1] - span[0] + 1, ROWS_MAX)) for span in far]
    return [want for want in (*back, up_to_newest, since) if want.most and want.below - want.above > 1]


def context(
    turn: Turn, rows: Iterable[ContextRow], wanted: ContextWanted, summary: Summary | None = None
) -> list[ContextMessage]:
    """Ascending by `seq`, with the summary at most `CONTEXT_BYTES_MAX` of JSON: the oldest earlier messages go
    first, then the oldest unanswered ones.
    """
    most = CONTEXT_BYTES_MAX - HEAD - (0 if summary is None else len(orjson.dumps(summary.text)))
    bound = end(turn)
    unique = {row.seq: row for row in rows if row.seq < bound and row.content}
    newest_first = sorted(unique.values(), reverse=True)
    measure = _no_size if _surely_fit(newest_first, most) else _json_size
    room = most
    chosen: list[tuple[ContextRow, bool]] = []
    earlier: list[ContextRow] = []
    for row in newest_first:
        if not holds(turn.asked, row.seq):
            earlier.append(row)
            continue
        room -= measure(row)
        if room < 0:
            return _messages(chosen)
        chosen.append((row, True))
    room_asked_for = wanted.bytes
    for row in earlier[: wanted.messages]:
        room_asked_for -= len(row.content.encode())
        room -= measure(row)
        if room_asked_for < 0 or room < 0:
            break
        chosen.append((row, False))
    return _messages(chosen)


def end(turn: Turn) -> int:
    """The first number that it must not see: the next turn's, or what came after the reply that it gives anew."""
    newest = turn.asked[-1][1]
    waiting = next((first for first, _ in turn.waiting if first > newest), SEQ_MAX)
    return waiting if turn.until is None else min(waiting, turn.until)


def _surely_fit(rows: Sequence[ContextRow], most: int) -> bool:
    """Whether not even the longest JSON of these (six bytes for a control character) is too long."""
    return sum(6 * len(row.content) + AROUND + 64 for row in rows) < most


def _no_size(_row: ContextRow) -> int:
    return 0


def _json_size(row: ContextRow) -> int:
    return len(orjson.dumps(row.content)) + len(row.sender_id) + AROUND


def _messages(chosen: list[tuple[ContextRow, bool]]) -> list[ContextMessage]:
    return [
        ContextMessage(
            id=row.id,
            sender_type=row.sender_type,
            sender_id=row.sender_id,
            content=row.content,
            unanswered=unanswered,
            seq=row.seq,
        )
        for row, unanswered in sorted(chosen)
    ]
