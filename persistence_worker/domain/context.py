"""The context of a turn: the messages to answer, and as many earlier ones as the chatbot wants. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson

from persistence_worker.domain.state import Turn, contains
from shared.contracts.events import ContextWanted
from shared.contracts.turns import CONTEXT_BYTES_MAX, ContextMessage, Summary
from shared.contracts.views import Message, SenderType

MESSAGE_OVERHEAD = 180  # bytes of JSON of one message at most, without content and sender id
TURN_OVERHEAD = 1024  # bytes of JSON of a turn, without its context
SEQ_MAX = 2**62  # greater than every sequence number
ROWS_MAX = 1_000  # rows of one read; more messages than this almost never fit into a context


class ContextRow(NamedTuple):
    """The fields of a stored message that a context needs."""

    seq: int
    id: UUID
    sender_type: SenderType
    sender_id: str
    content: str


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows of a session to read for a context: the newest `limit` with `above` < seq < `below`."""

    session_id: UUID
    above: int
    below: int
    limit: int


@dataclass(frozen=True, slots=True)
class Context:
    """What a turn carries for its chatbot. `as_of` is the session's newest number, or 0 if no summary is wanted."""

    messages: list[ContextMessage]
    as_of: int = 0
    summary: Summary | None = None


Contexts = Mapping[UUID, Context]
"""Contexts by turn id. A turn has no entry if its chatbot is not available any more."""


def row_of(message: Message) -> ContextRow:
    """Return the context row of a message that is in memory."""
    return ContextRow(message.seq, message.id, message.sender_type, message.sender_id, message.content)


def missing_rows(turn: Turn, loaded: Sequence[ContextRow], wanted: ContextWanted) -> list[RowRange]:
    """Return what must be read for the context of `turn`.

    `loaded` are messages of the session that are in memory: ascending, and newer than all that are only stored.
    """
    newest = turn.asked[-1][1]
    old_spans = [span for span in turn.asked[:-1] if span[1] < newest - ROWS_MAX]  # of an edited message, for example
    first = turn.asked[len(old_spans)][0]
    bound = min(loaded[0].seq if loaded else SEQ_MAX, context_end(turn))
    earlier = wanted.messages if wanted.bytes else 0
    below = min(bound, newest + 1)
    up_to_newest = RowRange(turn.session_id, 0, below, min(max(below - first, 0) + earlier, ROWS_MAX))
    after_newest = RowRange(turn.session_id, newest, bound, min(earlier, ROWS_MAX))  # a reply that was streaming then
    old = [
        RowRange(turn.session_id, span[0] - 1, span[1] + 1, min(span[1] - span[0] + 1, ROWS_MAX)) for span in old_spans
    ]
    return [rows for rows in (*old, up_to_newest, after_newest) if rows.limit and rows.below - rows.above > 1]


def context_messages(
    turn: Turn, rows: Iterable[ContextRow], wanted: ContextWanted, summary: Summary | None = None
) -> list[ContextMessage]:
    """Return the messages of a context, ascending by `seq`; with the summary at most `CONTEXT_BYTES_MAX` of JSON.

    If not all fit, the oldest earlier messages are dropped first, then the oldest unanswered ones.
    """
    limit = CONTEXT_BYTES_MAX - TURN_OVERHEAD - (0 if summary is None else len(orjson.dumps(summary.text)))
    bound = context_end(turn)
    unique = {row.seq: row for row in rows if row.seq < bound and row.content}
    newest_first = sorted(unique.values(), reverse=True)
    size_of = _no_size if _fit_certainly(newest_first, limit) else _json_size
    room = limit
    chosen: list[tuple[ContextRow, bool]] = []
    earlier: list[ContextRow] = []
    for row in newest_first:
        if not contains(turn.asked, row.seq):
            earlier.append(row)
            continue
        room -= size_of(row)
        if room < 0:
            return _messages(chosen)
        chosen.append((row, True))
    wanted_room = wanted.bytes
    for row in earlier[: wanted.messages]:
        wanted_room -= len(row.content.encode())
        room -= size_of(row)
        if wanted_room < 0 or room < 0:
            break
        chosen.append((row, False))
    return _messages(chosen)


def context_end(turn: Turn) -> int:
    """Return the first number that the context must not contain.

    It is the first message of the next turn, or what followed the reply that this turn regenerates.
    """
    newest = turn.asked[-1][1]
    waiting = next((first for first, _ in turn.waiting if first > newest), SEQ_MAX)
    return waiting if turn.until is None else min(waiting, turn.until)


def _fit_certainly(rows: Sequence[ContextRow], limit: int) -> bool:
    """Whether the rows fit even if every character takes six bytes of JSON, as a control character does."""
    return sum(6 * len(row.content) + MESSAGE_OVERHEAD + 64 for row in rows) < limit


def _no_size(_row: ContextRow) -> int:
    return 0


def _json_size(row: ContextRow) -> int:
    return len(orjson.dumps(row.content)) + len(row.sender_id) + MESSAGE_OVERHEAD


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
