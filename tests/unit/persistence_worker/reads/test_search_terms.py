"""Terms of a search query, and snippets of messages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_worker.domain.search_words import search_words
from persistence_worker.reads import search_terms


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("a_b bird@example.com", ["a", "b", "bird", "exampl", "com"]),
        ('" OR 1=1 -- *', ["or", "1"]),
        ("  \n !? ", []),
        ("Grüße ПРИВЕТ 你好", ["gruss", "привет", "你好"]),
        (" ".join(map(str, range(20))), [str(n) for n in range(10)]),
        ("x" * 200, ["x" * 64]),
        ("東京タワー 東京", ["東京", "京タ", "タワ", "ワー"]),
    ],
)
def test_query_is_divided_into_words(query: str, wanted: list[str]) -> None:
    assert list(search_terms.terms(query).words) == wanted


def test_single_character_of_a_run_is_a_prefix() -> None:
    found = search_terms.terms("京 a")
    assert (found.words, found.prefixes) == (("a",), ("京",))
    assert (found.fts5(), found.tsquery()) == ('"a" AND "京" *', "'a' & '京':*")


@given(st.text(), st.text(min_size=1))
def test_any_text_makes_a_valid_query_and_a_bounded_snippet(content: str, query: str) -> None:
    """No character is left that a database could interpret as an operator, and a snippet is one line."""
    wanted = search_terms.terms(query)
    for term in (*wanted.words, *wanted.prefixes):
        assert term
        assert not re.search(r"[\s\"'\\\\&|!():*\x00]", term)
    shown = search_terms.snippet(content, wanted)
    assert len(shown) <= 2 * search_terms.AROUND + 2
    assert "\n" not in shown


@given(st.text())
def test_any_text_is_divided_into_words_separated_by_single_spaces(content: str) -> None:
    """Empty words would be refused by PostgreSQL."""
    words = search_words(content)
    assert words == " ".join(words.split())
    assert "\x00" not in words


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_ascii_text_has_the_same_words_on_both_paths(content: str) -> None:
    assert search_words(content + " ä").removesuffix("a").strip() == search_words(content)


def test_snippet_shows_the_first_match() -> None:
    """A word that equals a term or begins like it; without a match, the beginning of the message."""
    content = "x " * 200 + "the singing\n canary " + "y " * 200
    shown = search_terms.snippet(content, search_terms.terms("canaries"))
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "the singing canary" in shown
    assert search_terms.snippet("short", search_terms.terms("nothing")) == "short"
    assert search_terms.snippet(content, search_terms.terms("absent")).startswith("x x")
