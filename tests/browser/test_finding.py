"""Finding a chat: search in the side bar, titles of chats and tabs, and the palette."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import expect

from backchat_client import BackchatClient
from tests.browser.conftest import Visit
from tests.browser.visitor import PASSCODE, Visitor


def test_side_bar_finds_any_chat_by_title_and_content(visit: Visit) -> None:
    """Also chats that the list has not loaded; it says that there is nothing only if there is nothing."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "the pelican")
    visitor.expect_answer()
    make_chats(visitor, 70)
    page.reload()
    expect(page.locator(".chat-link")).to_have_count(50)
    search = page.get_by_role("searchbox")
    for query, title in (
        ("number 3", "Number 3 - Zürich"),
        ("zurich 1", "Number 1 - Zürich"),
        ("PELICAN", "the pelican"),
    ):
        search.fill(query)
        expect(page.locator(".chat-link").filter(has_text=title).first).to_be_visible()
        expect(page.locator(".nothing")).to_have_count(0)
    search.fill("the pelican")
    expect(page.locator(".chat-link")).to_have_count(1)
    expect(page.locator(".hit")).to_have_count(2)  # the message and the answer
    search.fill("walrus")
    expect(page.locator(".nothing")).to_have_text("Nothing found for “walrus”")


def make_chats(visitor: Visitor, count: int) -> None:
    """Start chats with titles, as another device does. (Playwright has the event loop of this thread.)"""

    async def make() -> None:
        client = BackchatClient(auth_url=visitor.url, gateway_urls=[visitor.url], user_id=visitor.id, passcode=PASSCODE)
        async with client:
            for number in range(count):
                await client.start_chat(f"Number {number} - Zürich", chatbot_ids=["echo"])

    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, make()).result()


def test_tab_title_names_the_chat(visit: Visit) -> None:
    """At once from the first message; other screens have other titles."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    expect(page).to_have_title("Backchat")
    visitor.new_chat("Echo", "Where is **my** order?")
    expect(page).to_have_title("Where is my order? - Backchat")
    expect(page.locator(".chat-head h1")).to_have_text("Where is my order?")
    visitor.expect_answer()
    visitor.menu("Rename")
    page.get_by_role("textbox", name="Title").fill("Orders")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Orders - Backchat")
    page.locator(".me").click()
    expect(page).to_have_title("Account - Backchat")
    page.locator(".brand").first.click()
    expect(page).to_have_title("Backchat")


def test_palette_marks_one_entry(visit: Visit) -> None:
    """The pointer moves the mark of the keys; Enter runs it."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    page.keyboard.press("Control+k")
    options = page.get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    options.nth(1).hover()
    page.keyboard.press("ArrowDown")
    expect(options.nth(2)).to_have_attribute("aria-selected", "true")
    marked = """[...document.querySelectorAll(".palette [role=option]")]
      .filter((each) => getComputedStyle(each).backgroundColor !== "rgba(0, 0, 0, 0)").map((each) => each.innerText.trim())"""
    assert page.evaluate(marked) == [options.nth(2).inner_text().strip()]
