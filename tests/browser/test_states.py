"""States of a message, a list or a reply that is on its way or has failed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.test_accessibility import ALL, CONTRAST, violations
from tests.browser.visitor import PASSCODE, wait_for_expression
from tests.browser.wire import Wire

MESSAGES = r'42\["message"'
ACKS = "43"
COUNTING = (
    r"""document.querySelector('.banner-now')?.textContent.match(/\d+ s/)?.forEach((each) => __shown.add(each))"""
)


def test_unstored_message_shows_its_state(visit: Visit) -> None:
    """A message is shown as sending, sent and stored. If its ack is lost, it is sent again and stored once."""
    visitor = visit()
    page, wire = visitor.page, Wire(visitor.context)
    visitor.register()
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    on_its_way = page.locator(".row.pending")

    wire.hold(f"{ACKS}|{MESSAGES}")
    visitor.say("second")
    expect(on_its_way).to_contain_text("Sending")
    expect(visitor.writing).to_have_value("")
    wire.release()
    visitor.expect_answer(2)
    wire.hold(MESSAGES)
    visitor.say("third")
    expect(on_its_way).to_contain_text("Sent")
    wire.release()
    visitor.expect_answer(3)
    expect(on_its_way).to_have_count(0)

    wire.hold(f"{ACKS}|{MESSAGES}")
    visitor.say("fourth")
    expect(on_its_way).to_contain_text("Sending")
    wire.cut()
    expect(on_its_way).to_contain_text("Waiting for a connection")
    wire.restore()
    visitor.reconnect()
    visitor.expect_answer(4)
    page.reload()
    visitor.expect_answer(4)
    expect(visitor.own.locator(".md")).to_have_text(["first", "second", "third", "fourth"])


def test_page_is_usable_without_a_connection(visit: Visit) -> None:
    """The banner counts down and can reconnect at once; messages written offline are sent then."""
    visitor = visit()
    page, wire = visitor.page, Wire(visitor.context)
    visitor.register()
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    wire.cut()
    now = page.get_by_role("button", name="Reconnect now")
    expect(now).to_be_visible()
    expect(page.locator(".banner")).to_contain_text(re.compile(r"Trying again in \d s"))
    page.evaluate("window.__shown = new Set()")
    wait_for_expression(page, f"({COUNTING}, __shown.size > 1)")
    visitor.say("and I wrote")
    expect(page.locator(".row.pending")).to_contain_text("Waiting for a connection")
    expect(visitor.writing).to_be_focused()
    wire.restore()
    visitor.reconnect()
    expect(now).to_have_count(0)
    visitor.expect_answer(2)


def test_failed_lists_are_reported_in_place(visit: Visit) -> None:
    """Chats and older messages: a placeholder while loading, then the error and a retry."""
    visitor = visit()
    page, wire = visitor.page, Wire(visitor.context)
    visitor.open()
    page.locator(".switch").click()
    page.locator("[name=username]").fill(visitor.id)
    page.locator("[name=password]").fill(PASSCODE)
    page.locator("form .primary").click()
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("The name or the passcode is wrong")
    expect(refused).to_have_attribute("data-code", "invalid_credentials")
    expect(refused).not_to_contain_text("invalid_credentials")

    visitor.register()
    visitor.new_chat("Echo", "hello")
    visitor.expect_answer()
    wire.refusals["list_chats"] = "internal"
    page.reload()
    chats = page.get_by_role("navigation", name="Chats")
    expect(chats.get_by_role("alert")).to_contain_text("The chats could not be loaded")
    expect(chats.get_by_role("alert")).to_have_attribute("data-code", "unavailable")
    visitor.expect_answer()  # the chat itself works
    wire.refusals.clear()
    wire.hold(ACKS)
    chats.get_by_role("button", name="Try again").click()
    expect(chats.get_by_role("list", name="Getting your chats")).to_be_visible()
    wire.release()
    expect(chats.get_by_role("link", name="hello")).to_be_visible()

    wire.refusals["update_chat"] = "forbidden"
    visitor.menu("Rename")
    page.get_by_label("Title").fill("Mine")
    page.get_by_label("Title").press("Enter")
    problem = page.get_by_role("dialog").get_by_role("alert")
    expect(problem).to_contain_text("You are not allowed to do that")
    expect(problem).to_have_attribute("data-code", "forbidden")
    expect(page.get_by_label("Title")).to_have_value("Mine")


def test_thinking_and_typing_indicators_end(visit: Visit) -> None:
    """Thinking and typing indicators end: of a silent chatbot, and of a user that left."""
    ada, grace = visit(), visit()
    wire = Wire(ada.context)
    ada.register()
    ada.new_chat("Echo", "hello")
    ada.expect_answer()
    page = ada.page
    page.locator(".everybody").click()
    link = ada.invite()
    grace.register(link.removeprefix(grace.url))
    expect(grace.replies).to_have_count(1)

    wire.hold(r'42\["(message|reply|typing".*"typing":false)')
    ada.say("@echo are you there?")
    expect(page.get_by_text("Echo is thinking")).to_be_visible()
    grace.writing.press_sequentially("I was about to")
    expect(page.get_by_text(f"{grace.id} is typing")).to_be_visible()
    grace.page.close()
    expect(page.get_by_text("Echo is thinking")).to_have_count(0)
    expect(page.get_by_text(f"{grace.id} is typing")).to_have_count(0)
    wire.release()
    ada.expect_answer(2)


@pytest.fixture
def broken(model: Model, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The language model closes the connection instead of answering."""

    def answer(_: str) -> Iterator[str]:
        raise ConnectionAbortedError

    monkeypatch.setattr(model, "answer", answer)
    return monkeypatch


def test_failed_reply_is_reported_and_regenerated(visit: Visit, broken: pytest.MonkeyPatch) -> None:
    """A failed reply shows an error, and a way to regenerate it."""
    visitor = visit()
    visitor.register()
    visitor.new_chat("Model", "how is it?")
    failed = visitor.expect_answer()
    problem = failed.get_by_role("alert")
    code = problem.get_attribute("data-code")
    assert code
    assert len(problem.inner_text()) > len(code) + 5
    broken.undo()
    failed.get_by_role("button", name="Answer again").click()
    expect(visitor.replies.last).to_contain_text("You said 10 characters")
    expect(visitor.page.get_by_role("alert")).to_have_count(0)


def test_axe_finds_nothing_in_error_states(visit: Visit) -> None:
    """Error and empty states are accessible too, in light and in dark."""
    visitor = visit(reduced_motion="reduce")
    page, wire = visitor.page, Wire(visitor.context)
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        for scheme, rules in (("dark", CONTRAST), ("light", ALL)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if wrong := violations(page, rules):
                found[f"{state}, {scheme}"] = wrong

    visitor.open("/chat/embed")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    look("the widget's first screen")
    visitor.register("/chat/join#no-such-invite")
    expect(page.get_by_role("heading", name="This invite cannot be used")).to_be_visible()
    look("an invite that does not hold")
    page.get_by_role("button", name="Back to the chats").click()
    look("no chats")
    visitor.new_chat("Echo", "hello")
    visitor.expect_answer()
    wire.cut()
    visitor.say("later")
    expect(page.locator(".banner")).to_be_visible()
    look("no connection")
    wire.restore()
    visitor.reconnect()
    visitor.expect_answer(2)
    wire.refusals = {"send_message": "forbidden", "list_chats": "internal"}
    visitor.say("refused")
    expect(page.locator(".pending.failed")).to_contain_text("You are not allowed to do that")
    look("a message that failed")
    page.reload()
    expect(page.locator(".pending.failed")).to_be_visible()
    expect(page.get_by_text("The chats could not be loaded")).to_be_visible()
    look("a list that failed")
    wire.refusals.clear()
    page.locator(".pending.failed").get_by_role("button", name="Try again").click()
    visitor.expect_answer(3)
    wire.hold(ACKS)
    page.reload()
    expect(page.locator(".sidebar .skeleton")).to_be_visible()
    expect(page.get_by_role("status", name="Loading messages")).to_be_visible()
    look("while chats and messages are awaited")
    wire.release()
    visitor.expect_answer(3)
    visitor.open("/chat/c/00000000-0000-7000-8000-000000000000")
    expect(page.get_by_role("heading", name="This chat does not exist")).to_be_visible()
    look("a chat that is not there")
    visitor.context.route(re.compile("/assets/account_screen"), lambda route: route.abort())
    page.reload()
    page.locator("a.me").click()
    expect(page.locator(".awaited [role=alert]")).to_be_visible()
    look("a part that did not come")
    assert not found, "\n".join(f"{state}: {wrong}" for state, wrong in found.items())
