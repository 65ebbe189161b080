"""The execution of one turn in this worker, from its delivery to the reply that is to be published."""

from __future__ import annotations

import asyncio
import random

from chatbot_worker.catalogue.entries import ChatbotEntry
from chatbot_worker.replies.attempt import Attempt
from chatbot_worker.replies.finishing import ChatbotFailed, finish
from chatbot_worker.replies.replier import Replier
from chatbot_worker.rules.attempts import attempt_number
from chatbot_worker.rules.errors import CHATBOT_FAILED, UNAVAILABLE
from chatbot_worker.rules.limits import TOTAL_MAX, TRIES_MAX
from chatbot_worker.turns.fairness import WAIT_MAX, requester
from chatbot_worker.turns.interruptions import HandBack, Interruption
from chatbot_worker.turns.turn_slot import NoSlotInTime, TurnSlot
from chatbot_worker.turns.worker_context import ActiveChatbot, WorkerContext
from shared.backoff import Backoff
from shared.bus.port import Delivery
from shared.contracts.commands import FinishReply
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView, MessageStatus

RETRY_PAUSE = 0.5  # seconds before a failed chatbot is tried again, doubled for each further try


class TurnExecution:
    """One turn in this worker. Owns the attempt number, the text so far and the cancellation.

    Call `start`, and `run` unless the reply was ready. From then on the reply is shown in its session, by `typing` and
    deltas.
    """

    def __init__(self, turn: RunTurn, delivery: Delivery, chatbot: ActiveChatbot, worker: WorkerContext) -> None:
        self.turn = turn
        self.user = requester(turn)
        self.starts = turn.starts + delivery.delivery_count + 1  # publications and deliveries so far
        self.started = False  # it has a slot, or has ended
        self._delivery = delivery
        self._chatbot = chatbot
        self._worker = worker
        self._fresh = not turn.again and not delivery.delivery_count  # it cannot be closed already
        self._slot = TurnSlot(chatbot, self.user, delivery)
        self._attempt: Attempt | None = None  # the latest
        self._shown = False
        self._task: asyncio.Task[object] | None = None  # while it may be interrupted
        self._interruption: Interruption | None = None
        self._ended: asyncio.Future[bool] | None = None

    def start(self) -> FinishReply | None:
        """Begin to answer; return the reply if it is ready. What cannot begin at once begins in `run`."""
        if not self._fresh or self._worker.stops.holds(self.turn) or (replier := self._slot.take()) is None:
            return None
        self.started = True
        attempt = self._new_attempt(replier, 0, self._deadline(replier))
        if attempt is None or not attempt.ready:
            return None
        self._leave()
        return self._finish_complete(attempt)

    async def run(self) -> FinishReply | HandBack | None:
        """Answer the turn; `None` if it is closed already."""
        self._task = asyncio.current_task()
        try:
            with self._worker.stops.watch(self.turn, self.stop):
                if self._worker.stops.holds(self.turn):
                    self._interruption = Interruption.STOPPED
                if self._interruption is None:
                    return await self._answer()
        except asyncio.CancelledError:
            if self._interruption is None or self._task is None or self._task.uncancel():
                raise  # the worker ends without a drain
        except NoSlotInTime:  # another worker may have one
            return HandBack(urgent=False)
        finally:
            self._task = None
            self.started = True
            self._leave()
            if self._shown:
                self._worker.typing.end(self.turn)
        if self._interruption is Interruption.STOPPED:
            return self._finish(None, "stopped")
        return HandBack(urgent=self._interruption is Interruption.SHUTDOWN)

    @property
    def ended(self) -> asyncio.Future[bool]:
        """Resolved by `end`: whether the turn may be acknowledged."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    def end(self, *, acknowledgeable: bool) -> None:
        """Resolve `ended`, if something waits for it."""
        if self._ended is not None:
            self._ended.set_result(acknowledgeable)

    def stop(self) -> None:
        """End the reply with the text so far."""
        self._interrupt(Interruption.STOPPED)

    def yield_place(self) -> None:
        """Requeue the turn, behind those of other users."""
        self._interrupt(Interruption.YIELDED)

    def shut_down(self) -> None:
        """Requeue the turn, because this worker stops."""
        self._interrupt(Interruption.SHUTDOWN)

    def _interrupt(self, interruption: Interruption) -> None:
        if self._interruption is None and self._task is not None:
            self._task.cancel()
        if self._interruption is not Interruption.STOPPED:
            self._interruption = interruption

    async def _answer(self) -> FinishReply | None:
        if self._fresh:
            self._show()
        if (replier := self._slot.replier) is None:
            replier = await self._slot.wait()
            self.started = True
        if not self._fresh and not await self._worker.publisher.is_open(self.turn):
            return None
        if self._chatbot.suspects.condemns(self._delivery):
            return self._finish(CHATBOT_FAILED)
        try:
            return await self._try_repeatedly(replier)
        except ChatbotFailed as failed:
            reply, final = self._finish(failed.error), failed.refused or bool(self._text())
        self._leave()
        if final:
            return reply
        return await self._answer_by_fallback(replier.definition.entry) or reply

    def _leave(self) -> None:
        """Give the slot back, if the turn has one."""
        if self._slot.replier is not None and self._attempt is not None:
            self._attempt.abandon()
        self._slot.release()

    async def _try_repeatedly(self, replier: Replier) -> FinishReply:
        """Let the chatbot try until it has answered.

        Raises:
            ChatbotFailed: further tries make no sense.
        """
        limits = replier.definition.limits
        attempt = self._attempt  # by `start`
        deadline = attempt.deadline if attempt else self._deadline(replier)
        failed = ChatbotFailed(UNAVAILABLE)
        backoff = Backoff(RETRY_PAUSE, TOTAL_MAX)
        for retry in range(limits.attempts):
            attempt = attempt or self._new_attempt(replier, retry, deadline)
            if attempt is None:
                raise failed
            try:
                return await self._complete(attempt)
            except ChatbotFailed as error:
                failed, attempt = error, None
            pause = max(backoff.next(), failed.retry_after)
            last = retry + 1 == limits.attempts or asyncio.get_running_loop().time() + pause >= deadline
            if last or not failed.retryable:
                break
            await asyncio.sleep(pause)
        raise failed

    async def _answer_by_fallback(self, absent: ChatbotEntry) -> FinishReply | None:
        """Let the fallback of the `absent` chatbot answer in its name; `None` if it cannot either."""
        fallback = self._worker.chatbots.get(absent.fallback or "")
        if fallback is None:
            return None
        self._show()
        try:
            async with asyncio.timeout(WAIT_MAX):
                await fallback.slots.acquire(self.user)
        except TimeoutError:
            return None
        replier = fallback.replier
        notice = f"({replier.definition.entry.name} answers for {absent.name}, which is not available.)\n\n"
        try:
            with replier.in_use(), self._chatbot.metrics.running.track_inprogress():
                attempt = self._new_attempt(replier, TRIES_MAX, self._deadline(replier), notice)
                if attempt is None:
                    return None
                reply = await self._complete(attempt)
        except ChatbotFailed:
            return None
        finally:
            fallback.slots.release(self.user)
        self._chatbot.metrics.stand_ins.inc()
        return reply

    def _new_attempt(self, replier: Replier, retry: int, deadline: float, notice: str = "") -> Attempt | None:
        """Start a try; `None` if the circuit breaker admits none."""
        if not replier.circuit.admits():
            return None
        attempt = self._attempt = Attempt(replier, self.turn, self._number(retry), deadline=deadline, notice=notice)
        if self._shown:
            attempt.stream.start()
        attempt.start()
        return attempt

    async def _complete(self, attempt: Attempt) -> FinishReply:
        if not attempt.ready:
            self._show()
            await attempt.finish()
        return self._finish_complete(attempt)

    def _finish_complete(self, attempt: Attempt) -> FinishReply:
        return finish(self.turn, attempt.number, attempt.stream, attempt.fault)

    def _finish(self, error: ErrorView | None, status: MessageStatus | None = None) -> FinishReply:
        """Build a reply that its chatbot has not completed, with the text so far."""
        if (attempt := self._attempt) is None:
            return finish(self.turn, self._number(0), None, error, status)
        return finish(self.turn, attempt.number, attempt.stream, error, status)

    def _text(self) -> str:
        return "" if self._attempt is None else self._attempt.stream.text.content

    def _number(self, retry: int) -> int:
        return attempt_number(self.starts, retry, TRIES_MAX + 1, _draw)  # one more for a fallback

    @staticmethod
    def _deadline(replier: Replier) -> float:
        return asyncio.get_running_loop().time() + replier.definition.limits.total

    def _show(self) -> None:
        """Show that the reply is under way: `typing`, and its text from now on."""
        if not self._shown:
            self._shown = True
            self._worker.typing.begin(self.turn)
        if self._attempt is not None:
            self._attempt.stream.start()


def _draw(below: int) -> int:
    """Return a random integer below `below`, at a fifth of the cost of `random.randrange`. Not secret."""
    return int(random.random() * below)  # noqa: S311
