"""Titles that are derived from a message."""

from __future__ import annotations

import unicodedata

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
        ("می‌خواهم بروم", "می‌خواهم بروم"),
        ("क्‍ष और क्षि", "क्‍ष और क्षि"),
        ("left\u202eright\u2066 soft\u00adhyphen zero\u200bwidth", "leftright softhyphen zerowidth"),
        ("a\u2028b\x85c\u00a0d", "a b c d"),
        ("\u200d\u200c", None),
    ],
)
def test_title_of_content(content: str, title: str | None) -> None:
    """One line of at most 60 code points, cut at a word, without Markdown unless there is nothing else."""
    assert title_from(content) == title


@pytest.mark.parametrize(
    "content",
    [
        "our 👩‍👩‍👧 in 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "flags 🇩🇪🇫🇷, thumbs 👍🏽, hearts ❤️, keys 1️⃣",
        "天気はどうですか",
        "กำลังทดสอบ",
        "a \U0001fae9 newer than Python's tables, and \ue000",
    ],
)
def test_title_keeps_every_script_and_emoji(content: str) -> None:
    """Joiners, tags, modifiers and flags, and characters that are newer than Python's tables."""
    assert title_from(content) == content


@pytest.mark.parametrize(
    "grapheme",
    [
        "👩‍👩‍👧",
        "👍🏽",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "🇩🇪",
        "e\u0301\u0323",
        "क्षि",
        "กำ",
        "\u1100\u1161\u11a8",
        "❤️",
    ],
)
@pytest.mark.parametrize("offset", range(5))
def test_cut_never_parts_a_grapheme(grapheme: str, offset: int) -> None:
    """Wherever the limit falls, a title ends with whole characters, in one long word and after a short one."""
    for start in ("x" * offset, "x " + "y" * offset):
        title = title_from(start + grapheme * 60)
        assert title is not None
        assert len(title) <= TITLE_LENGTH
        assert title.endswith("…")
        rest = title[:-1].removeprefix(start)
        assert rest == grapheme * (len(rest) // len(grapheme))
        assert len(rest) > TITLE_LENGTH - 1 - len(start) - len(grapheme)


def test_cut_of_a_single_endless_grapheme_is_within_the_limit() -> None:
    """A letter with hundreds of marks is one grapheme; it cannot be kept whole."""
    title = title_from("z" + "\u0301" * 300)
    assert title is not None
    assert len(title) <= TITLE_LENGTH


@given(st.text(max_size=400))
def test_title_of_any_content_is_a_short_line_or_none(content: str) -> None:
    """Without white space at either end, and without controls."""
    title = title_from(content)
    assert title is None or (0 < len(title) <= TITLE_LENGTH and title == " ".join(title.split()))
    assert not any(unicodedata.category(c) == "Cc" for c in title or "")
