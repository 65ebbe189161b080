"""Who answers, what a session is called, how a reply is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.reply_policy import TOO_LONG, answering, as_stored, called_upon, names
from persistence_worker.domain.titles import TITLE_LENGTH, title_from
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
def test_mentioned_with_several(content: str, asked: list[str]) -> None:
    """Those named, in the session's order; else the first."""
    assert answering("mentioned", BOTS, content, 0) == asked


def test_one_chatbot_answers_everything() -> None:
    """A mention of somebody else does not change that."""
    assert answering("mentioned", ["echo"], "@eliza?", 0) == ["echo"]


def test_round_robin_turns() -> None:
    """One after another."""
    assert [answering("round_robin", BOTS, "", n) for n in range(3)] == [["echo"], ["eliza"], ["echo"]]


@pytest.mark.parametrize("policy", ["mentioned", "all", "round_robin", "silent"])
def test_nobody_answers_without_chatbots(policy: str) -> None:
    """People may talk alone."""
    assert answering(policy, [], "hello", 3) == []  # type: ignore[arg-type]


def test_names_are_not_patterns() -> None:
    """A dot in an id is a dot."""
    assert names("@a.b", "a.b")
    assert not names("@axb", "a.b")


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("  hello\n\tthere  ", "hello there"),
        ("word " * 20, "word " * 10 + "word word…"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
        ("\u200b\n\x07", None),
        ("# Plan\n- **buy** `milk`\n- call [Bob](https://b.example/?q=1)", "Plan buy milk call Bob"),
        ("> > quoted *words* and __more__, ~~less~~", "quoted words and more, less"),
        ("```python\nprint(a_b * 2 * c_d)\n```", "print(a_b * 2 * c_d)"),
        ("is 2 * 3 > 5? #1, a-b, [x] (y)", "is 2 * 3 > 5? #1, a-b, [x] (y)"),
        ("```", "```"),
        ("**", "**"),
    ],
)
def test_titles(content: str, title: str | None) -> None:
    """One line, at most 60, cut at a word; the marks of Markdown are left out, unless there is nothing else."""
    assert title_from(content) == title


@given(st.text(max_size=400))
def test_any_content_makes_a_title_or_none(content: str) -> None:
    """Always 1 … 60 printable characters without a stray blank."""
    title = title_from(content)
    assert title is None or (0 < len(title) <= TITLE_LENGTH and title.isprintable() and title == title.strip())


def test_a_reply_is_cut_at_its_limit() -> None:
    """Exactly at the limit nothing happens."""
    assert as_stored("x" * 100_000, "complete", None) == ("x" * 100_000, "complete", None)
    assert as_stored("x" * 100_001, "complete", None) == ("x" * 100_000, "stopped", TOO_LONG)


@pytest.mark.parametrize(
    ("policy", "speaker", "content", "depth", "asked"),
    [
        ("mentioned", "a", "@b what do you say?", 0, ["b"]),
        ("all", "a", "@a @b @c @user", 2, ["b", "c"]),
        ("round_robin", "a", "b and c", 0, []),
        ("mentioned", "a", "@b", 3, []),
        ("silent", "a", "@b", 0, []),
    ],
)
def test_a_chatbot_calls_upon_those_it_names(
    policy: ReplyPolicy, speaker: str, content: str, depth: int, asked: list[str]
) -> None:
    """Never itself, never beyond the length of a chain, never where nobody is to answer."""
    assert called_upon(policy, ["a", "b", "c"], speaker, content, depth) == asked
