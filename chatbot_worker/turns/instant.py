"""Replies without any pause: no task, no timer, nothing to wait for; a whole batch at once."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence

from chatbot_worker.replies.chatbot_run import STRETCH, close
from chatbot_worker.replies.finishing import ChatbotFailed, fault, finish, log_failure
from chatbot_worker.replies.replier import Replier
from chatbot_worker.rules.attempts import attempt_number
from chatbot_worker.rules.limits import TRIES_MAX
from shared.contracts.commands import FinishReply
from shared.contracts.turns import RunTurn


async def answer_at_once(replier: Replier, turns: Sequence[RunTurn]) -> tuple[list[FinishReply], list[RunTurn]]:
    """Answer the turns of an instant chatbot; their ends, and the turns that it failed, to be tried the long way."""
    finishes: list[FinishReply] = []
    failed: list[RunTurn] = []
    paused = time.perf_counter()
    for turn in turns:
        try:
            finishes.append(await _answer(replier, turn))
        except ChatbotFailed:
            failed.append(turn)
        if time.perf_counter() - paused > STRETCH:  # a long batch, or long texts: let others run
            await asyncio.sleep(0)
            paused = time.perf_counter()
    return finishes, failed


async def _answer(replier: Replier, turn: RunTurn) -> FinishReply:
    attempt = attempt_number(turn.starts + 1, 0, TRIES_MAX + 1, secrets.randbelow)
    live = replier.instant(turn, attempt)
    try:
        pieces = replier.pieces(turn)
        async for piece in pieces:
            live.add(piece)
            if live.text.full:
                await close(pieces)
                break
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _cancelled():
            raise
        log_failure(error, chatbot=turn.chatbot_id, message_id=str(turn.message_id))
        raise ChatbotFailed from None
    finally:
        live.close()
    return finish(turn, attempt, live.text.content, fault(live.text))


def _cancelled() -> bool:
    """Whether somebody cancels us; some libraries raise `CancelledError` by themselves."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
