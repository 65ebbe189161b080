"""Five thousand messages: opened at once, scrolled without a jump, and smooth while a reply streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PASSCODE, Visitor
from tests.support.client import Device, log_in
from tests.support.stack import Stack

Record = Callable[[str, object], None]

MESSAGES = 5_000
AT_ONCE = 100
TEXTS = (
    "A short one.",
    "A **longer** one, with `code`, that goes on for a line or two " * 3,
    "- a\n- list\n- of\n- things",
)


async def write(url: str, visitor: Visitor) -> str:
    """Fill a chat in which nobody answers; its id."""
    token = await log_in(url, visitor.id, PASSCODE)
    async with Device(url, token) as device:
        session = await device.start_chat("echo", title="Long", reply_policy="silent")

        async def say(number: int) -> None:
            message = {"session_id": session["id"], "content": f"{number}: {TEXTS[number % 3]}"}
            while not (ack := await device.call("send_message", {**message, "client_message_id": str(number)}))["ok"]:  # noqa: ASYNC110 - told so
                await asyncio.sleep(ack["error"]["retry_after"])

        for start in range(0, MESSAGES, AT_ONCE):
            await asyncio.gather(*(say(number) for number in range(start, start + AT_ONCE)))
        numbers = {str(number) for number in range(MESSAGES)}
        async with asyncio.timeout(60):
            while numbers:
                numbers -= {payload["client_message_id"] for event, payload in device.events if event == "message"}
                await asyncio.sleep(0.1)
    return str(session["id"])


def place(page: Page) -> tuple[str, float]:
    """The first row that is seen, and where it stands."""
    row, top = page.evaluate(
        """() => {
          const edge = document.querySelector('.scroller').getBoundingClientRect().top;
          const seen = [...document.querySelectorAll('[data-row]')].find((r) => r.getBoundingClientRect().bottom > edge);
          return [seen.dataset.seq, seen.getBoundingClientRect().top];
        }"""
    )
    return row, top


def test_five_thousand_messages(visit: Visit, stack: Stack, record_testsuite_property: Record) -> None:
    """The newest page is shown at once; older ones come without moving what is read; the end is one click away."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    with ThreadPoolExecutor(1) as pool:
        chat = pool.submit(asyncio.run, write(stack.auth_url, visitor)).result()
    page.reload()
    link = page.locator(f"[href$='{chat}']")
    expect(link).to_be_visible()
    took = page.evaluate(
        """(id) => new Promise((done) => {
          const start = performance.now();
          new MutationObserver((_, observer) => {
            if (!document.querySelector('.row.own[data-seq]')) return;
            observer.disconnect();
            requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
          }).observe(document.body, {childList: true, subtree: true});
          document.querySelector(`[href$='${id}']`).click();
        })""",
        chat,
    )
    record_testsuite_property("milliseconds until a chat of 5,000 messages is usable", round(took))
    assert took < 3_000  # aims at 300, and gets there on a machine that is not busy with other tests
    rows = page.locator("[data-row]")
    assert rows.last.get_attribute("data-seq") == str(MESSAGES)
    assert rows.count() <= 100

    scroller = page.locator(".scroller")
    for _ in range(6):
        before = rows.count()
        page.evaluate("document.querySelector('.scroller').scrollTop = 300")
        held, top = place(page)
        expect(page.locator("[data-row]")).not_to_have_count(before)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        now, moved = place(page)
        assert (now, abs(moved - top) < 30) == (held, True), (held, top, now, moved)
    assert scroller.evaluate("(e) => e.scrollTop") > 300

    search = page.get_by_label("Search chats and messages")
    search.fill("3900")
    page.locator(".hit", has_text="3900:").click()
    found = page.locator("[data-row]", has_text="3900: ")
    expect(found).to_be_in_viewport()
    search.fill("")
    page.locator(".latest").click()
    expect(rows.last).to_be_in_viewport()
    expect(page.locator(".latest")).to_have_count(0)


def test_typing_stays_smooth_while_a_reply_streams(visit: Visit, record_testsuite_property: Record) -> None:
    """At a hundred words a second; who has scrolled up is not dragged down, and is told what came."""
    visitor = visit(viewport={"width": 900, "height": 500})
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "\n\n".join(f"Paragraph {n}" for n in range(40)))
    visitor.expect_answer()
    page.locator(".everybody").click()
    page.get_by_role("button", name="Remove Echo").click()
    page.get_by_role("button", name="Add Model").click()
    page.keyboard.press("Escape")
    page.evaluate(
        "window.long = []; new PerformanceObserver((list) => long.push(...list.getEntries().map((e) => e.duration)))"
        ".observe({type: 'longtask'}); 0"
    )
    visitor.say("count 300")
    expect(visitor.reply_under_way).to_contain_text("word20")
    visitor.writing.press_sequentially("I am still typing", delay=20)
    page.evaluate("document.querySelector('.scroller').scrollTop = 0")
    expect(page.locator(".latest")).to_be_visible()
    visitor.expect_answer(2)
    assert page.evaluate("document.querySelector('.scroller').scrollTop") == 0
    expect(page.locator(".latest")).to_contain_text("1 new message")
    long = page.evaluate("long")
    record_testsuite_property("milliseconds of tasks over 50 ms while a reply streamed", round(sum(long)))
    assert sum(long) < 1_500, long  # none on a machine that is not busy with other tests
