"""The widget on a page of another origin with a strict policy; the two pages cannot access each other."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.host import MEMBERS, HostPage
from tests.browser.visitor import Visitor, wait_for_expression
from tests.support.stack import Stack

ELEMENT = "document.querySelector('backchat-widget')"


pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.fixture
def shop(browser: Browser, stack: Stack, host_page: HostPage) -> object:
    context = browser.new_context(locale="en-GB", viewport={"width": 1000, "height": 800})
    visitor = Visitor(context, host_page.origin)
    yield visitor
    context.close()
    assert not visitor.wrongs, visitor.wrongs


def test_visitor_of_another_site_chats_in_the_widget(shop: Visitor, stack: Stack) -> None:
    """The button, in the host's colours, opens the chat; the host can send for the visitor and receives messages."""
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").wait_for()
    page.evaluate(f"{ELEMENT}.style.setProperty('--backchat-accent', 'rgb(1, 2, 3)')")
    expect(page.get_by_role("button", name="Chat with us")).to_have_css("background-color", "rgb(1, 2, 3)")
    page.get_by_role("button", name="Chat with us").click()
    frame = page.frame_locator("iframe")
    writing = frame.get_by_role("textbox", name="Message")
    writing.fill("hello from the shop")
    writing.press("Enter")
    expect(frame.locator(".row.reply[data-seq] .md")).to_have_text("hello from the shop")
    page.evaluate(
        f"window.heard = []; {ELEMENT}.on('message', (event) => heard.push(event.from + ': ' + event.text)); 0"
    )
    page.evaluate(f"{ELEMENT}.send('the host speaks')")
    expect(frame.locator(".row.reply[data-seq]")).to_have_count(2)
    wait_for_expression(page, "heard.length === 2")  # postMessage delivers asynchronously
    assert page.evaluate("heard") == ["user: the host speaks", "chatbot: the host speaks"]
    page.evaluate(f"{ELEMENT}.close()")
    expect(page.locator("iframe")).to_be_hidden()
    expect(page.get_by_role("button", name="Chat with us")).to_be_focused()


def test_visitor_known_to_the_site_keeps_the_chat(shop: Visitor, stack: Stack) -> None:
    """The site's backend supplies the token: on the next page the same visitor continues the same chat."""
    page = shop.page
    shop.open(f"{MEMBERS}first?server={stack.auth_url}")
    with page.expect_response("**/chat-token") as lent:
        page.get_by_role("button", name="Chat with us").click()
    assert set(lent.value.json()) == {"access_token", "expires_in"}  # no refresh token
    frame = page.frame_locator("iframe")
    writing = frame.get_by_role("textbox", name="Message")
    writing.fill("hello on the first page")
    writing.press("Enter")
    answer = frame.locator(".row.reply[data-seq] .md")
    expect(answer).to_have_text("hello on the first page")
    shop.open(f"{MEMBERS}second?server={stack.auth_url}")
    page.get_by_role("button", name="Chat with us").click()
    expect(answer).to_have_text("hello on the first page")
    writing.fill("and on the second")
    writing.press("Enter")
    expect(answer).to_have_text(["hello on the first page", "and on the second"])


def test_visitor_unknown_to_the_site_is_a_guest(shop: Visitor, stack: Stack, host_page: HostPage) -> None:
    """The site's backend refuses; the visitor becomes a guest."""
    page = shop.page
    shop.open(f"{MEMBERS}?server={stack.auth_url}")
    host_page.sessions.clear()
    page.get_by_role("button", name="Chat with us").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Ask us anything")).to_be_visible()


def test_only_allowed_origins_may_frame_only_the_compact_page(
    browser: Browser, stack: Stack, host_page: HostPage
) -> None:
    """A page of another origin, and any page that frames the full page, sees nothing."""
    context = browser.new_context()
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "frame-ancestors" in message.text else None)
    stranger = host_page.origin.replace("localhost", "127.0.0.1")
    for origin, path in ((stranger, "/chat/embed"), (host_page.origin, "/chat/")):
        page.goto(f"{origin}/?server={stack.auth_url}")
        refused.clear()
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.evaluate(
                f"f = document.createElement('iframe'); f.src = '{stack.auth_url}{path}'; document.body.append(f)"
            )
    context.close()


def test_host_opens_and_closes_the_widget_and_gets_events(shop: Visitor, stack: Stack) -> None:
    """By a method, or by a key or button in the frame; an unregistered listener receives nothing."""
    page = shop.page
    shop.open(f"/?server={stack.auth_url}")
    button = page.get_by_role("button", name="Chat with us")
    button.wait_for()
    page.evaluate(
        f"""window.heard = [];
        window.ends = ["ready", "open", "close"].map((type) => {ELEMENT}.on(type, (event) => heard.push(event.type)));
        {ELEMENT}.toggle()"""
    )
    expect(page.frame_locator("iframe").get_by_role("heading", name="Ask us anything")).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    wait_for_expression(page, "heard.join() === 'ready,open'")
    page.frame_locator("iframe").get_by_role("textbox", name="Message").press("Escape")
    expect(page.locator("iframe")).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")
    wait_for_expression(page, "heard.includes('close')")
    page.evaluate("ends.forEach((end) => end()); heard.length = 0")
    page.evaluate(f"{ELEMENT}.toggle()")
    page.set_viewport_size({"width": 360, "height": 740})  # there the frame covers the host page and its button
    page.frame_locator("iframe").get_by_role("button", name="Close").click()
    expect(page.locator("iframe")).to_be_hidden()
    page.evaluate(f"{ELEMENT}.toggle()")
    expect(page.locator("iframe")).to_be_visible()
    page.evaluate(f"{ELEMENT}.toggle()")
    expect(page.locator("iframe")).to_be_hidden()
    assert page.evaluate("heard") == []
