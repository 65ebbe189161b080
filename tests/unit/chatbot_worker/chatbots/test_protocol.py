"""The interface that packages of other authors use."""

from __future__ import annotations

from chatbot_worker.chatbots.protocol import CompleteReply, ReplyError


async def test_a_complete_reply_can_be_read_piece_by_piece() -> None:
    """As any other reply, by a consumer that does not know of it."""
    assert [piece async for piece in CompleteReply(word for word in ("a ", "b"))] == ["a ", "b"]
    assert CompleteReply(["a ", "b"]).pieces == ["a ", "b"]


def test_reply_error_accepts_the_former_name_of_retryable() -> None:
    """Packages that pass `again=False` still refuse their turns."""
    assert ReplyError("status 400", again=False).retryable is False
    assert ReplyError("status 400", retryable=False).retryable is False
    assert ReplyError("status 500").retryable is True
