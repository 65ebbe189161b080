"""From a stranger to a conversation, and what people do with messages and chats."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.model import HELD, LET_GO, Model
from tests.browser.visitor import wait_until

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
CODE = "Look:\n\n```python\nprint('hello')\n```\n\n| a | b |\n|---|---|\n| 1 | **2** |"


@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_stranger_finds_the_way_to_a_reply(visit: Visit, window: dict[str, object]) -> None:
    """Nothing has to be read: the address, an account, a chatbot, an answer in Markdown."""
    visitor = visit(**window)
    visitor.register("/")
    visitor.new_chat("Echo", CODE)
    answer = visitor.expect_answer()
    expect(answer.locator(".code figcaption")).to_contain_text("python")
    expect(answer.locator(".code .hljs-built_in")).to_have_text("print")
    expect(answer.locator("td strong")).to_have_text("2")
    expect(visitor.page.locator(".chat-head h1")).to_contain_text("Look")  # the chat has got a title
    expect(visitor.page.locator(".day")).to_have_text("Today")
    expect(answer.locator("time")).to_have_attribute("title", re.compile(r"\b20\d\d at \d\d?:\d\d:\d\d"))
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_reload_goes_on_where_it_was(visit: Visit, model: Model) -> None:
    """In the middle of a reply the page is loaded anew: still logged in, the text so far is there, and the rest comes."""
    visitor = visit()
    visitor.register()
    model.go_on.clear()
    visitor.new_chat("Model", "hold")
    expect(visitor.reply_under_way).to_contain_text(HELD)
    visitor.page.reload()
    expect(visitor.reply_under_way).to_contain_text(HELD)
    model.go_on.set()
    expect(visitor.expect_answer().locator(".md")).to_have_text(HELD + LET_GO)
    expect(visitor.own).to_have_count(1)


def test_stop_answer_again_rate_and_edit(visit: Visit, model: Model) -> None:
    """A stopped reply keeps its text; answered again, both can be reached; an edited message is answered anew."""
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
    expect(again.locator(".md")).to_have_text(HELD + LET_GO)
    again.get_by_role("button", name="Earlier answer").click()
    expect(again).to_contain_text("Stopped")
    again.get_by_role("button", name="Later answer").click()
    expect(again.locator(".md")).to_have_text(HELD + LET_GO)

    good = again.get_by_role("button", name="Good answer")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")

    visitor.writing.press("ArrowUp")
    editor = page.get_by_label("Edit your message")
    expect(editor).to_be_focused()
    editor.fill("say **changed**")
    editor.press("Enter")
    expect(page.locator(".row.reply .md strong")).to_have_text("changed")
    expect(visitor.own.first).to_contain_text("edited")
    expect(visitor.writing).to_be_focused()


def test_chats_are_renamed_found_and_deleted_with_a_way_back(visit: Visit) -> None:
    """The list of chats does what its menu says, and a deletion can be undone."""
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
    page.reload()  # carries out what could still be undone
    expect(page.locator(".nothing")).to_contain_text("No chats yet")


def test_two_tabs_are_in_step(visit: Visit) -> None:
    """What one tab says the other shows, once, and a chat that is not looked at is marked unread."""
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


def test_two_devices_are_in_step(visit: Visit) -> None:
    """A desk and a phone whose owner wants nothing to move: a new chat shows by itself, and both write in it."""
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
    wait_until(phone.page, "document.getAnimations().length === 0")


def test_the_theme_is_there_before_anything_is_painted(visit: Visit) -> None:
    """Who has chosen dark sees no white flash: the first paint is dark already, and so is the next load's."""
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
    wait_until(page, "performance.getEntriesByName('first-paint').length")
    themed, painted = page.evaluate("[window.themed, performance.getEntriesByName('first-paint')[0].startTime]")
    assert themed < painted
