"""Answers from documents: quoted, with their sources, and none where nothing fits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chatbot_worker.chatbots.prompt import Speaker, Speech
from chatbot_worker.chatbots.protocol import Turn, Unusable
from chatbot_worker.kinds import retrieval
from chatbot_worker.kinds.retrieval import KIND, Retrieval, RetrievalOptions, make
from chatbot_worker.kinds.retrieval.passages import PASSAGE_MAX, NoDocument, read_document
from chatbot_worker.kinds.wire.failures import unreachable
from shared.contracts.turns import ContextMessage

GUIDE = """---
title: left out
---
# Shop

Welcome to our shop.

## Returns

You can return a **parcel** within 30 days.
We pay the postage.

## Shipping

```
# no heading
ship --express
```

Parcels to Norway take five working days.
"""
FAQ = """
[[questions]]
question = "How do I reset my password?"
answer = "Click *Forgot password* on the login page."
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide/shop.md").write_text(GUIDE)
    (tmp_path / "faq.toml").write_text(FAQ)
    (tmp_path / ".hidden.md").write_text("The secret word is xylophone.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path


def turn(*contents: str) -> Turn:
    messages = tuple(
        ContextMessage(id=uuid4(), sender_type="user", sender_id="ada", content=content, unanswered=True)
        for content in contents
    )
    return Turn(uuid4(), uuid4(), "docs", messages)


async def said(chatbot: Retrieval, *contents: str) -> str:
    return "".join([piece async for piece in chatbot.reply(turn(*contents))])


async def test_a_passage_is_quoted_with_its_source(folder: Path) -> None:
    """The quotation is exact, and the source contains the headings."""
    chatbot = make(RetrievalOptions(path=folder, passages=1))
    assert await said(chatbot, "Can I return my parcel?") == (
        "> You can return a **parcel** within 30 days.\n> We pay the postage.\n\n— Shop / Returns (`guide/shop.md`)"
    )
    assert (await said(chatbot, "I forgot my passwords!")).endswith("— How do I reset my password? (`faq.toml`)")
    await chatbot.close()


async def test_documents_that_change_are_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change, a newcomer and one that has gone; what cannot be read changes nothing."""
    monkeypatch.setattr(retrieval, "CHECK_INTERVAL", 0.0)
    chatbot = make(RetrievalOptions(path=folder, passages=1, nothing="Nothing."))
    assert (await said(chatbot, "postage of a parcel")).startswith("> You can return")
    (folder / "guide/shop.md").write_text("No postage: every parcel is carried by a pelican.\n")
    (folder / "tea.md").write_text("We serve oolong.\n")
    assert "pelican" in await said(chatbot, "postage of a parcel")
    assert "oolong" in await said(chatbot, "oolong")
    (folder / "tea.md").unlink()
    assert await said(chatbot, "oolong") == "Nothing."
    (folder / "faq.toml").write_text("questions = [")
    assert "pelican" in await said(chatbot, "postage of a parcel")
    (folder / "faq.toml").unlink()
    assert await said(chatbot, "password") == "Nothing."
    await chatbot.close()


@pytest.mark.parametrize(
    "question",
    [
        "Who won the football world cup in 1990?",
        "xylophone",
        "What is the meaning of life, and can you explain quantum physics to my parcel?",
        "hello",
        "?!",
        "",
        'NEAR(a b) " OR * : ^ heading:returns-',
    ],
)
async def test_where_nothing_fits_it_says_so(folder: Path, question: str) -> None:
    """A word in common is no answer; and no question is a command to the index."""
    chatbot = make(RetrievalOptions(path=folder, nothing="Nothing."))
    assert await said(chatbot, question) == "Nothing."


class Model:
    """A language model: says something, or fails."""

    def __init__(self, *pieces: str, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.asked: list[Sequence[Speech]] = []

    async def speak(self, speeches: Sequence[Speech]) -> AsyncIterator[str]:
        self.asked.append(speeches)
        for piece in self.pieces:
            yield piece
        if self.error:
            raise self.error


async def test_a_language_model_answers_from_the_passages(folder: Path) -> None:
    """It is given them by the operator's role and the question by the user's; the sources follow what it says."""
    model = Model("Thirty ", "days.")
    assert isinstance(model, Speaker)
    chatbot = Retrieval(RetrievalOptions(path=folder, passages=1), model)
    assert await said(chatbot, "Can I return my parcel?") == "Thirty days.\n\n— Shop / Returns (`guide/shop.md`)"
    [[system, user]] = model.asked
    assert "within 30 days" in system.content
    assert (system.role, user) == ("system", Speech("user", "Can I return my parcel?"))
    await said(chatbot, "Who won the world cup?")
    assert len(model.asked) == 1, "where nothing fits it is not asked"


async def test_where_the_language_model_fails_the_passages_are_quoted(folder: Path) -> None:
    """Unless it had begun to speak."""
    options = RetrievalOptions(path=folder, passages=1)
    assert (await said(Retrieval(options, Model(error=unreachable("gone"))), "return a parcel")).startswith("> You can")
    with pytest.raises(type(unreachable(""))):
        await said(Retrieval(options, Model("Thirty", error=unreachable("gone"))), "return a parcel")


def test_passages() -> None:
    """Code is no heading, front matter is left out, and none is much longer than it should be."""
    found = read_document("shop.md", GUIDE)
    assert [passage.heading for passage in found] == ["Shop", "Shop / Returns", "Shop / Shipping"]
    assert "# no heading" in found[2].text
    for text in ("\n\n".join(["word " * 50] * 40), "\n".join(["| word " * 20] * 100)):
        long = read_document("long.md", text)
        assert len(long) > 5
        assert all(len(passage.text) <= PASSAGE_MAX + 50 for passage in long)
        assert "".join(passage.text for passage in long).split() == text.split()


@pytest.mark.parametrize("text", ["questions = 3", "[[questions]]\nquestion = 'Q'", "no toml"])
def test_a_faq_that_is_none(text: str) -> None:
    with pytest.raises(NoDocument, match=r"^faq\.toml: "):
        read_document("faq.toml", text)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"path": "nowhere"}, "nowhere does not exist"),
        ({"path": "empty"}, "no document"),
        ({"path": "faq.toml", "model": {"kind": "eliza"}}, '"eliza" is no language model'),
        ({"path": "faq.toml", "model": {}}, r"options\.model\.kind: name the kind"),
        ({"path": "faq.toml", "model": {"kind": "openai", "modle": "m"}}, r"options\.model\.modle: Extra inputs"),
        ({"path": "faq.toml", "model": {"kind": "openai", "key": "NO_SUCH_KEY"}}, "NO_SUCH_KEY"),
    ],
)
def test_what_is_wrong_is_said_at_the_start(folder: Path, options: dict[str, Any], reason: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(Unusable, match=reason):
        KIND.make(KIND.options.model_validate({**options, "path": folder / options["path"]}))
