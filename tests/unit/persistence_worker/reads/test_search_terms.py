"""What is looked for, and what is shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.reads import search_terms


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("a_b bird@example.com", ["a", "b", "bird", "example", "com"]),
        ('" OR 1=1 -- *', ["or", "1"]),
        ("  \n !? ", []),
        ("Grüße ПРИВЕТ 你好", ["grüße", "привет", "你好"]),
        (" ".join(map(str, range(20))), [str(n) for n in range(10)]),
        ("x" * 200, ["x" * 64]),
    ],
)
def test_a_query_is_its_words(query: str, wanted: list[str]) -> None:
    """Nothing of what a database would take for an operator is left."""
    assert search_terms.words(query) == wanted


@given(st.text(), st.text(min_size=1))
def test_nothing_breaks_a_query_or_a_snippet(content: str, query: str) -> None:
    """Quotes stay balanced, and a snippet is one bounded line."""
    wanted = search_terms.words(query)
    assert search_terms.match(wanted).count('"') == 2 * len(wanted)
    shown = search_terms.snippet(content, wanted)
    assert len(shown) <= 2 * search_terms.AROUND + 2
    assert "\n" not in shown


def test_a_snippet_shows_the_first_word_that_is_found() -> None:
    """As it stands, or as much of its beginning as there is; else the beginning of the message."""
    content = "x " * 200 + "the singing\n canary " + "y " * 200
    shown = search_terms.snippet(content, ["canaries"])
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "the singing canary" in shown
    assert search_terms.snippet("short", ["nothing"]) == "short"
    assert search_terms.snippet(content, ["absent"]).startswith("x x")
