"""The catalogue: what a TOML file may say, and where it went wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from chatbot_worker.app import build
from chatbot_worker.catalogue.loading import CatalogueError, load, parse
from chatbot_worker.rules.window import Bounds
from chatbot_worker.settings import ChatbotSettings
from tests.integration.chatbot_worker.fake_bus import FakeBus

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ONE = '[[chatbots]]\nid = "a"\nname = "A"\nkind = "echo"\n'
TWO = ONE + '\n[[chatbots]]\nid = "b"\nname = "B"\nkind = "eliza"\n'


def test_the_built_in_list() -> None:
    """Without a file: eliza, the default, and echo; both are immediate and have their kind's context."""
    eliza, echo = [definition.card for definition in load(None).definitions]
    assert (eliza.id, eliza.default, eliza.immediate, eliza.context.messages) == ("eliza", True, True, 40)
    assert (echo.id, echo.default, echo.immediate, echo.context.messages) == ("echo", False, True, 0)


def test_a_file_says_all(tmp_path: Path) -> None:
    """Each field reaches the definition; the file's own time dates the catalogue."""
    path = tmp_path / "chatbots.toml"
    path.write_text(
        ONE + 'description = "D"\ndefault = true\nconcurrency = 7\ndelta_interval = 0.5\n'
        "options = {delay = 0}\ncontext = {messages = 3, bytes = 99}\nlimits = {total = 5, attempts = 1}\n"
    )
    os.utime(path, (1_700_000_000, 1_700_000_000))
    catalogue = load(path)
    (one,) = catalogue.definitions
    assert (one.id, one.card.name, one.card.description, one.card.default) == ("a", "A", "D", True)
    assert (one.concurrency, one.delta_interval) == (7, 0.5)
    assert (one.card.context.messages, one.card.context.bytes) == (3, 99)
    assert (one.limits.total, one.limits.attempts) == (5, 1)
    assert catalogue.announcement().modified_at == "2023-11-14T22:13:20.000Z"


@pytest.mark.parametrize(
    ("context", "options", "wanted", "bounds"),
    [
        ("", "", (100, 65_536, False), Bounds()),
        ("tokens = 500", "context_tokens = 9000", (100, 65_536, False), Bounds(500)),
        ("messages = 5", "context_tokens = 1000, max_tokens = 200", (5, 65_536, False), Bounds(800)),
        ("summary = true, messages = 5", "", (10, 131_072, True), Bounds(None, 5, 65_536)),
        ("summary = true, bytes = 100000", "", (200, 131_072, True), Bounds(None, 100, 65_536)),
    ],
)
def test_what_a_chatbot_is_shown(context: str, options: str, wanted: tuple[int, int, bool], bounds: Bounds) -> None:
    """No more than its model has room for; for summaries its turns bring twice that."""
    toml = ONE.replace('"echo"', '"openai"') + f"context = {{{context}}}\noptions = {{{options}}}\n"
    [one] = parse(toml, NOW).definitions
    assert (one.card.context.messages, one.card.context.bytes, one.card.context.summary) == wanted
    assert (one.bounds.messages, one.bounds.bytes) == (bounds.messages, bounds.bytes)
    if bounds.tokens is None:
        assert one.bounds.tokens is None
    else:
        assert one.bounds.tokens is not None
        assert 0.8 * bounds.tokens < one.bounds.tokens <= bounds.tokens, "less the words around what people said"


def test_the_first_is_the_default_if_none_says_so() -> None:
    """There is always exactly one."""
    assert [d.card.default for d in parse(TWO, NOW).definitions] == [True, False]
    assert [d.card.default for d in parse(TWO + "default = true", NOW).definitions] == [False, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ONE + "x = ?", "Invalid value .*line 5"),
        ("", r"no \[\[chatbots\]\]"),
        (
            ONE + "context = {summary = true}",
            r'^chatbot 1 "a" \(line 5\): context.summary: "echo" is no language model',
        ),
        ("chatbots = 3", r"no \[\[chatbots\]\]"),
        ("title = 1\n" + ONE, "unknown: title"),
        (ONE.replace('"a"', '"A b"'), r'^chatbot 1 "A b" \(line 2\): id: String should match'),
        (TWO.replace('name = "B"', ""), r'^chatbot 2 "b" \(line 6\): name: Field required'),
        (TWO.replace("eliza", "parrot"), r'^chatbot 2 "b" \(line 9\): kind: "parrot" is none of echo, eliza, local'),
        (TWO.replace('"b"', '"a"'), r'^chatbot 2 "a" \(line 7\): id: taken by chatbot 1 "a" \(line 1\)'),
        (ONE + "colour = 1", r"\(line 5\): colour: Extra inputs"),
        (ONE + 'fallback = "a"', r"\(line 5\): fallback: \"a\" is no other chatbot"),
        (TWO + 'fallback = "c"', r"\(line 10\): fallback: \"c\" is no other chatbot"),
        (ONE + "[chatbots.limits]\nattempts = 2\ntotal = 0", r"\(line 7\): limits\.total: Input"),
        (ONE + "[chatbots.options]\n[chatbots.limits]\n'total' = 0", r"\(line 7\): limits\.total: Input"),
        (ONE + "limits.first_token = 1\nlimits.total = 0", r"\(line 6\): limits\.total: Input"),
        (ONE + "limits = {first_token = 1, total = 0}", r"\(line 5\): limits\.total: Input"),
        (ONE + "circuit = {failures = 0}", r"\(line 5\): circuit\.failures: Input"),
        ("\n\n" + ONE + "[chatbots.options]\n# slow\ndelay = 9", r"\(line 9\): options\.delay: Input"),
        ('chatbots = [{id = "a", name = "A", kind = "parrot"}]', r'^chatbot 1 "a": kind: "parrot"'),
        (ONE + "options = {delay = -1}", r"options\.delay: Input should be greater"),
        (ONE + "options = {speed = 1}", r"options\.speed: Extra inputs"),
        (ONE + "limits = {total = 0}", r"limits\.total: Input should be greater"),
        (ONE + "limits = {total = inf}", r"limits\.total: Input should be"),
        (ONE + "context = {bytes = 999999999}", r"context\.bytes: Input should be less"),
        (ONE + "default = true\n" + TWO[len(ONE) :] + "default = true", "chatbot 2.*: default: chatbot 1.* already"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, reason: str) -> None:
    """The error names the line in the file."""
    with pytest.raises(CatalogueError, match=reason):
        parse(text, NOW)


def test_a_wrong_catalogue_ends_the_process_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the variable is named."""
    path = tmp_path / "nowhere.toml"
    with pytest.raises(SystemExit) as ended:
        build(ChatbotSettings(chatbots=path), bus=FakeBus(), registry=CollectorRegistry())
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"BACKCHAT_CHATBOTS: {path}: No such file or directory\n"
