"""Exports of a whole chat, by the keyboard, in each language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor

SAID = "Remember **me**"


def saved(visitor: Visitor, label: str) -> tuple[str, str]:
    """Return the name and text of the file that a menu entry saves."""
    page = visitor.page
    page.locator(".chat-head .menu > button").focus()
    page.keyboard.press("Enter")
    entries = page.get_by_role("menuitem")
    expect(entries.first).to_be_focused()
    for _ in range(entries.all_inner_texts().index(label)):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name=label)).to_be_focused()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    return download.value.suggested_filename, Path(download.value.path()).read_text()


@pytest.mark.parametrize(
    ("locale", "as_markdown", "as_json"),
    [
        ("en-GB", "Export as Markdown", "Export as JSON"),
        ("de-DE", "Als Markdown exportieren", "Als JSON exportieren"),
        ("ar-EG", "تصدير بصيغة Markdown", "تصدير بصيغة JSON"),
    ],
)
def test_chat_is_exported_as_a_file(visit: Visit, locale: str, as_markdown: str, as_json: str) -> None:
    """Markdown to read and JSON to process, made without sending anything to a server."""
    visitor = visit(locale=locale)
    visitor.register()
    visitor.new_chat("Echo", SAID)
    visitor.expect_answer()
    expect(visitor.page.locator(".chat-head h1")).to_contain_text("Remember")  # the chat has its title

    name, text = saved(visitor, as_markdown)
    assert name.endswith(".md")
    assert text.startswith("# Remember")
    assert text.count(SAID) == 2
    assert f"### {visitor.id}" in text
    assert "### Echo" in text

    name, text = saved(visitor, as_json)
    assert name.endswith(".json")
    chat = json.loads(text)
    assert chat["session"]["users"] == [visitor.id]
    assert [(each["sender_type"], each["content"]) for each in chat["messages"]] == [("user", SAID), ("chatbot", SAID)]
