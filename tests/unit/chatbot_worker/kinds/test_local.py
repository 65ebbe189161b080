"""The built-in list begins with the local language model where one can run; elsewhere it says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from chatbot_worker.catalogue.loading import load
from chatbot_worker.chatbots.protocol import Unusable
from chatbot_worker.kinds import local
from chatbot_worker.kinds.local import LocalOptions, make


def listed(*, local_model: bool) -> list[tuple[str, bool]]:
    return [(each.id, each.card.default) for each in load(None, local_model=local_model).definitions]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine and weights, as far as files show."""
    package = tmp_path / "weighty"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('nobody imports this')")
    (package / "small.gguf").write_bytes(b"GGUF...")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(local, "ENGINE", "json")
    monkeypatch.setattr(local, "WEIGHTS", "weighty")


@pytest.mark.usefixtures("installed")
def test_it_comes_first_and_is_the_default() -> None:
    """Nothing is started or imported for that."""
    assert listed(local_model=True) == [("local", True), ("eliza", False), ("echo", False)]
    assert listed(local_model=False) == [("eliza", True), ("echo", False)]


@pytest.mark.parametrize("lacking", ["ENGINE", "WEIGHTS"])
@pytest.mark.usefixtures("installed")
def test_where_it_cannot_run_one_line_says_so(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And Eliza answers."""
    monkeypatch.setattr(local, lacking, "nowhere_to_be_found")
    with structlog.testing.capture_logs() as lines:
        assert listed(local_model=True) == [("eliza", True), ("echo", False)]
    [line] = lines
    assert "pip install" in line["reason"]
    assert line["default"] == "eliza"


@pytest.mark.usefixtures("installed")
def test_weights_that_are_none_are_said_at_the_start(tmp_path: Path) -> None:
    """By their path."""
    with pytest.raises(Unusable, match=r"nothing\.gguf: No such file"):
        make(LocalOptions(model=tmp_path / "nothing.gguf"))
    (tmp_path / "text.gguf").write_text("text")
    with pytest.raises(Unusable, match=r"text\.gguf is no GGUF file"):
        make(LocalOptions(model=tmp_path / "text.gguf"))
