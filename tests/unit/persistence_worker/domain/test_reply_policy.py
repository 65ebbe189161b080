"""Which chatbots answer a message."""

from __future__ import annotations

import pytest

from persistence_worker.domain.reply_policy import answering, answering_chatbot, mentions
from shared.contracts.views import ReplyPolicy

BOTS = ["echo", "eliza"]


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ("hello", ["echo"]),
        ("hello @eliza", ["eliza"]),
        ("@ELIZA, and @echo!", ["echo", "eliza"]),
        ("mail me@eliza.example", ["echo"]),
        ("@eliza.", ["eliza"]),
        ("@eliza2 or @eliza-x", ["echo"]),
    ],
)
def test_mentioned_chatbots_answer_else_the_first(content: str, asked: list[str]) -> None:
    """In the session's order."""
    assert answering("mentioned", BOTS, content, 0) == asked


def test_only_chatbot_of_a_session_answers_every_message() -> None:
    """Also one that mentions another chatbot."""
    assert answering("mentioned", ["echo"], "@eliza?", 0) == ["echo"]


def test_round_robin_assigns_messages_in_turn() -> None:
    assert [answering("round_robin", BOTS, "", n) for n in range(3)] == [["echo"], ["eliza"], ["echo"]]


@pytest.mark.parametrize("policy", ["mentioned", "all", "round_robin", "silent"])
def test_message_has_no_answer_in_a_session_without_chatbots(policy: str) -> None:
    assert answering(policy, [], "hello", 3) == []  # type: ignore[arg-type]


def test_chatbot_id_is_not_a_regular_expression() -> None:
    assert mentions("@a.b", "a.b")
    assert not mentions("@axb", "a.b")


@pytest.mark.parametrize(
    ("policy", "author", "content", "depth", "asked"),
    [
        ("mentioned", "a", "@b what do you say?", 0, ["b"]),
        ("all", "a", "@a @b @c @user", 2, ["b", "c"]),
        ("round_robin", "a", "b and c", 0, []),
        ("mentioned", "a", "@b", 3, []),
        ("silent", "a", "@b", 0, []),
    ],
)
def test_chatbots_that_a_reply_mentions_answer_it(
    policy: ReplyPolicy, author: str, content: str, depth: int, asked: list[str]
) -> None:
    """But not its author, not above the maximum length of a chain, and not under the policy `silent`."""
    assert answering_chatbot(policy, ["a", "b", "c"], author, content, depth) == asked
