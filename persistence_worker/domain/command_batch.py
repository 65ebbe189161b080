"""A batch of commands, applied in order to sessions in memory. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from persistence_worker.domain.answers import answered_before, refusal, result
from persistence_worker.domain.context import Contexts
from persistence_worker.domain.rules import redelivery
from persistence_worker.domain.rules.registry import EXCLUSIVE_COMMANDS, IDEMPOTENT_COMMANDS, RULES
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.envelope import Received
from shared.contracts.events import SessionHead
from shared.contracts.payload import Payload
from shared.contracts.queries import Reply
from shared.errors import BackchatError, Unavailable

REPUBLISH_AFTER = timedelta(seconds=30)  # a resent command republishes an open turn only after this time


class MissingRule(Exception):
    """A command type of the contract has no rule in `RULES`. The message names the type."""

    def __init__(self, command: type[Payload]) -> None:
        super().__init__(f"no rule for {command.TYPE}")


@dataclass(frozen=True, slots=True)
class ReceivedCommand:
    """A command and its envelope."""

    envelope: Received
    command: Any  # one of `shared.contracts.commands.COMMANDS`
    redelivered: bool = False  # it may have been committed before, without its publications


def transactions(commands: Sequence[ReceivedCommand]) -> Iterator[Sequence[ReceivedCommand]]:
    """Split commands, in order, into those that can share a transaction; exclusive commands get one each."""
    begin = 0
    for n, received in enumerate(commands):
        if type(received.command) in EXCLUSIVE_COMMANDS:
            if n > begin:
                yield commands[begin:n]
            yield commands[n : n + 1]
            begin = n + 1
    if begin < len(commands):
        yield commands[begin:]


@dataclass(slots=True)
class CommandBatch(UnitOfWork):
    """The unit of work of a batch of commands."""

    def apply(self, received: ReceivedCommand) -> None:
        """Apply one command; a repeated command only repeats its answer and its publications.

        Raises:
            MissingRule: the command's type has no rule.
        """
        command, envelope = received.command, received.envelope
        if received.redelivered:
            self.redelivered.add(envelope.id)
        rule = RULES.get(type(command))
        if rule is None:
            raise MissingRule(type(command))
        if envelope.id in self.loaded.applied:
            self._repeat(command, envelope)
            return
        try:
            model = rule(self, command, envelope)
        except BackchatError as error:
            self._answer(command, envelope, refusal(error), record=not isinstance(error, Unavailable))
        else:
            if model is not None:
                self._answer(command, envelope, result(model))

    def _repeat(self, command: Any, envelope: Received) -> None:
        self.answers.append((envelope, answered_before(self.loaded.applied[envelope.id])))
        session = self.loaded.sessions.get(command.session_id)
        if session is not None:
            redelivery.republish(self, session, command, envelope)
            self.repeat(session, envelope)

    def _answer(self, command: Any, envelope: Received, reply: Reply, *, record: bool = True) -> None:
        """Answer a command, and record the answer for repetitions unless the command may still be applied."""
        self.answers.append((envelope, reply))
        if record and type(command) not in IDEMPOTENT_COMMANDS:
            self.loaded.applied[envelope.id] = text = reply.to_json().decode()
            self.writes.answers.append((envelope.id, command.session_id, text))

    def republish(self) -> None:
        """Republish heads of sessions with repeated commands, and their open turns of earlier batches.

        A turn costs a context and space in its queue, so a client that resends a message gets heads only, until
        `REPUBLISH_AFTER` has passed.
        """
        for session_id, envelope in self.repeats.items():
            session = self.loaded.sessions[session_id]
            if session.deleted_at is not None:
                continue
            self.deliver(SessionHead(session_id=session.id, last_seq=session.last_seq), envelope)
            for turn in session.turns.values():
                recent = session_id not in self.unpublished and turn.published_at > self.now - REPUBLISH_AFTER
                if not turn.new and turn.stop_at is None and not recent:
                    self.republish_turn(turn)


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """A committed batch, and the contexts of the turns that it publishes."""

    batch: CommandBatch
    contexts: Contexts
