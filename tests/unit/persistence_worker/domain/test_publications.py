"""Publications go in rounds that the bus can hold, in their order."""

from __future__ import annotations

from uuid import uuid4

from persistence_worker.domain import publications
from shared.contracts import topology
from shared.contracts.envelope import Event
from shared.contracts.turns import ContextMessage, RunTurn


def run(size: int) -> publications.Publication:
    message = ContextMessage(id=uuid4(), sender_type="user", sender_id="a", content="x" * size, unanswered=True)
    turn = RunTurn(
        session_id=uuid4(),
        message_id=uuid4(),
        chatbot_id="b",
        reply_to=uuid4(),
        starts=0,
        again=False,
        context=[message],
    )
    return topology.TURNS, "b", Event("tests", turn)


def test_rounds_are_bounded_and_ordered() -> None:
    """Large contexts do not leave together."""
    told = [run(500_000) for _ in range(10)]
    cut = list(publications.rounds(told))
    assert [p for piece in cut for p in piece] == told
    assert all(len(piece) <= 4 for piece in cut)


def test_an_ordinary_batch_is_one_round() -> None:
    """A hundred turns of everyday size."""
    assert len(list(publications.rounds([run(300) for _ in range(100)]))) == 1
