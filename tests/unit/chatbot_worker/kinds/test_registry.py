"""An external package adds a kind of chatbot by an entry point, as the documentation describes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from chatbot_worker.catalogue.loading import CatalogueError, parse
from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.registry import KINDS, OWN
from shared.contracts.turns import ContextMessage

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOW_TO = Path(__file__).parents[4] / "docs/how-to/write-a-chatbot.md"
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution `shouting` with one module and one entry point."""

    def installed(source: str, point: str) -> None:
        (tmp_path / f"shouting_{tmp_path.name}.py").write_text(source)
        info = tmp_path / "shouting-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
        point = point.replace("shouting:", f"shouting_{tmp_path.name}:")  # modules are kept between tests
        (info / "entry_points.txt").write_text(f"[backchat.chatbots]\n{point}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return installed


def listing(kind: str, options: str = "{}") -> str:
    return f'[[chatbots]]\nid = "a"\nname = "A"\nkind = "{kind}"\noptions = {options}\n'


def documented() -> tuple[str, str]:
    """The example's module and its entry point, out of the page."""
    text = HOW_TO.read_text(encoding="utf-8")
    [source] = re.findall(r"```python title=\"shouting.py\"\n(.*?)```", text, re.DOTALL)
    [point] = re.findall(r"\[project\.entry-points\.\"backchat\.chatbots\"\]\n(.*?)\n```", text, re.DOTALL)
    return source, point.replace('"', "")


async def test_the_ten_lines_of_the_documentation_are_a_chatbot(install: Install) -> None:
    """Its options are checked and its replies are its own."""
    source, point = documented()
    assert len([line for line in source.splitlines() if line.strip() and "import" not in line]) <= 10
    install(source, point)
    assert "shout" in set(KINDS)
    [definition] = parse(listing("shout", '{ending = "?!"}'), NOW).definitions
    asked = ContextMessage(id=uuid4(), sender_type="user", sender_id="ada", content="hello there", unanswered=True)
    pieces = [piece async for piece in definition.chatbot.reply(Turn(uuid4(), uuid4(), "a", (asked,)))]
    assert "".join(pieces) == "HELLO THERE?!"
    with pytest.raises(CatalogueError, match=r"options\.end: Extra inputs"):
        parse(listing("shout", '{end = "!"}'), NOW)


@pytest.mark.parametrize(
    ("source", "point", "reason"),
    [
        (
            "import nowhere_to_be_found",
            "shout = shouting:KIND",
            "package shouting cannot be imported: install nowhere_to",
        ),
        ("KIND = 3", "shout = shouting:KIND", "is no Kind"),
        ("", "shout = shouting:KIND", "has no KIND"),
        ("", "echo2 = shouting:KIND", '"shout" is none of echo, echo2, eliza, local, openai, retrieval, webhook'),
    ],
)
def test_what_is_wrong_with_a_package_is_one_line(install: Install, source: str, point: str, reason: str) -> None:
    """With the place in the catalogue, and no traceback."""
    install(source, point)
    with pytest.raises(CatalogueError, match=reason) as error:
        parse(listing("shout"), NOW)
    assert re.match(r'chatbot 1 "a" \(line \d\): kind: ', str(error.value))
    assert "\n" not in str(error.value)


def test_package_cannot_replace_a_built_in_kind(install: Install) -> None:
    """`echo` stays echo."""
    install("KIND = 3", "echo = shouting:KIND")
    assert parse(listing("echo"), NOW).definitions[0].chatbot.__class__.__module__ == OWN["echo"]


def test_a_kind_that_lacks_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at the start."""
    monkeypatch.setattr("chatbot_worker.kinds.local.ENGINE", "nowhere_to_be_found")
    with pytest.raises(CatalogueError, match=r"not installed \(pip install 'backchat\[local\]'\)"):
        parse(listing("local"), NOW)
