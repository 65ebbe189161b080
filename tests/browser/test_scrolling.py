"""Scrolling in a chat whose reply grows: any scroll upwards leaves the end, and the place stays."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.visitor import Visitor, wait_for_expression

DISTANCE = "(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight)(document.querySelector('.scroller'))"
LONG = "count 4000"
# The place once it has not changed for 30 frames: browsers animate scrolling.
STILL = """new Promise((done) => {
  const scroller = document.querySelector(".scroller");
  let [last, still] = [scroller.scrollTop, 0];
  const look = () => {
    still = scroller.scrollTop === last ? still + 1 : 0;
    last = scroller.scrollTop;
    still > 30 ? done(last) : requestAnimationFrame(look);
  };
  look();
})"""


def distance(page: Page) -> float:
    """The pixels between the visible part and the end."""
    return float(page.evaluate(DISTANCE))


def streaming(visitor: Visitor) -> Page:
    """Start a chat whose reply is longer than the window and grows."""
    visitor.register()
    visitor.new_chat("Model", LONG)
    wait_for_expression(visitor.page, "document.querySelector('.scroller').scrollTop > 1000")
    assert distance(visitor.page) < 60
    return visitor.page


@pytest.mark.parametrize("step", [4, 20, 60, 100])
def test_wheel_upwards_leaves_the_growing_end(visit: Visit, model: Model, step: int) -> None:
    """By any step, and the place stays until the user returns to the end."""
    page = streaming(visit())
    page.locator(".scroller").hover()
    for _ in range(3):
        page.mouse.wheel(0, -step)
    expect(page.locator(".latest")).to_be_visible()
    top = page.evaluate(STILL)
    words = page.locator(".reply .md").last
    before = len(words.inner_text())
    wait_for_expression(
        page, f"[...document.querySelectorAll('.reply .md')].at(-1).innerText.length > {before + 2_000}"
    )
    assert abs(page.evaluate("document.querySelector('.scroller').scrollTop") - top) < 2
    for _ in range(100):
        page.mouse.wheel(0, 2_000)
        if not page.locator(".latest").is_visible():
            break
    expect(page.locator(".latest")).to_be_hidden()


@pytest.mark.parametrize("key", ["ArrowUp", "PageUp", "Home", "Shift+Space"])
def test_key_leaves_the_growing_end(visit: Visit, model: Model, key: str) -> None:
    page = streaming(visit())
    page.locator(".scroller").focus()
    page.keyboard.press(key)
    expect(page.locator(".latest")).to_be_visible()
    before = distance(page)
    wait_for_expression(page, f"{DISTANCE} > {before} + 200")
    page.keyboard.press("End")
    expect(page.locator(".latest")).to_be_hidden()


def test_view_follows_the_end_without_a_scroll_upwards(visit: Visit, model: Model) -> None:
    page = streaming(visit())
    page.locator(".scroller").hover()
    page.mouse.wheel(0, 300)
    length = len(page.locator(".reply .md").last.inner_text())
    wait_for_expression(
        page, f"[...document.querySelectorAll('.reply .md')].at(-1).innerText.length > {length + 2_000}"
    )
    expect(page.locator(".latest")).to_be_hidden()
    wait_for_expression(page, f"{DISTANCE} < 60")
