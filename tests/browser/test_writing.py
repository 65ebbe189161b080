"""Writing: the Enter key on phones and desktops, and drafts."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PASSCODE

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}


def test_enter_on_a_phone_is_a_line_break(visit: Visit) -> None:
    """In a new chat, in a chat, and in the editor of a message; the button sends."""
    visitor = visit(**PHONE)
    visitor.register()
    page = visitor.page
    page.locator(".bot-card").first.tap()
    for count in (1, 2):
        visitor.writing.fill("one")
        expect(visitor.writing).to_have_attribute("enterkeyhint", "enter")
        visitor.writing.press("Enter")
        page.keyboard.type("two")
        expect(visitor.writing).to_have_value("one\ntwo")
        page.get_by_role("button", name="Send").tap()
        visitor.expect_answer(count)
    page.get_by_role("button", name="Edit").tap()
    editor = page.locator(".editor textarea")
    editor.press("Enter")
    page.keyboard.type("three")
    expect(editor).to_have_value("one\ntwo\nthree")
    page.get_by_role("button", name="Send the change").tap()
    expect(editor).to_be_hidden()
    expect(visitor.replies.last).to_contain_text("three")


def test_enter_sends_on_a_desktop_and_ctrl_enter_everywhere(visit: Visit) -> None:
    desktop, phone = visit(), visit(**PHONE)
    desktop.register()
    desktop.new_chat("Echo", "hello")
    desktop.writing.fill("one")
    desktop.writing.press("Shift+Enter")
    desktop.page.keyboard.type("two")
    desktop.page.keyboard.press("Enter")
    expect(desktop.own.last).to_contain_text("two")
    phone.register()
    phone.writing.fill("hello")
    phone.writing.press("Control+Enter")
    expect(phone.own).to_have_count(1)


def test_drafts_outlive_reloads_the_back_button_and_an_ended_login(visit: Visit) -> None:
    """Each chat has its own; the same user finds them after the login, another one does not."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    address = page.url
    visitor.writing.fill("in the chat")
    page.locator(".sidebar .new").click()
    visitor.writing.fill("in a new chat")
    page.reload()
    expect(visitor.writing).to_have_value("in a new chat")
    page.goto(address)
    expect(visitor.writing).to_have_value("in the chat")
    page.goto("about:blank")
    page.go_back()
    expect(visitor.writing).to_have_value("in the chat")
    visitor.context.clear_cookies()
    page.reload()  # the login cannot be resumed
    page.get_by_role("button", name="Have an account?").click()
    page.locator("[name=username]").fill(visitor.id)
    page.locator("[name=password]").fill(PASSCODE)
    page.locator("form .primary").click()
    expect(visitor.writing).to_have_value("in the chat")
    visitor.writing.press("Enter")
    visitor.expect_answer(2)
    page.reload()
    visitor.expect_answer(2)
    expect(visitor.writing).to_have_value("")


def test_logout_deletes_drafts_from_the_device(visit: Visit) -> None:
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.writing.fill("a secret draft")
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert "a secret draft" in page.evaluate(kept)
    page.locator(".me").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page.locator("[name=username]")).to_be_visible()
    assert "a secret draft" not in page.evaluate(kept)
