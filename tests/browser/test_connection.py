"""The connection is lost, or the server dies: nothing is lost, nothing is doubled, and people are told."""

from __future__ import annotations

from playwright.sync_api import Browser, Route, expect

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
        if banner.is_visible():
            page.get_by_role("button", name="Reconnect now").dispatch_event("click")
        expect(banner).to_be_hidden()
        visitor.expect_answer(2)
        expect(page.locator(".pending")).to_have_count(0)
        assert page.locator(".row .md").all_text_contents() == [
            "hold",
            "say while you were away",
            HELD + LET_GO,
            "while you were away",
        ] or page.locator(".row .md").all_text_contents() == [
            "hold",
            HELD + LET_GO,
            "say while you were away",
            "while you were away",
        ]


def test_what_is_not_accepted_can_be_tried_again(visit: Visit) -> None:
    """A message to a chat that is gone fails in place, with its code; it stays over a reload until it is discarded."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "first")
    visitor.expect_answer()
    address = page.url
    other = visitor.tab()
    other.goto(address)
    expect(other.locator(".row.reply[data-seq]")).to_have_count(1)
    page.route("**/socket.io/**", Route.abort)
    visitor.context.set_offline(True)
    visitor.context.set_offline(False)
    visitor.menu("Delete")
    page.unroute("**/socket.io/**")
    expect(other.locator(".composer")).to_be_visible()
