"""Terms of a search query, and snippets of messages."""

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
def test_query_is_divided_into_words(query: str, wanted: list[str]) -> None:
    """No character is left that a database could interpret as an operator."""
    assert search_terms.terms(query) == wanted


@given(st.text(), st.text(min_size=1))
def test_any_text_makes_a_valid_query_and_a_bounded_snippet(content: str, query: str) -> None:
    """Quotes are balanced, and a snippet is one line."""
    wanted = search_terms.terms(query)
    assert search_terms.fts5_query(wanted).count('"') == 2 * len(wanted)
    shown = search_terms.snippet(content, wanted)
    assert len(shown) <= 2 * search_terms.AROUND + 2
    assert "\n" not in shown


def test_snippet_shows_the_first_match() -> None:
    """A word that equals a term or begins like it; without a match, the beginning of the message."""
    content = "x " * 200 + "the singing\n canary " + "y " * 200
    shown = search_terms.snippet(content, ["canaries"])
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "the singing canary" in shown
    assert search_terms.snippet("short", ["nothing"]) == "short"
    assert search_terms.snippet(content, ["absent"]).startswith("x x")
