"""Titles that are derived from a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.titles import TITLE_LENGTH, title_from


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
def test_title_of_content(content: str, title: str | None) -> None:
    """One line of at most 60 code points, cut at a word, without Markdown unless there is nothing else."""
    assert title_from(content) == title


@given(st.text(max_size=400))
def test_title_of_any_content_is_short_and_printable_or_none(content: str) -> None:
    """Without white space at either end."""
    title = title_from(content)
    assert title is None or (0 < len(title) <= TITLE_LENGTH and title.isprintable() and title == title.strip())
