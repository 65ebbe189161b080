"""The connection is lost, or the server dies: nothing is lost, nothing is doubled, and people are told."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visit
from tests.browser.model import HELD, LET_GO, Model
from tests.browser.visitor import visiting
from tests.support.stack import EmbeddedStack


def test_the_server_dies_in_the_middle(browser: Browser, own_stack: EmbeddedStack, model: Model) -> None:
    """Killed in mid-reply and away in mid-send: the composer stays usable, and all is there once when it is back."""
    with visiting(browser, own_stack.auth_url) as visitor:
        page = visitor.page
        visitor.register()
        model.go_on.clear()
        visitor.new_chat("Model", "hold")
        expect(visitor.reply_under_way).to_contain_text(HELD)
        own_stack.parts["embedded"].child.kill()  # type: ignore[union-attr]
        banner = page.locator(".banner")
        expect(banner).to_contain_text("No connection")
        visitor.say("say while you were away")
        expect(page.locator(".pending")).to_contain_text("Waiting for a connection")
        model.go_on.set()
        own_stack.start_now()
        visitor.reconnect()
        expect(banner).to_be_hidden()
        visitor.expect_answer(2)
        expect(page.locator(".pending")).to_have_count(0)
        texts = [text.strip() for text in page.locator(".row .md").all_text_contents()]
        assert texts[0] == "hold"
        assert sorted(texts[1:]) == sorted(["say while you were away", "while you were away", HELD + LET_GO])


def test_what_was_refused_stays_and_can_be_tried_again(visit: Visit) -> None:
    """A message that the server will not take fails in place, with its code, over a reload too; then it is stored once."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    page.evaluate(
        """(id) => localStorage.setItem('backchat.failed.' + id, JSON.stringify([{
            session_id: location.pathname.split('/').pop(), client_message_id: 'refused-once', content: 'second',
            at: Date.now(), state: 'failed', code: 'forbidden'}]))""",
        visitor.id,
    )
    page.reload()
    failed = page.locator(".pending.failed")
    expect(failed).to_contain_text("You are not allowed to do that")
    expect(failed.locator("code")).to_have_text("forbidden")
    failed.get_by_role("button", name="Try again").click()
    visitor.expect_answer(2)
    expect(failed).to_have_count(0)
    page.reload()
    visitor.expect_answer(2)
    expect(visitor.own).to_have_count(2)
