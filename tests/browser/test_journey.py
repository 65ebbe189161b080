"""The main journey of a new visitor, and the actions on messages and chats."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.model import HELD, RELEASED, Model
from tests.browser.visitor import wait_for_expression

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
CODE = "Look:\n\n```python\nprint('hello')\n```\n\n| a | b |\n|---|---|\n| 1 | **2** |"


@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_new_visitor_gets_a_reply(visit: Visit, window: dict[str, object]) -> None:
    """Open the address, create an account, choose a chatbot, and get an answer in Markdown."""
    visitor = visit(**window)
    visitor.register("/")
    visitor.new_chat("Echo", CODE)
    answer = visitor.expect_answer()
    expect(answer.locator(".code figcaption")).to_contain_text("python")
    expect(answer.locator(".code .hljs-built_in")).to_have_text("print")
    expect(answer.locator("td strong")).to_have_text("2")
    expect(visitor.page.locator(".chat-head h1")).to_contain_text("Look")  # the chat has a title
    expect(visitor.page.locator(".day")).to_have_text("Today")
    expect(answer.locator("time")).to_have_attribute("title", re.compile(r"\b20\d\d at \d\d?:\d\d:\d\d"))
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_reload_during_a_reply_continues_it(visit: Visit, model: Model) -> None:
    """A reload during a reply keeps the login and the text so far, and the reply continues."""
    visitor = visit()
    visitor.register()
    model.go_on.clear()
    visitor.new_chat("Model", "hold")
    expect(visitor.reply_under_way).to_contain_text(HELD)
    visitor.page.reload()
    expect(visitor.reply_under_way).to_contain_text(HELD)
    model.go_on.set()
    expect(visitor.expect_answer().locator(".md")).to_have_text(HELD + RELEASED)
    expect(visitor.own).to_have_count(1)


def test_reply_is_stopped_regenerated_rated_and_message_edited(visit: Visit, model: Model) -> None:
    """A stopped reply keeps its text, a regenerated one keeps the earlier version, an edit gets a new reply."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    model.go_on.clear()
    visitor.new_chat("Model", "hold")
    expect(visitor.reply_under_way).to_contain_text(HELD)
    visitor.writing.press("Escape")
    stopped = visitor.expect_answer()
    expect(stopped).to_contain_text("Stopped")
    expect(stopped.locator(".md")).to_have_text(HELD)

    model.go_on.set()
    stopped.get_by_role("button", name="Answer again").click()
    again = visitor.page.locator(".row.reply")
    expect(again.locator(".alternatives")).to_contain_text("2/2")
    expect(again.locator(".md")).to_have_text(HELD + RELEASED)
    again.get_by_role("button", name="Earlier answer").click()
    expect(again).to_contain_text("Stopped")
    again.get_by_role("button", name="Later answer").click()
    expect(again.locator(".md")).to_have_text(HELD + RELEASED)

    good = again.get_by_role("button", name="Good answer")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")

    visitor.writing.press("ArrowUp")
    editor = page.get_by_label("Edit your message")
    expect(editor).to_be_focused()
    editor.fill("say **changed**")
    editor.press("Control+Enter")
    expect(page.locator(".row.reply .md strong")).to_have_text("changed")
    expect(visitor.own.first).to_contain_text("edited")
    expect(visitor.writing).to_be_focused()


def test_chats_are_renamed_found_deleted_and_restored(visit: Visit) -> None:
    """Chats are renamed, found and deleted from their menu, and a deletion can be undone."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "the quick brown fox")
    visitor.expect_answer()
    visitor.menu("Rename")
    title = page.get_by_label("Title")
    title.fill("Foxes")
    title.press("Enter")
    expect(page.locator(".chat-link")).to_contain_text("Foxes")
    visitor.menu("Delete")
    expect(page.locator(".chat-link")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.locator(".chat-link").click()
    visitor.expect_answer()
    visitor.menu("Delete")
    expect(page.locator(".notice")).to_contain_text("Foxes")
    page.reload()  # carries out deletions that can still be undone
    expect(page.locator(".nothing")).to_contain_text("No chats yet")


def test_two_tabs_show_the_same(visit: Visit) -> None:
    """A message of one tab appears once in the second one, and a chat that is not in view is marked unread."""
    visitor = visit()
    visitor.register()
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    other = visitor.tab()
    other.goto(visitor.page.url)
    expect(other.locator(".row.reply[data-seq]")).to_have_count(1)
    visitor.say("second")
    visitor.expect_answer(2)
    expect(other.locator(".row.reply[data-seq]")).to_have_count(2)
    expect(other.locator(".row .md")).to_have_text(["first", "first", "second", "second"])
    expect(visitor.page.locator(".row .md")).to_have_text(["first", "first", "second", "second"])
    other.locator(".sidebar .new").click()
    visitor.say("third")
    visitor.expect_answer(3)
    expect(other.locator(".chat-link.unread")).to_have_count(1)
    expect(other).to_have_title(re.compile(r"^\(1\)"))
    other.locator(".chat-link").click()
    expect(other.locator(".chat-link.unread")).to_have_count(0)


def test_two_devices_show_the_same(visit: Visit) -> None:
    """A desktop and a phone with reduced motion: a new chat appears on both, and both can write in it."""
    desk, phone = visit(), visit(viewport={"width": 360, "height": 780}, reduced_motion="reduce")
    desk.register()
    phone.log_in(desk.id)
    desk.new_chat("Echo", "from the desk")
    desk.expect_answer()
    chat = phone.page.locator(".chat-link")
    expect(chat).to_have_count(1)
    phone.page.goto(desk.page.url)
    phone.expect_answer()
    phone.say("from the phone")
    for device in (desk, phone):
        device.expect_answer(2)
        expect(device.page.locator(".row .md")).to_have_text(["from the desk"] * 2 + ["from the phone"] * 2)
    wait_for_expression(phone.page, "document.getAnimations().length === 0")


def test_theme_is_applied_before_the_first_paint(visit: Visit) -> None:
    """With the dark theme the first paint is dark, also after a reload."""
    visitor = visit(color_scheme="light")
    page = visitor.page
    visitor.open()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.add_init_script(
        "new MutationObserver((_, o) => document.documentElement?.dataset.theme && (o.disconnect(), window.themed = "
        "performance.now())).observe(document, {attributes: true, childList: true, subtree: true})"
    )
    page.reload()
    expect(page.locator("form")).to_be_visible()
    wait_for_expression(page, "performance.getEntriesByName('first-paint').length")
    themed, painted = page.evaluate("[window.themed, performance.getEntriesByName('first-paint')[0].startTime]")
    assert themed < painted
