"""A printed chat: all of it, and nothing else."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.visitor import wait_for_expression


def test_print_shows_the_whole_chat_and_nothing_else(visit: Visit, model: Model) -> None:
    """Older messages are loaded first, by the menu and by the key; in light colours and over all pages."""
    visitor = visit(color_scheme="dark")
    visitor.register()
    page = visitor.page
    visitor.new_chat("Echo", "message 1")
    for number in range(2, 36):
        visitor.say(f"message {number}")
        visitor.expect_answer(number)
    page.reload()
    expect(page.locator(".row[data-seq]").first).to_be_visible()
    first = page.locator(".thread").get_by_text("message 1", exact=True)
    assert first.count() == 0
    page.evaluate("window.printed = 0; window.print = () => { window.printed += 1 }; 0")
    page.keyboard.press("Control+p")
    wait_for_expression(page, "printed === 1")
    expect(first).to_have_count(2)
    visitor.menu("Print")
    wait_for_expression(page, "printed === 2")
    page.emulate_media(media="print")
    for gone in (".sidebar", ".composer", ".actions", ".chat-head .menu", ".everybody", ".skip", ".latest"):
        for element in page.locator(gone).all():
            expect(element).to_be_hidden()
    texts = page.locator(".thread").inner_text()
    assert re.findall(r"message \d+", texts) == [f"message {n}" for n in range(1, 36) for _ in range(2)]
    assert page.locator("body").inner_text().split("\n", 1)[0] == "message 1"  # the title
    assert page.locator("body").inner_text().endswith(texts)
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert page.evaluate(
        "document.querySelector('.scroller').scrollHeight <= document.querySelector('.scroller').clientHeight"
    )
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf()))
    assert pages >= 3
