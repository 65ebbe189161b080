"""Every command type of the contract has a rule, and an entry in the tables that concern it."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

from persistence_worker.commands import transaction
from persistence_worker.domain.command_batch import MissingRule
from persistence_worker.domain.rules import registry
from persistence_worker.domain.rules.registry import (
    COMMAND_TYPES,
    EXCLUSIVE_COMMANDS,
    IDEMPOTENT_COMMANDS,
    KEYED_COMMANDS,
    RULES,
)
from shared.contracts.commands import COMMANDS, RateReply
from shared.contracts.payload import Model, Payload
from tests.support.commands import ADA
from tests.unit.persistence_worker.domain.batches import apply, batch, session


def test_every_command_of_the_contract_has_a_rule_and_every_rule_a_command() -> None:
    assert {command.TYPE for command in COMMANDS} == set(COMMAND_TYPES)
    assert {command.TYPE for command in RULES} == set(COMMAND_TYPES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.TYPE)
def test_rule_takes_its_command_and_returns_an_answer_or_none(command: type[Payload]) -> None:
    """A command that is answered without being recorded must be idempotent, and one without an answer is keyed."""
    hints = get_type_hints(RULES[command])
    assert command in hints.values(), "the rule is written for another command"
    returned = hints["return"]
    assert returned is type(None) or issubclass(returned, Model)
    if returned is type(None):
        assert command in KEYED_COMMANDS, "without an answer a repetition must be detected by a key"


def test_tables_of_commands_name_only_commands_with_a_rule() -> None:
    for table in (KEYED_COMMANDS, IDEMPOTENT_COMMANDS, EXCLUSIVE_COMMANDS):
        assert table <= set(RULES)
    assert KEYED_COMMANDS <= IDEMPOTENT_COMMANDS
    assert not KEYED_COMMANDS & EXCLUSIVE_COMMANDS


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.TYPE)
def test_command_has_the_session_that_its_transaction_locks(command: type[Payload]) -> None:
    assert "session_id" in command.__struct_fields__


def test_commands_known_by_a_key_are_found_as_applied_by_that_key() -> None:
    """`_was_applied` has a case for each keyed command; a recorded command is found by its id."""
    source = inspect.getsource(transaction._was_applied)
    assert [command.__name__ for command in KEYED_COMMANDS if f"case {command.__name__}()" not in source] == []


def test_command_without_a_rule_fails_with_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry.RULES, RateReply)
    one = session()
    command = RateReply(session_id=one.id, user_id=ADA, message_id=one.id, rating=1, comment=None)
    with pytest.raises(MissingRule, match=f"no rule for {RateReply.TYPE}"):
        apply(batch(one), command)
