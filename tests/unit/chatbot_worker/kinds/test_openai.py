"""The options of `openai`: a key is named, never written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_worker.catalogue.loading import CatalogueError, parse
from chatbot_worker.chatbots.protocol import Unusable
from chatbot_worker.kinds.openai import OpenAIOptions, make
from shared.runtime.settings import secret

CANARY = "sk-canary-0123456789"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (f'{{key = "{CANARY}"}}', "key"),
        (f'{{headers = {{Authorization = "Bearer {CANARY}"}}}}', "headers"),
        (f'{{base_url = "https://user:{CANARY}@api.example/v1"}}', "base_url"),
        ('{base_url = "file:///etc/passwd"}', "base_url"),
        ("{extra = {messages = []}}", "extra"),
        ("{max_tokens = 600, context_tokens = 1000}", ""),
    ],
)
def test_mistakes_are_said_without_what_was_written(options: str, field: str) -> None:
    """A key in the wrong place does not get into the log too."""
    text = f'[[chatbots]]\nid = "a"\nname = "A"\nkind = "openai"\noptions = {options}\n'
    with pytest.raises(CatalogueError, match=rf"options\.?{field}") as error:
        parse(text, datetime(2026, 11, 23, tzinfo=UTC))
    assert CANARY not in str(error.value)


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the white space that an editor leaves; and it is not shown."""
    (tmp_path / "key").write_text(f"{CANARY}\n")
    monkeypatch.setenv("A_KEY_FILE", str(tmp_path / "key"))
    assert secret("A_KEY").get_secret_value() == CANARY
    monkeypatch.setenv("A_KEY", "other")
    assert secret("A_KEY").get_secret_value() == "other"
    assert "other" not in repr(secret("A_KEY"))
    monkeypatch.setenv("A_KEY", " ")
    with pytest.raises(LookupError, match="A_KEY is empty"):
        secret("A_KEY")


def test_a_secret_that_is_not_there_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that names the variable."""
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(Unusable, match=r"options\.key: neither A_KEY nor a readable file in A_KEY_FILE"):
        make(OpenAIOptions(key="A_KEY"))
