"""A first visit to a system started as by `make run`, without any settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import PASSCODE, visiting
from tests.conftest import STACK_URL
from tests.support.stack import EmbeddedStack, Stack, running_stack

WINDOWS = {
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    "desktop": {"viewport": {"width": 1440, "height": 900}},
}
QUESTION = "Why does it rain so often in autumn, and what do people do about it? I have wondered for years."
WATCH = """() => {
  window.__answers = [];
  const look = () => {
    const text = document.querySelector('[role=log] article:nth-of-type(2)')?.innerText;
    if (text && text !== __answers.at(-1)) __answers.push(text);
    requestAnimationFrame(look);
  };
  look();
}"""


@pytest.fixture(scope="module")
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The embedded system with default settings, or the given stack."""
    if STACK_URL:
        yield request.getfixturevalue("stack")
        return
    page: Path = request.getfixturevalue("dist")
    with running_stack(EmbeddedStack(tmp_path_factory.mktemp("plain"), {"PAGE_DIR": str(page)})) as embedded:
        yield embedded


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_first_visit_needs_only_visible_labels(browser: Browser, plain: Stack, window: dict[str, object]) -> None:
    """From the address to a streamed answer, found only by labels and roles."""
    with visiting(browser, plain.auth_url, **window) as visitor:
        page = visitor.page
        visitor.open("/")
        page.get_by_label("Name", exact=True).fill(visitor.id)
        page.get_by_label("Passcode", exact=True).fill(PASSCODE)
        page.get_by_role("button", name="Make the account").click()
        expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
        expect(page.get_by_role("radio", checked=True)).to_have_count(1)  # a chatbot is selected by default
        page.get_by_text("Echo", exact=True).click()
        expect(page.get_by_role("radio", name="Echo")).to_be_checked()
        page.get_by_role("textbox", name="Message").fill(QUESTION)
        page.evaluate(WATCH)
        page.get_by_role("button", name="Send").click()
        messages = page.get_by_role("log").get_by_role("article")
        expect(messages).to_have_count(2)
        expect(messages.first).to_contain_text(QUESTION)
        expect(messages.last.get_by_role("button", name="Answer again")).to_be_visible()
        answers = page.evaluate("__answers")
        assert len(answers) > 2, answers  # thinking, partial, complete
        expect(page.get_by_role("textbox", name="Message")).to_be_in_viewport()
        expect(messages.last).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
