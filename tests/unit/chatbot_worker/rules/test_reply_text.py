"""The deltas of a reply: a client that follows contract.md §3.7 has exactly its text at the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.rules.reply_text import FORBIDDEN, ReplyText, Update
from shared.contracts.views import REPLY_CONTENT_MAX


class Client:
    """The rule of contract.md §3.7 for the deltas of one attempt."""

    def __init__(self) -> None:
        self.text = ""

    def apply(self, update: Update) -> None:
        if update.snapshot:
            self.text = update.text
        elif update.offset == len(self.text):
            self.text += update.text


pieces = st.lists(st.tuples(st.text(max_size=30), st.sampled_from(["wait", "delta", "snapshot"])), max_size=30)


@given(pieces, st.integers(0, 29))
def test_the_deltas_give_exactly_the_content(steps: list[tuple[str, str]], joins_at: int) -> None:
    """From the first piece on, and after a late join from the next snapshot on."""
    reply, first, later = ReplyText(), Client(), Client()
    snapshot_seen = False
    for number, (piece, tell) in enumerate(steps):
        reply.add(piece)
        update = reply.snapshot() if tell == "snapshot" else reply.delta() if tell == "delta" else None
        if update is not None:
            first.apply(update)
            if number >= joins_at:
                later.apply(update)
                snapshot_seen = snapshot_seen or update.snapshot
    if (rest := reply.delta()) is not None:
        first.apply(rest)
        later.apply(rest)
    assert first.text == reply.content == FORBIDDEN.sub("\ufffd", "".join(piece for piece, _ in steps))
    assert len(reply.content) == reply.length
    if snapshot_seen:
        assert later.text == reply.content


def test_offsets_count_code_points() -> None:
    """An emoji counts as one, independent of its length in UTF-8 and UTF-16."""
    reply = ReplyText()
    reply.add("😀é")
    reply.delta()
    reply.add("x")
    assert reply.delta() == Update(2, "x", snapshot=False)


def test_delta_without_new_text_is_none() -> None:
    """No empty deltas."""
    reply = ReplyText()
    reply.add("")
    assert reply.delta() is None


def test_the_text_is_cut_at_its_limit_and_says_so() -> None:
    """Exactly the limit is whole; one more is cut."""
    reply = ReplyText()
    reply.add("x" * REPLY_CONTENT_MAX)
    assert not reply.full
    reply.add("yy")
    assert reply.full
    assert reply.content == "x" * REPLY_CONTENT_MAX


def test_invalid_characters_are_replaced() -> None:
    """NUL and lone surrogates would be refused by everything behind us."""
    reply = ReplyText()
    reply.add("a\x00b\ud800c\x1b\n\t")
    assert reply.content == "a\ufffdb\ufffdc\ufffd\n\t"


@pytest.mark.parametrize(
    ("pieces", "content"),
    [
        (["a\ud83d", "\ude00b"], "a\N{GRINNING FACE}b"),
        (["\ud83d", "", "\ude00"], "\N{GRINNING FACE}"),
        (["\ud83d\ude00"], "\N{GRINNING FACE}"),
        (["\ud83d", "a"], "\ufffda"),
        (["a\ud83d"], "a\ufffd"),
        (["\ude00\ud83d", "\ude00"], "\ufffd\N{GRINNING FACE}"),
    ],
)
def test_halves_of_a_character_in_two_pieces_are_joined(pieces: list[str], content: str) -> None:
    """A single half is replaced."""
    text = ReplyText()
    for piece in pieces:
        text.add(piece)
    text.finish()
    assert text.content == content
    assert text.length == len(content)


def test_replaced_text_is_published_from_its_beginning() -> None:
    text = ReplyText(10)
    text.add("0123456789ab")
    text.snapshot()
    text.replace("new")
    assert (text.content, text.length, text.full) == ("new", 3, False)
    assert text.delta() == Update(0, "new", snapshot=False)
